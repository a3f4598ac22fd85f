"""What jobs cost: kept by name, the first note counts, and a torn line tells nothing."""

from __future__ import annotations

from pathlib import Path

from dataenv.execution.costs import FILE, Costs, Spending


def test_each_name_is_counted_once_and_the_first_note_counts(tmp_path: Path) -> None:
    costs = Costs(tmp_path)
    costs.add("a", 2.0)
    costs.add("b", 0.5)
    costs.add("a", 9.0)
    assert costs.of(["a", "b", "a"]) == Spending(2.5, 0)
    assert Costs(tmp_path).of(["b", "a", "c"]) == Spending(2.5, 1)


def test_a_line_that_was_cut_short_is_unknown(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('["a", 1.5]\n["b", "x"]\n{}\n["c", -1]\n["d", NaN]\n["e", 3')
    assert Costs(tmp_path).of("abcde") == Spending(1.5, 4)


def test_without_a_folder_they_are_kept_in_the_process() -> None:
    costs = Costs(None)
    costs.add("a", 1.0)
    assert costs.of(["a"]) == Spending(1.0, 0)
