"""Python's cyclic garbage collector, in processes that are ours: the command line and its workers."""

from __future__ import annotations

import gc

OBJECTS = 50_000
"""New containers between two collections; Python's own 700 are a third of a lesson's examples."""


def collect_rarely() -> None:
    """Look for garbage in cycles seldom: a lesson is thousands of records that live on, and each look reads them all.

    What is in no cycle is freed at once as ever. A program that only imports us keeps the thresholds that it has.
    """
    gc.set_threshold(OBJECTS)
