"""Before anything imports torch: one thread, for results are bit-exact within one number of threads, and no network."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.fault_table import observed, pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401
from tests.sandboxes import needs_sandbox  # noqa: F401
from tests.typed import cli  # noqa: F401

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.pop("DATAENV_STORE", None)  # no test may lean on what is on this machine

# The same examples at every run, and no deadline, for the machine may be busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


def pytest_collection_finish() -> None:
    """Thousands of tests and large libraries live to the end: the collector need not read them again and again."""
    from dataenv.execution.collector import collect_rarely

    collect_rarely()
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a card where there is none, and say so."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip(f"needs a CUDA card, and torch {torch.__version__} sees none here")


@pytest.fixture(scope="session", autouse=True)
def _drawn_once() -> Iterator[None]:
    """The splits of a toy are drawn once: it took a third of a short episode.

    It is done from here, since the source of tests/toys.py is part of the names in tests/golden/.
    """
    from tests.toys import Reverse

    plain = Reverse.split
    drawn: dict[tuple[type, str], Any] = {}

    def split(self: Reverse, name: Any) -> Any:
        if (type(self), name) not in drawn:
            drawn[type(self), name] = tuple(plain(self, name))
        return drawn[type(self), name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reverse, "split", split)
        yield


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, no line on what is waited for stands among what a test reads."""
    monkeypatch.setattr("dataenv.waiting.SECONDS", 3600.0)


@pytest.fixture(scope="module")
def toys() -> Iterator[None]:
    """The names of tests/toys.py and tests/canaries.py, registered."""
    from dataenv import registry

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TASKS, "reverse", "tests.toys:Reverse")
        patch.setitem(registry.TASKS, "plenty", "tests.toys:Plenty")
        patch.setitem(registry.TASKS, "branching", "tests.toys:Branching")
        patch.setitem(registry.TASKS, "canaried", "tests.canaries:Canaried")
        patch.setitem(registry.STUDENTS, "parrot", "tests.toys:Parrot")
        patch.setitem(registry.STUDENTS, "choosy", "tests.toys:Choosy")
        patch.setitem(registry.STUDENTS, "apprentice", "tests.toys:Apprentice")
        yield
