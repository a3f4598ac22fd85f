"""The skills of ``programs``: which steps each of them puts together, and how its problems are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from tasks.prior import check_shares
from tasks.programs.derivation import CANDIDATES, Derivation, Step, by_example, candidates
from tasks.programs.forms import FORMS, NUMBERS, SIGN, Form
from tasks.programs.values import LETTERS, SIGNS

MOST_WEIGHT = 100
"""Forms are drawn in proportion to their sets of constants, up to this many."""
Group = tuple[Form, ...]


@dataclass(frozen=True)
class ProgramShape:
    """A part of a skill: programs with the same kinds of steps.

    Attributes:
        name: Of the part.
        letters: The arguments it may have.
        groups: For each step the forms that it may be.
        examples: Whether it is described by examples of what it gives.
        unseen: Whether two neighbouring steps are a pair of forms that lessons leave out; ``None`` for any pairs.
    """

    name: str
    letters: str
    groups: tuple[Group, ...]
    examples: bool = False
    unseen: bool | None = None

    def draw(self, rng: np.random.Generator, share: float = 1.0) -> Derivation:
        """A derivation; numbers keep to the lowest ``share`` of their range."""
        while True:
            letter = self.letters[rng.integers(len(self.letters))]
            found = self._shown(rng) if self.examples else self._steps(letter, rng, share)
            if found is not None and self._fits([step.form for step in found.steps]):
                return found

    def holds(self, letter: str, forms: Sequence[Form], examples: bool) -> bool:
        """Whether some program of this shape has these steps."""
        fits = letter in self.letters and examples == self.examples and len(forms) == len(self.groups)
        fits = fits and all(form in group for form, group in zip(forms, self.groups, strict=True))
        return fits and self._fits(forms)

    def _fits(self, forms: Sequence[Form]) -> bool:
        """Whether some neighbouring steps are a pair that lessons leave out, as ``unseen`` wants it.

        A quarter of the pairs is left out. Each form of either step is taught in other pairs.
        """
        if self.unseen is None:
            return True
        places = [group.index(form) for form, group in zip(forms, self.groups, strict=True)]
        return self.unseen == any((2 * i + j) % 4 == 3 for i, j in pairwise(places))

    def _steps(self, letter: str, rng: np.random.Generator, share: float) -> Derivation:
        steps = []
        for group, chances in zip(self.groups, self._chances, strict=True):
            form = group[int(np.searchsorted(chances, rng.random(), side="right"))]
            steps.append(Step.of(form, {x: _constant(form, x, rng, share) for x in form.letters}))
        return Derivation(letter, tuple(steps))

    def _shown(self, rng: np.random.Generator) -> Derivation | None:
        """Two inputs and their values, on which one candidate differs from all others."""
        step = candidates()[rng.integers(len(candidates()))]
        sizes = rng.integers(1, 4, size=2) + (rng.integers(1, 3) if step.form.skill == "slice" else 0)
        shown = tuple(tuple(int(x) for x in rng.integers(0, 30, size=n)) for n in sizes)
        derivation = Derivation("v", (step,), shown)
        text = derivation.describe("compact")[3:-1]
        return derivation if by_example(text, "compact") == derivation else None

    @cached_property
    def _chances(self) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """For each step the cumulated chances of its forms."""
        weights = [np.array([min(form.size, MOST_WEIGHT) for form in group], np.float64) for group in self.groups]
        return [np.cumsum(w)[:-1] / w.sum() for w in weights]


def _constant(form: Form, letter: str, rng: np.random.Generator, share: float) -> str:
    if letter in NUMBERS:
        low, high = form.bounds(letter)
        return str(low + int(rng.integers(max(1, round((high - low) * share)) + 1)))
    return (SIGNS if letter == SIGN else LETTERS)[rng.integers(len(SIGNS) if letter == SIGN else len(LETTERS))]


@dataclass(frozen=True)
class ProgramSkill:
    """A row of the catalogue.

    Attributes:
        name: Of the skill.
        shapes: Its parts, which its problems take in turn.
    """

    name: str
    shapes: tuple[ProgramShape, ...]

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Itself and the skills of its steps."""
        steps = [form.skill for shape in self.shapes for group in shape.groups for form in group]
        return tuple(dict.fromkeys([self.name, *steps]))


def skills_of(name: str, derivation: Derivation) -> tuple[str, ...]:
    """The skills of one program: the one it is counted in, and then those of its steps."""
    return tuple(dict.fromkeys([name, *(step.form.skill for step in derivation.steps)]))


def _of(skill: str, *starts: str) -> Group:
    """The forms of a skill whose compact description begins so; all of them where nothing is said."""
    return tuple(form for form in FORMS if form.skill == skill and form.compact.startswith(starts or ("",)))


_MAPS = _of("map")
_FILTERS = tuple(form for form in _of("filter") if "v" in form.takes)
_SORTS = tuple(form for form in _of("sort") if "v" in form.takes)
_KEYED = tuple(form for form in _SORTS if form.letters)
_WORD_SORTS = tuple(form for form in _of("sort") if form.takes == "w")
_FOLDS = tuple(form for form in _of("agg") if form.part == "fold")
_OF_ANY = tuple(form for form in _FOLDS if "i" in form.takes)
_CALCULATIONS = _of("arith", "plus", "minus", "times", "mod")
_SLICES = tuple(form for form in _of("slice") if form.letters)
_SHORT = _of("slice", "first", "last", "drop", "cut")

CATALOGUE: tuple[ProgramSkill, ...] = (
    ProgramSkill(
        "slice",
        (
            ProgramShape("ends", "vsw", (_SHORT,)),
            ProgramShape("ranges", "vsw", (_of("slice", "from"),)),
            ProgramShape("strides", "vsw", (_of("slice", "every"),)),
        ),
    ),
    ProgramSkill(
        "map",
        (
            ProgramShape("one constant", "v", (tuple(form for form in _MAPS if len(form.letters) == 1),)),
            ProgramShape("times and plus", "v", (_of("map", "each x*{a}+"),)),
            ProgramShape("two others", "v", (_of("map", "each (x+", "each x%{a}+"),)),
        ),
    ),
    ProgramSkill(
        "filter",
        (
            ProgramShape("bounds", "v", (_of("filter", "keep x>", "keep x<", "keep x!="),)),
            ProgramShape("remainders", "v", (_of("filter", "keep x%"),)),
            ProgramShape("between", "v", (_of("filter", "keep {a}"),)),
            ProgramShape("words", "w", (_of("filter", "keep with"),)),
        ),
    ),
    ProgramSkill(
        "agg",
        (
            ProgramShape("numbers", "v", (_FOLDS, _CALCULATIONS)),
            ProgramShape("counts", "v", (_of("agg", "count"), _CALCULATIONS)),
        ),
    ),
    ProgramSkill("sort", (ProgramShape("numbers", "v", (_KEYED,)), ProgramShape("words", "w", (_WORD_SORTS,)))),
    ProgramSkill(
        "cond",
        (
            ProgramShape("greater", "n", (_of("cond", "if n>"),)),
            ProgramShape("less", "n", (_of("cond", "if n<"),)),
            ProgramShape("divides", "n", (_of("cond", "if n%"),)),
        ),
    ),
    ProgramSkill(
        "arith",
        (
            ProgramShape("two steps", "n", (_of("arith"), _of("arith"))),
            ProgramShape("three steps", "n", (_of("arith"), _of("arith"), _of("arith"))),
        ),
    ),
    ProgramSkill(
        "text",
        (
            ProgramShape("changes", "s", (_of("text", "replace", "append", "put"),)),
            ProgramShape("looks", "s", (_of("text", "find", "letters"),)),
            ProgramShape("joins", "w", (_of("text", "join"),)),
            ProgramShape("cuts", "s", (_of("text", "cut"), (*_SLICES,))),
        ),
    ),
    ProgramSkill(
        "parse",
        (
            ProgramShape("then map", "t", (_of("parse"), _MAPS)),
            ProgramShape("then aggregate", "t", (_of("parse"), _OF_ANY, _CALCULATIONS)),
            ProgramShape("then filter", "t", (_of("parse"), _FILTERS)),
        ),
    ),
    ProgramSkill(
        "dict",
        (
            ProgramShape("of numbers", "v", (tuple(form for form in _of("dict", "dict") if form.takes == "v"),)),
            ProgramShape("of words", "w", (tuple(form for form in _of("dict", "dict") if form.takes == "w"),)),
            ProgramShape("values", "d", (_of("dict", "values", "keys"),)),
            ProgramShape("got", "d", (_of("dict", "get"),)),
        ),
    ),
    ProgramSkill(
        "nest",
        (
            ProgramShape("rows", "m", (_of("nest", "rows to"),)),
            ProgramShape("items", "m", (_of("nest", "all", "flat", "item", "rows with"),)),
        ),
    ),
    ProgramSkill("recur", (ProgramShape("whole", "n", (_of("recur"),)),)),
    ProgramSkill(
        "pipe",
        (
            ProgramShape("sort and slice", "v", (_SORTS, _SHORT), unseen=False),
            ProgramShape("filter and slice", "v", (_FILTERS, _SHORT), unseen=False),
            ProgramShape("slice and filter", "v", (_SHORT, _FILTERS), unseen=False),
            ProgramShape("slice and map", "v", (_SHORT, _MAPS), unseen=False),
        ),
    ),
    ProgramSkill(
        "comp",
        (
            ProgramShape("filter and aggregate", "v", (_FILTERS, _FOLDS), unseen=False),
            ProgramShape("map and aggregate", "v", (_MAPS, _FOLDS), unseen=False),
            ProgramShape("all three", "v", (_FILTERS, _MAPS, _FOLDS), unseen=False),
        ),
    ),
    ProgramSkill(
        "byex",
        (ProgramShape("whole", "v", (tuple(form for form in FORMS if form.compact in CANDIDATES),), examples=True),),
    ),
)


def _left_out(name: str) -> ProgramSkill:
    """A skill with the pairs of steps that its lessons leave out."""
    (taught,) = (skill for skill in CATALOGUE if skill.name == name)
    return ProgramSkill(name, tuple(replace(shape, unseen=True) for shape in taught.shapes))


UNTAUGHT: Mapping[str, tuple[ProgramSkill, ...]] = {
    "kinds": (_left_out("pipe"), _left_out("comp")),
    "pairs": (
        ProgramSkill("pipe", (ProgramShape("map and slice", "v", (_MAPS, _SHORT)),)),
        ProgramSkill("pipe", (ProgramShape("filter and sort", "v", (_FILTERS, _SORTS)),)),
        ProgramSkill("pipe", (ProgramShape("sort and map", "v", (_SORTS, _MAPS)),)),
        ProgramSkill("comp", (ProgramShape("slice and aggregate", "v", (_SHORT, _FOLDS)),)),
    ),
    "longer": (
        ProgramSkill("pipe", (ProgramShape("filter, sort and slice", "v", (_FILTERS, _SORTS, _SHORT)),)),
        ProgramSkill("pipe", (ProgramShape("slice, map and filter", "v", (_SHORT, _MAPS, _FILTERS)),)),
        ProgramSkill("comp", (ProgramShape("parse, filter and aggregate", "t", (_of("parse"), _FILTERS, _OF_ANY)),)),
        ProgramSkill("comp", (ProgramShape("rows and aggregate", "m", (_of("nest", "rows to"), _FOLDS)),)),
    ),
}
"""Compositions that no generated example holds, by the suite of the transfer split. Their steps are all taught."""


def chosen(skills: Sequence[str], known: Mapping[str, float]) -> tuple[ProgramSkill, ...]:
    """Rows of the catalogue by name.

    Raises:
        ValueError: If a name is unknown or stands twice, a share is no number above zero, or a skill needs one that is
            not there.
    """
    everything = {skill.name: skill for skill in CATALOGUE}
    names = tuple(skills) or tuple(everything)
    unknown = [name for name in names if name not in everything]
    if unknown:
        raise ValueError(f"skills has {unknown[0]!r}; give some of {', '.join(everything)}")
    if len(set(names)) < len(names):
        raise ValueError("skills names one twice; give each once")
    check_shares(known, names)
    rows = tuple(everything[name] for name in names)
    for skill in rows:
        lacking = [needed for needed in skill.needs if needed not in names]
        if lacking:
            raise ValueError(f"skills has {skill.name!r}, which needs {lacking[0]!r}; name {lacking[0]!r} too")
    return rows
