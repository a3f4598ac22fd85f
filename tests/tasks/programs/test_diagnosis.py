"""Diagnosis: which skill a wrong program lacks, by what it gives and by its tree."""

from __future__ import annotations

import pytest

from tasks.programs import Programs
from tasks.programs.derivation import read
from tasks.programs.skills import skills_of
from tasks.records import Problem

TASK = Programs()


def problem(prompt: str) -> Problem:
    asked, solved = read(prompt), TASK.solve(prompt)
    assert asked is not None
    assert solved is not None
    return Problem(id="x", prompt=prompt, answer=solved[1], skills=skills_of(solved[0], asked), split="feedback")


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize(
    ("prompt", "response", "missing"),
    [
        ("v: keep x>9; each x*2; sum=", "sum(x*2 for x in v if x>9)", ()),
        ("v: keep x>9; each x*2; sum=", "sum(x*2 for x in v)", ("filter",)),  # gives what is asked without a step
        ("v: keep x>9; each x*2; sum=", "sum(x for x in v if x>9)", ("map",)),
        ("v: keep x>9; each x*2; sum=", "[x*2 for x in v if x>9]", ("agg",)),
        ("v: keep x>9; each x*2; sum=", "sum(x*2 for x in v if x>8)", ("filter",)),  # by its tree
        ("v: keep x>9; each x*2; sum=", "max(x*3 for x in v if x>9)", ("map", "agg")),
        ("v: keep x>9; each x*2; sum=", "sum(x*2 for x in v if x*2>9)+sum(x for x in v if x>9)", ("comp",)),
        ("v: keep x>9; each x*2; sum=", "sum(", ("filter", "map", "agg", "comp")),
        ("v: sort; first 3=", "v[:3]", ("sort",)),
        ("v: sort; first 3=", "sorted(v)", ("slice",)),
        ("v: sort; first 3=", "sorted(v[:3])", ("pipe",)),  # both are there, in the wrong order
        ("v: sum; plus 4=", "sum(v)+5", ("arith",)),
        ("t: split ,; each x+1=", "[x+2 for x in map(int,t.split(','))]", ("map",)),
        ("v: first 3=", "v[3:]", ("slice",)),
    ],
)
def test_missing_skills_worked_out_by_hand(prompt: str, response: str, missing: tuple[str, ...]) -> None:
    assert TASK.diagnose(problem(prompt), response) == missing
