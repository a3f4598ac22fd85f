"""The kinds of problem: how each is worded, what its numbers may be, and what its answer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tasks.words.lexicon import DAYS
from tasks.words.wording import Slots, Wording

HOURS = 12


@dataclass(frozen=True)
class ProblemKind:
    """A skill.

    Attributes:
        name: In the catalogue.
        answer: The answer from what fills the places; ``None`` where that makes no problem.
        taught: Wordings of the splits and of what is taught, in equal shares.
        other: A wording of the transfer split, which no example uses.
        told: How a story tells it, with its answer in the place ``{answer}``; empty for what no story tells.
        limits: Of each number, least and most.
        drilled: Share of the drills that the student was pre-trained on; 0 for what it never was asked.
        needs: More basic skills that its problems need too.
    """

    name: str
    answer: Callable[[Slots], str | None]
    taught: tuple[str, ...]
    other: str
    told: str = ""
    limits: tuple[tuple[str, int, int], ...] = (("x", 2, 12), ("y", 2, 12))
    drilled: float = 0.0
    needs: tuple[str, ...] = ()

    @cached_property
    def wordings(self) -> tuple[Wording, ...]:
        """All ways to ask it; the last is that of the transfer split."""
        return tuple(Wording(text) for text in (*self.taught, self.other))


def _computed(compute: Callable[..., int]) -> Callable[[Slots], str | None]:
    """An answer computed from the numbers of a problem, in the order of their letters; never below zero."""

    def answer(slots: Slots) -> str | None:
        found = compute(*(int(slots[letter]) for letter in "xyz" if letter in slots))
        return str(found) if found >= 0 else None

    return answer


def _filler(letter: str) -> Callable[[Slots], str | None]:
    """An answer that is what fills a place."""
    return lambda slots: slots[letter]


def _more(slots: Slots) -> str | None:
    x, y = int(slots["x"]), int(slots["y"])
    return None if x == y else slots["a" if x > y else "b"]


def _later_day(slots: Slots) -> str | None:
    return DAYS[(DAYS.index(slots["d"]) + int(slots["x"])) % len(DAYS)]


def _later_hour(x: int, y: int) -> int:
    return (x + y - 1) % HOURS + 1 if 1 <= x <= HOURS else -1


def _shared_evenly(x: int, y: int) -> int:
    return x // y if y and x % y == 0 and x // y < 10 else -1


SMALL = (("x", 2, 9), ("y", 2, 9))

CATALOGUE: tuple[ProblemKind, ...] = (
    ProblemKind(
        "where",
        _filler("p"),
        taught=(
            "{a} is in the {p}. {b} is in the {q}. where is {a}?",
            "{b} is in the {q}. {a} is in the {p}. where is {a}?",
            "{b} is in the {q}, {a} is in the {p} and {c} is in the {r}. where is {a}?",
        ),
        other="{a} went to the {p}. {b} went to the {q}. where is {a}?",
        told="{a} is in the {p} and {b} is in the {q}. so {a} is in the {answer}.",
        limits=(),
        drilled=1.0,
    ),
    ProblemKind(
        "more",
        _more,
        taught=(
            "{a} has {x} {t}. {b} has {y} {t}. who has more?",
            "{a} found {x} {t} and {b} found {y}. who found more?",
        ),
        other="{a} has {x} {t} and {b} has {y}. who has more {t}?",
        told="{a} has {x} {t} and {b} has {y} {t}. so {answer} has more.",
        drilled=1.0,
    ),
    ProblemKind(
        "add",
        _computed(lambda x, y: x + y),
        taught=(
            "{a} has {x} {t}. {a} gets {y} more. how many {t} has {a} now?",
            "there are {x} {t} in the {p}. {a} brings {y} more. how many {t} are there now?",
            "{a} had {x} {t} and found {y} more. how many now?",
        ),
        other="{a} has {x} {t} and finds {y} more. how many {t} are there now?",
        told="{a} has {x} {t} and gets {y} more. now {a} has {answer} {t}.",
        drilled=1.0,
    ),
    ProblemKind(
        "take",
        _computed(lambda x, y: x - y),
        taught=(
            "{a} has {x} {t}. {a} gives {y} to {b}. how many {t} has {a} left?",
            "there are {x} {t} in the {p}. {a} takes {y}. how many are left?",
            "{a} had {x} {t} and lost {y}. how many are left?",
        ),
        other="{a} has {x} {t}. {b} takes {y}. how many {t} are left?",
        told="{a} has {x} {t} and gives {y} to {b}. now {a} has {answer} {t}.",
        limits=(("x", 3, 18), ("y", 2, 12)),
        drilled=1.0,
    ),
    ProblemKind(
        "groups",
        _computed(lambda x, y: x * y),
        taught=(
            "there are {x} bags with {y} {t} in each. how many {t} are there?",
            "{a} fills {x} boxes with {y} {t} each. how many {t} is that?",
        ),
        other="{a} has {x} bags with {y} {t} in each. how many {t} is that?",
        told="{a} fills {x} bags with {y} {t} each. that is {answer} {t}.",
        limits=SMALL,
        drilled=0.15,
    ),
    ProblemKind(
        "total",
        _computed(lambda x, y: x + y),
        taught=(
            "{a} has {x} {t}. {b} has {y} {t}. how many {t} have they together?",
            "{a} brings {x} {t} and {b} brings {y}. how many is that together?",
        ),
        other="{a} found {x} {t} and {b} found {y}. how many {t} have they together?",
        told="{a} has {x} {t} and {b} has {y} {t}. together they have {answer}.",
        drilled=0.05,
        needs=("add",),
    ),
    ProblemKind(
        "twice",
        _computed(lambda x: 2 * x),
        taught=(
            "{a} has {x} {t}. {b} has twice as many. how many {t} has {b}?",
            "{a} found {x} {t} and {b} found twice as many. how many found {b}?",
        ),
        other="{a} brings {x} {t}. {b} brings twice as many. how many {t} brings {b}?",
        told="{a} has {x} {t} and {b} has twice as many. so {b} has {answer}.",
        limits=(("x", 2, 30),),
        drilled=0.05,
    ),
    ProblemKind(
        "last",
        _filler("k"),
        taught=(
            "{a} sees the {i}, then the {j}, then the {k}. what does {a} see last?",
            "first comes the {i}, then the {j}, then the {k}. which comes last?",
        ),
        other="{a} finds the {i}, then the {j}, then the {k}. what does {a} find last?",
        told="{a} sees the {i}, then the {j}, then the {k}. the last is the {answer}.",
        limits=(),
        drilled=0.03,
    ),
    ProblemKind(
        "difference",
        _computed(lambda x, y: x - y),
        taught=(
            "{a} has {x} {t}. {b} has {y} {t}. how many more has {a}?",
            "{a} found {x} {t} and {b} found {y}. how many more found {a}?",
        ),
        other="{a} brings {x} {t} and {b} brings {y} {t}. how many more brings {a}?",
        limits=(("x", 3, 18), ("y", 2, 12)),
        needs=("take",),
    ),
    ProblemKind(
        "moved",
        _filler("q"),
        taught=(
            "{a} went to the {p}. {b} went to the {r}. then {a} went to the {q}. where is {a} now?",
            "{a} went to the {p}. then {a} went to the {q}. {b} went to the {r}. where is {a} now?",
        ),
        other="{b} is in the {r}. {a} is in the {p}. then {a} went to the {q}. where is {a}?",
        limits=(),
        needs=("where",),
    ),
    ProblemKind(
        "carried",
        _filler("p"),
        taught=(
            "{a} took the {i}. {b} took the {j}. {a} went to the {p}. {b} went to the {q}. where is the {i}?",
            "{b} took the {j}. {a} took the {i}. {b} went to the {q}. {a} went to the {p}. where is the {i}?",
        ),
        other="{a} has the {i}. {b} has the {j}. {b} is in the {q}. {a} is in the {p}. where is the {i}?",
        limits=(),
        needs=("where",),
    ),
    ProblemKind(
        "three",
        _computed(lambda x, y, z: x + y + z),
        taught=(
            "{a} has {x} {t}. {b} has {y} {t}. {c} has {z} {t}. how many {t} have they together?",
            "{a} brings {x} {t}, {b} brings {y} and {c} brings {z}. how many is that together?",
        ),
        other="{a} found {x} {t}, {b} found {y} and {c} found {z}. how many {t} have they together?",
        limits=(("x", 2, 7), ("y", 2, 7), ("z", 2, 7)),
        needs=("total", "add"),
    ),
    ProblemKind(
        "chain",
        _computed(lambda x, y, z: x + y - z),
        taught=(
            "{a} has {x} {t}. {a} gets {y} more. then {a} gives {z} to {b}. how many {t} has {a} left?",
            "{a} had {x} {t}, found {y} more and lost {z}. how many are left?",
        ),
        other="there are {x} {t} in the {p}. {a} brings {y} more. then {b} takes {z}. how many are left?",
        limits=(("x", 2, 9), ("y", 2, 9), ("z", 2, 9)),
        needs=("add", "take"),
    ),
    ProblemKind(
        "share",
        _computed(_shared_evenly),
        taught=(
            "{a} puts {x} {t} into {y} bags, the same in each. how many {t} are in one bag?",
            "{y} friends share {x} {t}. how many {t} does each get?",
        ),
        other="{a} shares {x} {t} with {y} friends, the same for each. how many {t} does each get?",
        limits=(("x", 4, 81), ("y", 2, 9)),
        needs=("groups",),
    ),
    ProblemKind(
        "clock",
        _computed(_later_hour),
        taught=(
            "{a} is in the {p}. it is {x} on the clock. what is it in {y} hours?",
            "{a} comes at {x} and stays {y} hours. when does {a} go?",
        ),
        other="it is {x}. {a} comes in {y} hours. when does {a} come?",
        limits=(("x", 1, 12), ("y", 2, 11)),
    ),
    ProblemKind(
        "days",
        _later_day,
        taught=(
            "{a} and {b} come on {d}. which day is it in {x} days?",
            "{a} comes on {d} and stays {x} days. on which day does {a} go?",
        ),
        other="it is {d}. {a} comes in {x} days. which day is that?",
        limits=(("x", 2, 13),),
    ),
    ProblemKind(
        "tallest",
        _filler("a"),
        taught=(
            "{a} is taller than {b}. {b} is taller than {c}. who is the tallest?",
            "{b} is taller than {c}. {a} is taller than {b}. who is the tallest?",
            "{c} is not as tall as {b}. {b} is not as tall as {a}. who is the tallest?",
        ),
        other="{b} is not as tall as {a}. {b} is taller than {c}. who is the tallest?",
        limits=(),
    ),
    ProblemKind(
        "change",
        _computed(lambda x, y: x - y),
        taught=(
            "{a} pays {x} for the {i}, which costs {y}. how much does {a} get back?",
            "the {i} costs {y}. {a} gives {x}. how much is that too much?",
        ),
        other="the {i} costs {y} and {a} pays {x}. how much does {a} get back?",
        limits=(("x", 20, 60), ("y", 5, 60)),
        needs=("take",),
    ),
)
