"""The bytes that both sides of the wall agree on. It imports nothing of ours."""

from __future__ import annotations

import struct

HEADER = struct.Struct("=IddQQ")
"""Before a program: bytes that follow, seconds of computing and by the clock, bytes of memory and of output."""
ENDING = struct.Struct("=cid")
"""After a program: how it ended, its exit code or the negative number of its signal, seconds of computing."""
ENDED, SIGNALLED, CPU, WALL = b"e", b"s", b"c", b"w"
