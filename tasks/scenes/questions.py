"""The kinds of question about a scene: how each is drawn, written, read and answered.

Every kind draws the answer first and then a scene that has it, so all answers of a kind are equally frequent and
nothing is to be had from the question alone: the blind prior is one over the number of answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tasks.scenes.drawing import COLOURS, GRID, SHAPES, SIZES, Scene, Thing, slack

Look = tuple[str, str]
"""A colour and a shape."""
MOST = 6
"""Things in a scene, at the most."""
NUMBERS = ("0", "1", "2", "3", "4")
HELD = (("red", "triangle"), ("blue", "cross"), ("yellow", "circle"), ("purple", "square"))
"""Looks that no lesson and no split but transfer shows."""
TRIES = 100


class SceneQuestion(NamedTuple):
    """A kind of question.

    Attributes:
        name: The skill.
        form: Of the text; ``{color}``, ``{shape}``, ``{color2}`` and ``{shape2}`` are filled in.
        answers: All that there are.
        fewest: Things that a scene needs for it.
        answer: Of a scene and what fills the form; ``None`` where the question has no answer there.
    """

    name: str
    form: str
    answers: tuple[str, ...]
    fewest: int
    answer: Callable[[Scene, Mapping[str, str]], str | None]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Reads the form."""
        parts = re.split(r"\{(\w+)\}", self.form)
        return re.compile("".join(f"(?P<{p}>[a-z]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)))


def _only(things: Sequence[Thing]) -> Thing | None:
    return things[0] if len(things) == 1 else None


def _like(scene: Scene, colour: str | None = None, shape: str | None = None) -> list[Thing]:
    return [t for t in scene if colour in (None, t.colour) and shape in (None, t.shape)]


def _color(scene: Scene, slots: Mapping[str, str]) -> str | None:
    thing = _only(_like(scene, shape=slots["shape"]))
    return thing and thing.colour


def _shape(scene: Scene, slots: Mapping[str, str]) -> str | None:
    thing = _only(_like(scene, slots["color"]))
    return thing and thing.shape


def _size(scene: Scene, slots: Mapping[str, str]) -> str | None:
    thing = _only(_like(scene, slots["color"], slots["shape"]))
    return thing and thing.size


def _count(scene: Scene, slots: Mapping[str, str]) -> str | None:
    n = len(scene)
    return str(n) if n < len(NUMBERS) else None


def _count_color(scene: Scene, slots: Mapping[str, str]) -> str | None:
    n = len(_like(scene, slots["color"]))
    return str(n) if n < len(NUMBERS) else None


def _exists(scene: Scene, slots: Mapping[str, str]) -> str | None:
    """A trap where there is none: a thing of this colour and one of this shape, so that both words are needed."""
    there = bool(_like(scene, slots["color"], slots["shape"]))
    halves = _like(scene, slots["color"]) and _like(scene, shape=slots["shape"])
    return "yes" if there else "no" if halves else None


def _where(scene: Scene, slots: Mapping[str, str]) -> str | None:
    thing = _only(_like(scene, slots["color"], slots["shape"]))
    if thing is None:
        return None
    return ("top" if thing.row < GRID // 2 else "bottom") + (" left" if thing.column < GRID // 2 else " right")


def _more(scene: Scene, slots: Mapping[str, str]) -> str | None:
    one, two = len(_like(scene, slots["color"])), len(_like(scene, slots["color2"]))
    return None if one == two else "yes" if one > two else "no"


def _left(scene: Scene, slots: Mapping[str, str]) -> str | None:
    one, two = _only(_like(scene, slots["color"])), _only(_like(scene, slots["color2"]))
    if one is None or two is None or one.column == two.column:
        return None
    return "yes" if one.column < two.column else "no"


_YES = ("yes", "no")
_PLACES = ("top left", "top right", "bottom left", "bottom right")
KINDS = (
    SceneQuestion("color", "what color is the {shape}?", tuple(COLOURS), 1, _color),
    SceneQuestion("shape", "what shape is the {color} thing?", tuple(SHAPES), 1, _shape),
    SceneQuestion("size", "what size is the {color} {shape}?", tuple(SIZES), 1, _size),
    SceneQuestion("count", "how many things are there?", NUMBERS[1:], 1, _count),
    SceneQuestion("count-color", "how many {color} things are there?", NUMBERS[:4], 1, _count_color),
    SceneQuestion("exists", "is there a {color} {shape}?", _YES, 2, _exists),
    SceneQuestion("where", "where is the {color} {shape}?", _PLACES, 1, _where),
    SceneQuestion("more", "are there more {color} than {color2} things?", _YES, 2, _more),
    SceneQuestion("left", "is the {color} thing left of the {color2} one?", _YES, 2, _left),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def solved(scene: Scene, text: str) -> tuple[str, str] | None:
    """The kind of a question and its answer; ``None`` where it is of no kind or has no answer."""
    asked = " ".join(text.lower().split())
    for kind in KINDS:
        if (found := kind.pattern.fullmatch(asked)) is not None:
            slots = found.groupdict()
            known = all(word in (COLOURS if slot.startswith("color") else SHAPES) for slot, word in slots.items())
            answer = kind.answer(scene, slots) if known else None
            return None if answer is None else (kind.name, answer)
    return None


def drawn(
    kind: SceneQuestion, most: int, looks: Sequence[Look], rng: np.random.Generator, must: Sequence[Look] = ()
) -> tuple[Scene, str, str]:
    """A scene, a question of a kind about it, and the answer, every answer equally likely.

    Args:
        kind: Of the question.
        most: Things that the scene may have at the most; more where the question needs more.
        looks: That things may have.
        rng: Where every draw comes from.
        must: Looks of which one is in the scene, and is what is asked about where one thing is; empty for any.
    """
    while True:  # with looks that must be shown, some answers cannot be had
        wanted = kind.answers[int(rng.integers(len(kind.answers)))]
        for _ in range(TRIES):
            colour, shape = _one_of(must or looks, rng)
            slots = {"color": colour, "shape": shape, "color2": _other(colour, rng)}
            planted = _planted(kind.name, wanted, slots, rng)
            asked = [(colour, shape)] if kind.name == "exists" else []  # about what is not there, too
            if not _allowed([*planted, *asked], looks, must):
                continue
            n = max(len(planted), int(rng.integers(kind.fewest, max(kind.fewest, most) + 1)))
            n = int(wanted) if kind.name == "count" else n
            scene = _placed([*planted, *(_one_of(looks, rng) for _ in range(n - len(planted)))], rng)
            if kind.answer(scene, slots) == wanted:
                return scene, kind.form.format(**slots), wanted


def _planted(name: str, wanted: str, slots: Mapping[str, str], rng: np.random.Generator) -> list[Look]:
    """Looks that a scene needs for an answer; a size or a place is drawn until it is the one wanted."""
    look, second = (slots["color"], slots["shape"]), (slots["color2"], _any(SHAPES, rng))
    if name == "color":
        return [(wanted, look[1])]
    if name == "shape":
        return [(look[0], wanted)]
    if name == "count-color":
        return [(look[0], _any(SHAPES, rng)) for _ in range(int(wanted))]
    if name == "exists":
        return [look] if wanted == "yes" else [(look[0], _any(SHAPES, rng)), (_other(look[0], rng), look[1])]
    if name == "more":
        return [look, second, (look if wanted == "yes" else second)]
    return [look, second] if name == "left" else [look]


def _allowed(planted: Sequence[Look], looks: Sequence[Look], must: Sequence[Look]) -> bool:
    """Whether a scene may show these looks, and shows one that it must."""
    return {*planted} <= {*looks, *must} and (not must or not {*planted}.isdisjoint(must))


def _placed(looks: Sequence[Look], rng: np.random.Generator) -> Scene:
    """Things of some looks, each of a size and in a cell that are drawn."""
    names, things = tuple(SIZES), []
    cells = rng.permutation(GRID * GRID)[: len(looks)].tolist()
    sizes, shifts = rng.integers(len(SIZES), size=len(looks)).tolist(), rng.random((len(looks), 2)).tolist()
    for (colour, shape), cell, size, (down, right) in zip(looks, cells, sizes, shifts, strict=True):
        free = slack(names[size]) + 1
        place = (cell // GRID, cell % GRID, int(down * free), int(right * free))
        things.append(Thing(colour, shape, names[size], *place))
    return tuple(sorted(things, key=lambda thing: (thing.row, thing.column)))


def _one_of(looks: Sequence[Look], rng: np.random.Generator) -> Look:
    return looks[int(rng.integers(len(looks)))]


def _any(names: Mapping[str, object], rng: np.random.Generator) -> str:
    return list(names)[int(rng.integers(len(names)))]


def _other(colour: str, rng: np.random.Generator) -> str:
    """Another colour."""
    rest = [name for name in COLOURS if name != colour]
    return rest[int(rng.integers(len(rest)))]
