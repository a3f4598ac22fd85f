"""Before anything imports torch: one thread, for results are bit-exact within one number of threads, and no network."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.fault_table import observed, pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.pop("DATAENV_STORE", None)  # no test may lean on what is on this machine

# The same examples at every run, and no deadline, for the machine may be busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")
