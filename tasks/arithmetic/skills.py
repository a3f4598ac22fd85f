"""The skills of ``arithmetic``: which operators a skill uses, on which numbers, and how its questions are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tasks.arithmetic.grammar import WIDTH, Digits
from tasks.prior import check_shares

Mask = npt.NDArray[np.bool_]
Region = Callable[[Digits, Digits], Mask]


def anywhere(a: Digits, b: Digits) -> Mask:
    """All numbers."""
    return np.ones(len(a), dtype=np.bool_)


def carries(a: Digits, b: Digits) -> Mask:
    """``(n, 3)``: the columns of ``a + b`` that carry into the next."""
    out, carry = np.zeros(a.shape, dtype=np.bool_), np.zeros(len(a), dtype=np.int64)
    for i in range(WIDTH):
        out[:, i] = a[:, i] + b[:, i] + carry > 9
        carry = out[:, i].astype(np.int64)
    return out


def borrows(a: Digits, b: Digits) -> Mask:
    """``(n, 3)``: the columns of ``a - b`` that borrow from the next."""
    out, borrow = np.zeros(a.shape, dtype=np.bool_), np.zeros(len(a), dtype=np.int64)
    for i in range(WIDTH):
        out[:, i] = a[:, i] - b[:, i] - borrow < 0
        borrow = out[:, i].astype(np.int64)
    return out


def no_carry(a: Digits, b: Digits) -> Mask:
    """No column of ``a + b`` carries."""
    return np.asarray((a + b <= 9).all(axis=1))


def some_carry(a: Digits, b: Digits) -> Mask:
    """``a + b`` carries, and stays below 1000."""
    columns = carries(a, b)
    return np.asarray(columns.any(axis=1) & ~columns[:, -1])


def no_borrow(a: Digits, b: Digits) -> Mask:
    """No column of ``a - b`` borrows."""
    return np.asarray((a >= b).all(axis=1))


def some_borrow(a: Digits, b: Digits) -> Mask:
    """``a - b`` borrows, and stays above zero."""
    columns = borrows(a, b)
    return np.asarray(columns.any(axis=1) & ~columns[:, -1])


@dataclass(frozen=True)
class Skill:
    """A row of the catalogue.

    Attributes:
        name: In the catalogue.
        forms: The operators of its questions, equally often: one symbol each, or two for a chain.
        region: Which pairs of first and second operand belong to it.
        rests_on: For a skill that is no chain: the more basic skill that its problems need too.
        prior: Share of the warm start's data; 0 for what an untaught student has never seen.
        least: Columns of digits that its easiest questions need.
    """

    name: str
    forms: tuple[str, ...]
    region: Region = anywhere
    rests_on: tuple[str, ...] = ()
    prior: float = 0.0
    least: int = 1

    def needs(self, form: str) -> tuple[str, ...]:
        """All skills that a problem of a form needs: this one, then those of its steps."""
        steps = tuple(dict.fromkeys(STEP[symbol] for symbol in form)) if len(form) == 2 else self.rests_on
        return (self.name, *steps)


STEP = {"<": "first", "~": "succ", "@": "rotate", "^": "max", "_": "min", "+": "add"}
"""The skill of one step of a chain, by its operator."""

CATALOGUE: tuple[Skill, ...] = (
    Skill("first", ("<",), prior=1.0),
    Skill("second", (">",), prior=1.0),
    Skill("succ", ("~",), prior=1.0),
    Skill("rotate", ("@",), prior=1.0),
    Skill("chain", ("<~", "<@", "@~", "~@"), prior=2.0),
    Skill("max", ("^",)),
    Skill("min", ("_",)),
    Skill("add", ("+",), no_carry),
    Skill("add-carry", ("+",), some_carry, rests_on=("add",)),
    Skill("sub", ("-",), no_borrow),
    Skill("sub-borrow", ("-",), some_borrow, rests_on=("sub",), least=2),
    Skill("sort", ("$",)),
    Skill("max-succ", ("^~",)),
    Skill("add-max", ("+^",), no_carry),
    Skill("times", ("*",)),
    Skill("hash", ("#",)),
)
FURTHER: tuple[Skill, ...] = (Skill("min-rotate", ("_@",)),)
"""Skills that are part of the task only where they are asked for by name."""
UNTAUGHT: tuple[Skill, ...] = (
    Skill("chain", ("_~",)),
    Skill("chain", ("+~",), no_carry),
    Skill("chain", ("^@",)),
)
"""Compositions that no lesson of the generator holds: the transfer split. Every step of theirs is taught elsewhere."""


def chosen(skills: Sequence[str], known: Mapping[str, float]) -> tuple[Skill, ...]:
    """Rows of the catalogue by name, and how much of each the untaught student has seen.

    Args:
        skills: Names, each once; empty for the whole catalogue without the further ones.
        known: Their shares of the warm start's data, relative to each other; a skill that is not named has none. Empty
            for the shares of the catalogue.

    Raises:
        ValueError: If a name is unknown or stands twice, a share is no number above zero, or a skill needs one that is
            not there.
    """
    everything = {skill.name: skill for skill in (*CATALOGUE, *FURTHER)}
    names = tuple(skills) or tuple(skill.name for skill in CATALOGUE)
    unknown = [name for name in names if name not in everything]
    if unknown:
        raise ValueError(f"skills has {unknown[0]!r}; give some of {', '.join(everything)}")
    check_shares(known, names)
    if len(set(names)) < len(names):
        raise ValueError("skills names one twice; give each once")
    rows = tuple(everything[name] for name in names)
    for skill in rows:
        lacking = [needed for form in skill.forms for needed in skill.needs(form) if needed not in names]
        if lacking:
            raise ValueError(f"skills has {skill.name!r}, which needs {lacking[0]!r}; name {lacking[0]!r} too")
    return tuple(replace(skill, prior=float(known.get(skill.name, 0))) for skill in rows) if known else rows


def parts(skill: Skill) -> dict[str, tuple[Skill, int]]:
    """The subskills of a skill: for each the questions it asks, and in how many columns of digits.

    They vary what the generator can vary: the operators, where a skill that is known has several of them; the number of
    steps, where there are two; and else the size of the operands. What the splits ask comes first.
    """
    if len(skill.forms) > 1:
        return {form: (replace(skill, forms=(form,)), WIDTH) for form in skill.forms}
    sizes = {f"{n} column{'s' if n > 1 else ''}": (skill, n) for n in range(WIDTH, skill.least - 1, -1)}
    (form,) = skill.forms
    if len(form) == 1:
        return sizes
    return sizes | {"first step": (replace(skill, forms=(form[0],), rests_on=(STEP[form[0]],)), WIDTH)}


def draw(skill: Skill, n: int, rng: np.random.Generator, active: int = WIDTH) -> tuple[Digits, Digits, Digits]:
    """``n`` questions of a skill: operands ``a``, ``b`` in its region and ``c``, each ``(n, 3)``.

    Args:
        skill: Whose region.
        n: How many.
        rng: Where every draw comes from.
        active: In how many columns, 1 to 3, digits are drawn; the others hold zeros. Never fewer than ``skill.least``.
    """
    found = [np.zeros((0, 3, WIDTH), np.int64)]
    have, active = 0, max(active, skill.least)
    while have < n:
        rows = rng.integers(10, size=(2 * n + 32, 3, WIDTH))
        if active < WIDTH:
            idle = rng.random((len(rows), WIDTH)).argsort(axis=1) >= active
            rows = np.where(idle[:, None, :], 0, rows)
        if skill.region is not anywhere:
            rows = rows[skill.region(rows[:, 0], rows[:, 1])]
        found.append(rows)
        have += len(rows)
    drawn = (found[1] if len(found) == 2 else np.concatenate(found))[:n]
    return drawn[:, 0], drawn[:, 1], drawn[:, 2]
