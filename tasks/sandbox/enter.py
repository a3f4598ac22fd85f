"""How root starts a sandbox: as nobody, with an interpreter that nobody can read. It imports nothing of ours.

An interpreter under root's own folder is closed to every other user. In a mount namespace of its own, this process puts
an empty folder over the closed one, and in it the few files of the interpreter. The machine's own files stay as they
are.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18


def enter(covered: list[str], kept: list[str], uid: int, command: list[str]) -> None:
    """Become another user, and then another program.

    Args:
        covered: Folders that this user cannot read.
        kept: Files and folders beneath them that it shall read.
        uid: The user and the group to become.
        command: What to run.

    Raises:
        OSError: If this process may not.
    """
    if covered:
        libc = ctypes.CDLL(None, use_errno=True)
        folders = [os.path.isdir(path) for path in kept]

        def must(found: int) -> None:
            if found:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

        must(libc.unshare(CLONE_NEWNS))
        must(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        files = [os.open(path, os.O_PATH) for path in kept]  # of this namespace: no other one's can be mounted in it
        for path in covered:
            must(libc.mount(b"none", path.encode(), b"tmpfs", 0, b"mode=0755"))
        for path, file, folder in zip(kept, files, folders, strict=True):
            os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
            if not folder:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755))
            must(libc.mount(f"/proc/self/fd/{file}".encode(), path.encode(), None, MS_BIND | MS_REC, None))
            os.close(file)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execv(command[0], command)


if __name__ == "__main__":
    enter(**json.loads(sys.argv[1]))
