"""A process at the other end of two pipes, whatever it does."""

from __future__ import annotations

import sys
import time

import pytest

from dataenv.errors import TeacherFailedError
from dataenv.isolation import process
from dataenv.isolation.process import TeacherProcess

ECHO = "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)\n    sys.stdout.flush()"


def child(code: str) -> TeacherProcess:
    return TeacherProcess([sys.executable, "-I", "-S", "-c", code], {})


def test_lines_go_there_and_back() -> None:
    echo = child(ECHO)
    for value in ({"a": 1}, ["x" * (1 << 20)]):
        echo.send(value)
        assert echo.receive(60) == value
    echo.close()
    echo.close()


def test_one_that_does_not_start_says_why() -> None:
    with pytest.raises(TeacherFailedError, match="does not start: ZeroDivisionError"):
        child("1 / 0").first()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(3)", r"has ended \(code 3\)"),
        ("print('no json', flush=True); import time; time.sleep(60)", "what is no message"),
        ("print('x' * 5000, end='', flush=True); import time; time.sleep(60)", "too long a message"),
        ("import time; time.sleep(60)", "says nothing"),
    ],
)
def test_what_it_may_do_instead_is_one_sentence(code: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MOST_BYTES", 4096)
    one = child(code)
    began = time.monotonic()
    with pytest.raises(TeacherFailedError, match=said):
        one.receive(1 if "nothing" in said else 60)
    assert time.monotonic() - began < 55
    one.close()


def test_it_ends_with_its_owner() -> None:
    one = child("import time; time.sleep(600)")
    running = one._process
    del one
    assert running.wait(20) < 0
