"""The task ``vqa``: which published questions are sealed, which are taught, and who checks the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks import media
from tasks.base import Task
from tasks.prior import by_share
from tasks.records import Example, Grade, Problem, Split, stream
from tasks.vqa.published import (
    COLOURS,
    Facts,
    Part,
    PublishedQuestion,
    facts_of,
    is_negated,
    named_in,
    pictures_of,
    questions_of,
    words_of,
)

SKILLS = ("color", "shape", "is-color", "is-shape", "not-color", "not-shape")
HELD: dict[Split, range] = {"feedback": range(0, 400), "selection": range(400, 1000)}
"""Published training images that are sealed, by their numbers; the rest is the pool."""
SUITES = ("turned", "noisy")
PER_SUITE = 250
"""Published test images that each suite shows changed."""
NOISE = 32
"""Brightness that noise adds or takes away, at the most."""
_SEED = 0


class Vqa(Task):
    """easy-VQA: questions about a picture of one coloured shape.

    The test split asks the published test questions, all about pictures that no other split shows. Feedback and
    selection hold out published training pictures; those that are left are the pool. Transfer asks test questions about
    changed pictures: ``turned`` upside down, and ``noisy``.

    The skills are the kinds of question: which colour, which shape, whether there is one of a colour or a shape, and
    whether there is not.
    """

    name: ClassVar[str] = "vqa"
    version: ClassVar[str] = "1"
    skills = SKILLS
    shows: ClassVar[tuple[str, ...]] = ("text", "image")

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by kind of question; transfer by suite, its kinds mixed."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the response is the answer; capitals and spaces around it do not count."""
        return Grade(correct=response.strip().lower() == problem.answer)

    def identity(self, prompt: str) -> str:
        """The words of the question."""
        return " ".join(words_of(prompt)) or prompt

    def judge(self, example: Example) -> bool | None:
        """Whether the response is right of a picture of the pool; ``None`` for other pictures and questions."""
        facts = self._known.get(example.media[0]) if len(example.media) == 1 else None
        answer = None if facts is None else answer_to(example.prompt, facts)
        return None if answer is None else example.response.strip().lower() == answer

    def same(self, example: Example, answer: str) -> bool:
        """Whether two answers are the same word."""
        return answer == example.response or answer.strip().lower() == example.response.strip().lower()

    def pool(self) -> Sequence[Example]:
        """The published training questions about pictures that are not sealed, in an order that mixes them."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """Questions of the pool, every kind equally often."""

        def make(skill: str, count: int) -> list[Example]:
            rows = self._by_skill[skill]
            return [rows[i] for i in rng.integers(len(rows), size=count)]

        return by_share(dict.fromkeys(SKILLS, 1.0), n, rng, make)

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        train = questions_of("train")
        made: dict[Split, tuple[Problem, ...]] = {
            split: _grouped(_problems(split, "train", (q for q in train if q.image in images)))
            for split, images in HELD.items()
        }
        made["test"] = _grouped(_problems("test", "test", questions_of("test")))
        return made | {"transfer": tuple(p for suite in SUITES for p in _changed(suite))}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        shown = {name for problems in self._splits.values() for p in problems for name in p.media}
        names = pictures_of("train").names
        first = HELD["selection"].stop
        asked = [q for q in questions_of("train") if q.image >= first and names[q.image] not in shown]
        order = stream(_SEED, "pool vqa").permutation(len(asked)).tolist()
        return tuple(
            Example(
                prompt=q.text, response=q.answer, skills=(skill_of(q.text),), origin="easy-vqa", media=(names[q.image],)
            )
            for q in (asked[i] for i in order)
        )

    @cached_property
    def _by_skill(self) -> dict[str, list[Example]]:
        found: dict[str, list[Example]] = defaultdict(list)
        for example in self._pool:
            found[example.skills[0]].append(example)
        return dict(found)

    @cached_property
    def _known(self) -> dict[str, Facts]:
        """What the pictures of the pool show, by digest; of a sealed one the judge tells nobody."""
        names, facts = pictures_of("train").names, facts_of(questions_of("train"))
        taught = {name for example in self._pool for name in example.media}
        return {names[image]: shown for image, shown in facts.items() if names[image] in taught}


def skill_of(text: str) -> str:
    """The kind of a question."""
    words = words_of(text)
    if words[:1] == ["what"]:
        return "color" if "color" in words else "shape"
    what = "color" if named_in(text) in COLOURS else "shape"
    return f"{'not' if is_negated(text) else 'is'}-{what}"


def answer_to(text: str, facts: Facts) -> str | None:
    """The answer to a question about a picture; ``None`` where it is no question of this kind."""
    words, named = words_of(text), named_in(text)
    if words[:1] == ["what"]:
        if named is not None and named not in facts:
            return None
        return facts.colour if "color" in words else facts.shape
    held = facts.colour if named in COLOURS else facts.shape
    if named is None or held is None or words[:1] not in (["is"], ["does"]):
        return None
    return "yes" if (named == held) != is_negated(text) else "no"


def _problems(split: Split, part: Part, questions: Iterable[PublishedQuestion]) -> list[Problem]:
    names = pictures_of(part).names
    return [
        Problem(
            id=f"{split}/{part}/{q.image}/{n}",
            prompt=q.text,
            answer=q.answer,
            skills=(skill_of(q.text),),
            split=split,
            media=(names[q.image],),
        )
        for n, q in enumerate(questions)
    ]


def _grouped(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """By kind of question; within one mixed, so that every prefix is a fair sample."""
    order = stream(_SEED, "order vqa").permutation(len(problems)).tolist()
    mixed = [problems[i] for i in order]
    return tuple(sorted(mixed, key=lambda p: SKILLS.index(p.skills[0])))


def _changed(suite: str) -> list[Problem]:
    """Test questions about some test pictures that are changed, one of each kind and picture."""
    rng, names = stream(_SEED, f"suite {suite}"), pictures_of("test").names
    first = PER_SUITE * SUITES.index(suite)
    images = range(first, first + PER_SUITE)
    changed = {i: media.keep(_change(suite, media.picture(names[i]), rng)) for i in images}
    asked: dict[tuple[int, str], PublishedQuestion] = {}
    for question in questions_of("test"):
        if question.image in changed:
            asked.setdefault((question.image, skill_of(question.text)), question)
    made = _problems("transfer", "test", asked.values())
    turned = [
        p.model_copy(update={"id": f"{suite}/{p.id}", "suite": suite, "media": (changed[q.image],)})
        for p, q in zip(made, asked.values(), strict=True)
    ]
    return [turned[i] for i in rng.permutation(len(turned)).tolist()]


def _change(suite: str, png: bytes, rng: np.random.Generator) -> bytes:
    pixels = media.pixels(png)
    if suite == "turned":
        return media.encode(np.ascontiguousarray(pixels[::-1, ::-1]))
    noise = rng.integers(-NOISE, NOISE, size=pixels.shape, endpoint=True)
    return media.encode(np.clip(pixels + noise, 0, 255).astype(np.uint8))
