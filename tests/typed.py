"""What the command line gives to who types a command: the fixture ``cli`` of tests/dataenv/cli/conftest.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Done(NamedTuple):
    code: object
    out: str
    err: str


Cli = Callable[..., Done]
