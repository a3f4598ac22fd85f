"""``reasoning``: families of reasoning-gym as skills, with short questions, short answers and their own verifiers.

reasoning-gym seeds item ``i`` of a data set with ``seed + i``, so that two data sets of near seeds share most of their
questions. Here every item has an index of its own, drawn from ``INDICES``, and questions are told apart by their text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from tasks.base import Task
from tasks.checkers.text import contains, last_number_in, to_number
from tasks.jsonl.columns import identity
from tasks.records import Example, Grade, Problem, Split, stream

SEALED: dict[Split, int] = {"feedback": 50, "selection": 50, "test": 100}
"""Problems per family."""
TRANSFER = 10
"""Problems per family that has harder ones."""
POOL = 300
"""Pool examples per family."""
INDICES = 1 << 62
_SEED = 0
_ORIGIN = re.compile(r"reasoning/([a-z_]{1,40})/(\d{0,6})/(\d{1,19})", re.ASCII)


@dataclass(frozen=True)
class Family:
    """A reasoning-gym data set and how it is set up.

    Attributes:
        config: Its arguments; what is not given is as the package has it.
        knob: The arguments that difficulty sets; none where no one argument makes it harder.
        reach: Their value at difficulty 0 and at 1.
        beyond: What is changed for the transfer split; empty for none.
    """

    config: Mapping[str, Any]
    knob: tuple[str, ...] = ()
    reach: tuple[int, int] = (0, 0)
    beyond: Mapping[str, Any] = field(default_factory=dict)


_DIGITS = ("min_digits", "max_digits")
_TWO = {"min_terms": 2, "max_terms": 2}
_THREE = {"min_terms": 3, "max_terms": 3}
_PAIR = {"min_numbers": 2, "max_numbers": 2, "min_value": 2}
FAMILIES: dict[str, Family] = {
    "chain_sum": Family({**_TWO, "min_digits": 1, "max_digits": 2}, _DIGITS, (1, 2), _THREE),
    "decimal_chain_sum": Family(
        {**_TWO, "min_digits": 1, "max_digits": 1, "min_decimal_places": 1, "max_decimal_places": 1}, beyond=_THREE
    ),
    "products": Family({**_TWO, "min_digits": 1, "max_digits": 2}, _DIGITS, (1, 2), {**_THREE, "max_digits": 1}),
    "gcd": Family({**_PAIR, "max_value": 60}, ("max_value",), (30, 60), {"min_value": 61, "max_value": 200}),
    "lcm": Family({**_PAIR, "max_value": 40}, ("max_value",), (25, 40), {"min_value": 41, "max_value": 99}),
    "fraction_simplification": Family(
        {"min_value": 1, "max_value": 20, "min_factor": 2, "max_factor": 9, "styles": ("plain",)},
        ("max_value",),
        (10, 20),
        {"min_value": 21, "max_value": 60},
    ),
    "simple_equations": Family(
        {**_TWO, "min_value": 1, "max_value": 20, "operators_weights": (0.5, 0.5, 0.0)}, ("max_value",), (9, 20), _THREE
    ),
    "base_conversion": Family(
        {"min_base": 2, "max_base": 10, "min_value": 1, "max_value": 200},
        ("max_value",),
        (50, 200),
        {"min_value": 201, "max_value": 400},
    ),
    "count_bits": Family({"min_n": 1, "max_n": 2000}, ("max_n",), (500, 2000), {"min_n": 2001, "max_n": 9999}),
    "count_primes": Family({"min_n": 1, "max_n": 100}, ("max_n",), (60, 100), {"min_n": 101, "max_n": 200}),
    "spell_backward": Family(
        {"min_word_len": 3, "max_word_len": 6},
        ("min_word_len", "max_word_len"),
        (3, 6),
        {"min_word_len": 7, "max_word_len": 8},
    ),
    "calendar_arithmetic": Family({}),
}


@dataclass(frozen=True)
class _Item:
    """A question of a family, with all that its verifier asks for."""

    family: str
    origin: str
    entry: Mapping[str, Any]

    @property
    def question(self) -> str:
        return str(self.entry["question"]).strip()

    @property
    def answer(self) -> str:
        return str(self.entry["answer"]).strip()


class Reasoning(Task):
    """Families of reasoning-gym (Apache-2.0), each a skill.

    Difficulty sets the one argument of a family that makes its numbers or words longer (``Family.knob``); the families
    without one ignore it. ``transfer`` holds longer or larger questions than any that is taught.

    Args:
        families: Some of ``FAMILIES``, each once; all of them where it is not given.

    Raises:
        ValueError: If a family is unknown or named twice, or reasoning-gym is not installed.
    """

    name: ClassVar[str] = "reasoning"
    version: ClassVar[str] = "1"

    def __init__(self, families: Sequence[str] = tuple(FAMILIES)) -> None:
        unknown = [name for name in families if name not in FAMILIES]
        if unknown or not families or len(set(families)) < len(families):
            said = f"has {unknown[0]!r}" if unknown else "is empty" if not families else "names one twice"
            raise ValueError(f"families {said}; give some of {', '.join(FAMILIES)}, each once")
        if find_spec("reasoning_gym") is None:
            raise ValueError("task 'reasoning' needs the package reasoning-gym; pip install 'dataenv[data]'")
        self.skills = tuple(families)
        self._sets: dict[tuple[str, str], Any] = {}

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, by family; ``transfer`` is shuffled."""
        return self._problems[name]

    def identity(self, prompt: str) -> str:
        """The question's text, but for whitespace and Unicode forms; see ``tasks.jsonl.columns.identity``."""
        return identity(prompt)

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the family's verifier gives the trimmed response its full score.

        Lenient: the last number of the response earns that; where the answer is no number, its words stand in the
        response.
        """
        item = self._asked.get(identity(problem.prompt))
        if item is None:
            return Grade(correct=False, error=f"problem {problem.id!r} is none of this task")
        try:
            return self._verdict(item, response)
        except Exception as error:  # the verifier is another's code: its failure is said, and is no wrong answer
            return Grade(correct=False, error=f"verifier of {item.family} raises {type(error).__name__}: {error!s:.80}")

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """``n`` fresh examples of a family, none of them sealed, and none twice while there are others.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        level = _level(FAMILIES[skill], difficulty)
        made: list[_Item] = []
        seen: set[str] = set()
        patience = 20 * n + 100
        for tries in range(10 * patience):
            if len(made) == n:
                break
            item = self._item(skill, level if tries < patience else "", int(rng.integers(INDICES)))
            name = identity(item.question)
            if name not in self.sealed and (name not in seen or tries > 2 * patience):
                seen.add(name)
                made.append(item)
        assert len(made) == n, f"{skill} has too few questions beside the sealed ones"
        return [_example(item) for item in made]

    def pool(self) -> Sequence[Example]:
        """Three hundred fixed examples of each family, none of them sealed."""
        return self._pool

    def judge(self, example: Example) -> bool | None:
        """The verifier's word on an example whose origin names one of its items; ``None`` for any other."""
        named = _ORIGIN.fullmatch(example.origin)
        if named is None or named[1] not in self.skills or int(named[3]) >= INDICES:
            return None
        low, high = FAMILIES[named[1]].reach
        if named[2] and not (FAMILIES[named[1]].knob and low <= int(named[2]) <= high):
            return None
        item = self._item(named[1], named[2], int(named[3]))
        if item.question != example.prompt:
            return None
        try:
            return self._verdict(item, example.response).correct
        except Exception:  # see grade: a verifier that fails cannot tell
            return None

    def same(self, example: Example, answer: str) -> bool:
        """Whether an answer is equal as a text or as a number, or the verifier takes both it and the response.

        Only of an example whose response the verifier takes is it asked about another answer.
        """
        said, own = answer.strip(), example.response.strip()
        number = to_number(own)
        if said == own or (number is not None and to_number(said) == number):
            return True
        other = example.model_copy(update={"response": answer})
        return self.judge(example) is True and self.judge(other) is True

    @cached_property
    def _items(self) -> dict[Split, list[_Item]]:
        """The sealed questions. A question is dealt once, to the first split that draws it."""
        dealt: dict[Split, list[_Item]] = {name: [] for name in (*SEALED, "transfer")}
        seen: set[str] = set()
        for family in self.skills:
            rng = stream(_SEED, f"reasoning {family}")
            for split, count in SEALED.items():
                dealt[split] += self._deal(family, "", count, rng, seen)
            if FAMILIES[family].beyond:
                dealt["transfer"] += self._deal(family, "beyond", TRANSFER, rng, seen)
        order = stream(_SEED, "reasoning transfer").permutation(len(dealt["transfer"]))
        dealt["transfer"] = [dealt["transfer"][i] for i in order]
        return dealt

    def _deal(self, family: str, level: str, count: int, rng: np.random.Generator, seen: set[str]) -> list[_Item]:
        found: list[_Item] = []
        while len(found) < count:
            item = self._item(family, level, int(rng.integers(INDICES)))
            name = identity(item.question)
            if name not in seen:
                seen.add(name)
                found.append(item)
        return found

    @cached_property
    def _problems(self) -> dict[Split, tuple[Problem, ...]]:
        return {
            split: tuple(
                Problem(id=f"{split}/{i}", prompt=x.question, answer=x.answer, skills=(x.family,), split=split)
                for i, x in enumerate(items)
            )
            for split, items in self._items.items()
        }

    @cached_property
    def _asked(self) -> dict[str, _Item]:
        return {identity(item.question): item for items in self._items.values() for item in items}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(e for f in self.skills for e in self.generate(f, POOL, stream(_SEED, f"reasoning pool {f}")))

    def _item(self, family: str, level: str, index: int) -> _Item:
        """An item by its index; ``level`` is the knob's value, ``beyond``, or empty for the family's own spread."""
        return _Item(family, f"reasoning/{family}/{level}/{index}", self._set(family, level)[index])

    def _set(self, family: str, level: str) -> Any:
        """A data set, made once; its seed is 0, so that an item's index alone decides it."""
        if (family, level) not in self._sets:
            setup = FAMILIES[family]
            config = dict(setup.config)
            config |= setup.beyond if level == "beyond" else {name: int(level) for name in setup.knob if level}
            self._sets[family, level] = _factory()(family, seed=0, size=1, **config)
        return self._sets[family, level]

    def _verdict(self, item: _Item, response: str) -> Grade:
        score = self._set(item.family, "").score_answer
        right, is_number = bool(score(response.strip(), item.entry) >= 1), to_number(item.answer) is not None
        if right and is_number and "," in response and to_number(response) is None:
            right = False  # some verifiers drop every comma, so that "0,0" is 0
        if right or not is_number:
            return Grade(correct=right, lenient=right or contains(item.answer, response))
        return Grade(correct=False, lenient=bool(score(last_number_in(response), item.entry) >= 1))


def _factory() -> Any:
    """``create_dataset`` of reasoning-gym, which draws from the generator that everybody shares while it is loaded."""
    before = random.getstate()
    from reasoning_gym.factory import create_dataset

    random.setstate(before)
    return create_dataset


def _level(family: Family, difficulty: float | None) -> str:
    low, high = family.reach
    return "" if difficulty is None or not family.knob else str(low + round(difficulty * (high - low)))


def _example(item: _Item) -> Example:
    return Example(prompt=item.question, response=item.answer, skills=(item.family,), origin=item.origin)
