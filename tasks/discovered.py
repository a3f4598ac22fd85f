"""Skills that were discovered, in place of those that a task comes with: the file, the rule for new texts, the task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import not_
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from tasks.base import Task
from tasks.difficulty import difficulty_of
from tasks.embedding import BUCKETS, ngrams
from tasks.records import SPLITS, Example, Grade, Problem, Record, Split, digest

LONGEST_NAME = 60
"""Characters of a discovered skill's name."""
_SMOOTHING = 0.1
_LENGTHS = 64
_CHUNK = 4096
"""Texts that are looked at together; a bound on memory."""
_ROUNDS = 10
"""Draws of the task's generator for one request, each larger, after which what comes nearest to the skill is taken."""
_RARE = 0.01
"""A skill of the task's own that holds less of a discovered one than this is not drawn from to generate it."""


class Quality(Record):
    """How far two labellings of the same items agree: adjusted mutual information, 1 at most and about 0 by chance."""

    ami: float
    n: int


class Discovery(Record):
    """Skills that were discovered, and which items of the task's pool are of which: what ``dataenv discover`` writes.

    Attributes:
        format: Of the file.
        task: The registered task.
        method: The discoverer that found them.
        made_with: Its arguments and what else it depended on, to read.
        cost: What it spent: student tokens, teacher tokens, money.
        counts: Items by what became of them.
        quality: Agreement with the task's own skills, where it has them: of the ``labelled`` items, and of what the
            ``rule`` says of the feedback problems.
        skills: Their names, in the order of every array.
        examples: A few prompts of each, to read.
        items: Skill by ``item_key`` of a pool item: the one that it needs most. Only labels of items that somebody
            looked at are here.
        further: The other skills that an item needs, by the same key; none for items that need no other.
    """

    format: Literal[1] = 1
    task: str
    method: str
    made_with: dict[str, Any] = {}
    cost: dict[str, float] = {}
    counts: dict[str, int] = {}
    quality: dict[str, Quality] = {}
    skills: tuple[str, ...] = Field(min_length=2)
    examples: dict[str, tuple[str, ...]] = {}
    items: dict[str, str]
    further: dict[str, tuple[str, ...]] = Field(default={}, exclude_if=not_)

    @model_validator(mode="after")
    def _sound(self) -> Discovery:
        names = [name for name in self.skills if name.strip() and name.isprintable() and len(name) <= LONGEST_NAME]
        if len(set(names)) != len(self.skills):
            raise ValueError(f"skills are no distinct names of at most {LONGEST_NAME} characters; discover them again")
        unknown = sorted(set(self.items.values()) - set(self.skills))
        if unknown:
            raise ValueError(f"items name {unknown[0]!r}, which skills does not; add it there or drop those items")
        for key, others in self.further.items():
            if key not in self.items or not others or len({self.items[key], *others} & set(self.skills)) <= len(others):
                raise ValueError(
                    f"further.{key} is {list(others)!r}; give skills of the list, each once, beside an item's first"
                )
        empty = sorted(set(self.skills) - set(self.items.values()))
        if empty:
            raise ValueError(f"items hold none of skill {empty[0]!r}; drop it from skills")
        return self

    @cached_property
    def digest(self) -> str:
        """Names what an environment makes of it: the skills and the labels, and not how they were found."""
        named: list[Any] = [self.task, list(self.skills), self.items]
        return digest(named + ([self.further] if self.further else []))


def item_key(task: Task, prompt: str) -> str:
    """The name of an item in a discovery: sixteen hex digits of the hash of what it asks."""
    return digest(task.identity(prompt))[:16]


class TextRule:
    """The skill of a text by its character n-grams and its length: multinomial naive Bayes, with equal priors.

    It needs no model and draws nothing, so every process says the same of the same text. Equal priors, for a rare skill
    is to be measured like any other.

    Args:
        texts: Labelled ones.
        labels: The skill of each, as a row.
        k: How many skills.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[int], k: int) -> None:
        totals = np.zeros((k, BUCKETS + _LENGTHS))
        for start in range(0, len(texts), _CHUNK):
            chosen = np.asarray(labels[start : start + _CHUNK], np.int64)
            np.add.at(totals, chosen, _features(texts[start : start + _CHUNK]))
        totals += _SMOOTHING
        self._logs = np.log(totals / totals.sum(1, keepdims=True))

    def scores(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """``(texts, k)``: log-likelihoods, rounded, for a product's last bits depend on how many texts are asked."""
        parts = [_features(texts[start : start + _CHUNK]) @ self._logs.T for start in range(0, len(texts), _CHUNK)]
        return np.round(np.concatenate(parts), 6) if parts else np.zeros((0, len(self._logs)))

    def labels(self, texts: Sequence[str]) -> list[int]:
        """The row of each text's skill; of equals, the first."""
        return [int(i) for i in self.scores(texts).argmax(1)]


def _features(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """``(texts, BUCKETS + _LENGTHS)``: n-grams counted, and a one for the length, in quarters of a doubling."""
    lengths = np.round(4 * np.log2([1 + len(text) for text in texts])).astype(np.int64)
    return np.concatenate([ngrams(texts), np.eye(_LENGTHS)[np.minimum(lengths, _LENGTHS - 1)]], axis=1)


class Discovered(Task):
    """A task under discovered skills.

    A pool item that was labelled keeps its label. Every other text (the rest of the pool, sealed problems, what the
    generator makes) has the label of ``TextRule``, fitted on the labelled items: no model is shown a sealed problem.
    An item that was labelled with several has all of them, the one that it needs most first; what goes by the rule has
    one. Problems have one skill each; subskills and the task's own diagnosis, which speak of its own skills, are not
    there.

    Args:
        task: The task itself.
        found: The skills.

    Raises:
        ValueError: If the skills are another task's, or do not fit this one's pool and splits.
    """

    name: ClassVar[str] = "discovered"

    def __init__(self, task: Task, found: Discovery) -> None:
        self.task, self.found, self.skills = task, found, found.skills
        # What the contract has on the class is the wrapped task's, and so on the instance.
        self.name, self.natural = task.name, task.natural  # type: ignore[misc]
        self.version = f"{task.version}+{found.digest[:16]}"  # type: ignore[misc]
        if found.task != task.name:
            raise ValueError(f"skills are those of task {found.task!r}, and this is {task.name!r}; discover its own")
        self._row = {skill: i for i, skill in enumerate(self.skills)}
        texts = {item_key(task, e.prompt): e.prompt for e in task.pool()}
        lost = len(found.items.keys() - texts.keys())
        if lost:
            raise ValueError(f"{lost} of {len(found.items)} labelled items are not in the task's pool; discover again")
        self._rule = TextRule(
            [texts[key] for key in found.items], [self._row[skill] for skill in found.items.values()], len(self.skills)
        )
        for split in ("feedback", "selection", "test"):
            absent = set(self.skills) - {problem.skills[0] for problem in self.split(split)}
            if absent:
                raise ValueError(
                    f"skills has {min(absent)!r}, of which {split} has no problem; drop it, or discover again"
                )

    def split(self, name: Split) -> Sequence[Problem]:
        """The task's problems; by skill, and within a skill in an order that their ids decide."""
        return self._splits[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """The task's own verdict."""
        return self.task.grade(self._own.get(problem.id, problem), response)

    def identity(self, prompt: str) -> str:
        """The task's own."""
        return self.task.identity(prompt)

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """See Task. The task's own generator is drawn from until it has made ``n`` examples that the rule gives to it.

        Where it makes too few of them, those that come nearest to the skill by the rule fill up.
        """
        self.check_request(skill, n, difficulty)
        row, sources = self._row[skill], self._sources[skill]
        made: list[Example] = []
        nearest: list[tuple[float, Example]] = []
        for turn in range(_ROUNDS if n else 0):
            drawn = self._draw(sources, 2 * (turn + 1) * (n - len(made)) + 8, rng, difficulty)
            scores = self._rule.scores([e.prompt for e in drawn])
            fits = scores.argmax(1) == row
            made += [e for e, fit in zip(drawn, fits, strict=True) if fit]
            if len(made) >= n:
                break
            behind = scores.max(1) - scores[:, row]
            nearest += [(float(b), e) for b, e, fit in zip(behind, drawn, fits, strict=True) if not fit]
        nearest.sort(key=lambda pair: pair[0])
        made += [e for _, e in nearest[: max(0, n - len(made))]]
        return [e.model_copy(update={"skills": (skill,)}) for e in made[:n]]

    def pool(self) -> Sequence[Example]:
        """The task's pool under these skills."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """The task's own, of no skill: so the untaught student is the same under any discovered skills."""
        return [e.model_copy(update={"skills": ()}) for e in self.task.prior(n, rng)]

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """By the task, the skill by the rule."""
        known = self.task.solve(prompt)
        return None if known is None else (self.label([prompt])[0], known[1])

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """The task's own verdicts."""
        return self.task.grades([(self._own.get(problem.id, problem), response) for problem, response in asked])

    def judge(self, example: Example) -> bool | None:
        """The task's own verdict."""
        return self.task.judge(example)

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """The task's own verdicts."""
        return self.task.judges(examples)

    def verifies(self, asked: Sequence[tuple[Example, str]]) -> list[bool | None]:
        """The task's own verdicts."""
        return self.task.verifies(asked)

    def same(self, example: Example, answer: str) -> bool:
        """The task's own verdict."""
        return self.task.same(example, answer)

    def sames(self, asked: Sequence[tuple[Example, str]]) -> list[bool]:
        """The task's own verdicts."""
        return self.task.sames(asked)

    def difficulty(self, prompt: str) -> float | None:
        """The task's own word."""
        return difficulty_of(self.task, prompt)

    def label(self, prompts: Sequence[str]) -> list[str]:
        """The skill of each prompt, as the rule has it, whether it was labelled or not."""
        return [self.skills[i] for i in self._rule.labels(prompts)]

    @cached_property
    def sealed(self) -> frozenset[str]:
        """The task's own."""
        return self.task.sealed

    @cached_property
    def _own(self) -> dict[str, Problem]:
        return {problem.id: problem for name in SPLITS for problem in self.task.split(name)}

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        return {name: self._relabelled(name) for name in SPLITS}

    def _relabelled(self, name: Split) -> tuple[Problem, ...]:
        problems = self.task.split(name)
        skills = self.label([p.prompt for p in problems])
        made = [p.model_copy(update={"skills": (skill,)}) for p, skill in zip(problems, skills, strict=True)]
        if name == "transfer":  # asked as a whole, in the task's order
            return tuple(made)
        # By hash, for the task's own order goes by its own skills, and every prefix is to be a fair sample.
        return tuple(sorted(made, key=lambda p: (self._row[p.skills[0]], digest(p.id))))

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        pool = self.task.pool()
        by_rule = self.label([e.prompt for e in pool])
        out = []
        for example, said in zip(pool, by_rule, strict=True):
            key = item_key(self.task, example.prompt)
            skills = (self.found.items.get(key, said), *self.found.further.get(key, ()))
            out.append(example.model_copy(update={"skills": skills}))
        return tuple(out)

    @cached_property
    def _sources(self) -> dict[str, dict[str, float]]:
        """For each skill the task's own ones that hold some of it, with their shares of the pool.

        Drawn in those shares and kept where the rule says so, examples are distributed as the pool's are.
        """
        pool = self.task.pool()
        shares = Counter(e.skills[0] for e in pool)
        pairs = Counter(zip(self.label([e.prompt for e in pool]), (e.skills[0] for e in pool), strict=True))
        there = Counter(found for found, _ in pairs.elements())
        return {
            skill: {own: float(n) for own, n in shares.items() if pairs[skill, own] > _RARE * there[skill]}
            or dict(shares)
            for skill in self.skills
        }

    def _draw(
        self, sources: dict[str, float], n: int, rng: np.random.Generator, difficulty: float | None
    ) -> list[Example]:
        weights = np.array(list(sources.values()))
        counts = rng.multinomial(n, weights / weights.sum()).tolist()
        made = [
            e
            for own, count in zip(sources, counts, strict=True)
            if count
            for e in self.task.generate(own, count, rng, difficulty)
        ]
        return [made[i] for i in rng.permutation(len(made))]


def primary(items: Iterable[Example | Problem]) -> list[str]:
    """The primary skill of each."""
    return [item.skills[0] for item in items]
