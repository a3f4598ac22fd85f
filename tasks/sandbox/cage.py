"""What a process takes away from itself before it runs a program that nobody trusts. It imports nothing of ours.

A seccomp filter lets through the system calls of a program that computes, and no other: no file is opened for writing,
no process or thread is begun, no socket is made, no signal is sent to another process. The filter is assembled here: it
has four kinds of rules, and a package for it would need a system library too. Landlock (Linux 5.13) hides the files
where no other wall does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Callable, Sequence

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Numbers of x86_64 and aarch64; -1 where a call is not there. linux/arch/x86/entry/syscalls/syscall_64.tbl and
# linux/include/uapi/asm-generic/unistd.h
_ALLOWED = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "close": (3, 57),
    "fstat": (5, 80), "newfstatat": (262, 79), "stat": (4, -1), "lstat": (6, -1), "statx": (332, 291),
    "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "mremap": (25, 216), "madvise": (28, 233), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "access": (21, -1), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, -1), "readlinkat": (267, 78), "getdents64": (217, 61),
    "getcwd": (79, 17), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293), "gettid": (186, 178),
    "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "exit": (60, 93), "exit_group": (231, 94), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "time": (201, -1), "getrandom": (318, 278), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "times": (100, 153), "getrlimit": (97, 163),
    "poll": (7, -1), "ppoll": (271, 73), "select": (23, -1), "pselect6": (270, 72), "pipe": (22, -1),
    "pipe2": (293, 59), "dup": (32, 23), "dup2": (33, -1), "dup3": (292, 24), "setitimer": (38, 103),
    "getitimer": (36, 102), "alarm": (37, -1), "restart_syscall": (219, 128), "fadvise64": (221, 223),
}  # fmt: skip
_OPEN, _OPENAT, _IOCTL, _FCNTL = (2, -1), (257, 56), (16, 29), (72, 25)
_KILL, _TGKILL, _PRLIMIT = (62, 129), (234, 131), (302, 261)
_CHANGES = 3 | 0o100 | 0o1000 | 0o20000000
"""Flags of ``open``: for writing, O_CREAT, O_TRUNC, O_TMPFILE."""
_TCGETS, _FIOCLEX = 0x5401, 0x5451
# The rest of fcntl changes what a pipe shares with the next program (F_SETFL), or sends signals (F_SETOWN, F_SETSIG).
_FCNTLS = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _EPERM, _KILLED = 0x7FFF0000, 0x00050001, 0x80000000
_READ, _LIST = 1 << 2, 1 << 3  # linux/landlock.h
Instruction = tuple[int, int, int, int]


def filter_of(machine: str, pid: int) -> list[Instruction]:
    """The filter's instructions: code, jump if true, jump if not, operand (linux/filter.h).

    Args:
        machine: ``x86_64`` or ``aarch64``.
        pid: The process that the filter is for: the only one that it may signal.

    Raises:
        OSError: If the machine is another one.
    """
    if machine not in _ARCHES:
        raise OSError(f"no list of system calls for {machine}; it is there for {' and '.join(_ARCHES)}")
    column = list(_ARCHES).index(machine)
    program: list[Instruction] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHES[machine]), (_RETURN, 0, 0, _KILLED)]
    program += [(_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _EPERM)]  # x32 calls
    for numbers in _ALLOWED.values():
        if numbers[column] >= 0:
            program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    one_of: list[tuple[tuple[int, int], int, Sequence[int]]] = [
        (_IOCTL, 1, (_TCGETS, _FIOCLEX)), (_FCNTL, 1, _FCNTLS), (_KILL, 0, (pid,)), (_TGKILL, 0, (pid,)),
        (_PRLIMIT, 0, (0,)),
    ]  # fmt: skip
    for numbers, argument, values in one_of:
        tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
        program += _when(numbers[column], [(_LOAD, 0, 0, 16 + 8 * argument), *tests, (_RETURN, 0, 0, _EPERM)])
    for numbers, argument in ((_OPEN, 1), (_OPENAT, 2)):
        if numbers[column] >= 0:
            test = [(_LOAD, 0, 0, 16 + 8 * argument), (_ANY_BIT, 0, 1, _CHANGES), (_RETURN, 0, 0, _EPERM)]
            program += _when(numbers[column], test)
    return [*program, (_RETURN, 0, 0, _EPERM)]


def _when(number: int, test: list[Instruction]) -> list[Instruction]:
    """Of one call: a test that returns or falls through, and then the call is let through."""
    return [(_EQUAL, 0, len(test) + 1, number), *test, (_RETURN, 0, 0, _ALLOW)]


def close_system() -> None:
    """Install the filter in this process. It holds until the process ends.

    Raises:
        OSError: If the kernel takes none.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in filter_of(platform.machine(), os.getpid()))
    held = ctypes.create_string_buffer(code)
    block = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held)))
    _must("no_new_privs", lambda: LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    at = ctypes.addressof(block)
    _must("seccomp", lambda: LIBC.prctl(PR_SET_SECCOMP, 2, at, 0, 0))


def end_with_parent(parent: int) -> None:
    """Have this process killed as soon as its parent is gone.

    Args:
        parent: The parent's number. If it is gone already, this process ends here.
    """
    _must("pdeathsig", lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def _must(what: str, call: Callable[[], int]) -> int:
    found = call()
    if found < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return found


def limit(cpu: float, memory: int, processes: int) -> None:
    """Set this process's own limits; the filter keeps it from beginning any other process.

    Args:
        cpu: Seconds; whoever watches is exact, and this is for the case that nobody does.
        memory: Bytes of address space.
        processes: Of this user in this user namespace; 0 leaves it as it is.
    """
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: int(cpu) + 2,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    if processes:
        limits[resource.RLIMIT_NPROC] = processes
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where it has none."""
    return max(0, int(LIBC.syscall(444, None, ctypes.c_size_t(0), 1)))


def hide_files(readable: Sequence[str], listed: Sequence[str]) -> None:
    """Take from this process and its children all files but some, and what else Landlock can take.

    Args:
        readable: Files, and directories with all beneath them, that can still be read.
        listed: Directories whose names can still be listed, as an import does, and those of all beneath them.

    Raises:
        OSError: If the kernel has no Landlock.
    """
    version = landlock_version()
    if not version:
        raise OSError("this kernel has no Landlock; it is there from Linux 5.13 on, where it is switched on")
    files = (1 << 13) - 1 | (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
    network, scoped = (3, 3)  # TCP; abstract sockets and signals
    attributes = struct.pack("QQQ", files, network, scoped)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    rules = _must("landlock", lambda: LIBC.syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0))
    both = [(path, _READ | (_LIST if os.path.isdir(path) else 0)) for path in readable]
    for path, rights in both + [(path, _LIST) for path in listed]:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, file)
        _must("landlock", lambda rule=rule: LIBC.syscall(445, rules, 1, rule, 0))  # type: ignore[misc]
        os.close(file)
    _must("no_new_privs", lambda: LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _must("landlock", lambda: LIBC.syscall(446, rules, 0))
    os.close(rules)
