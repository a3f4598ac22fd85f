"""The task: a file's questions, split once by what they ask, and graded by a checker."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from itertools import accumulate
from typing import ClassVar

from tasks.base import Task
from tasks.checkers import Gold, Patience, make_checker
from tasks.checkers.text import LETTERS
from tasks.errors import UnsupportedError
from tasks.jsonl.columns import Columns, Item, identity, recognise
from tasks.jsonl.reading import Raw, read_rows
from tasks.records import SPLITS, Example, Grade, Problem, Split, digest

SHARES: dict[str, float] = {"feedback": 0.15, "selection": 0.15, "test": 0.3}
"""Of the questions; the rest is the pool, which may be taught."""


class Jsonl(Task):
    """One's own benchmark.

    A question's split is a pure function of ``seed`` and what it asks (``columns.identity``): it depends neither on the
    order of the rows nor on the other rows, so rows may be appended and no question ever moves from sealed to
    taught. The task's version names the whole content and how it is read, so results on two versions of a file are
    never compared. The path itself is in no name but that of the Setting, which holds its arguments as they were given.

    Args:
        path: A ``.jsonl``, ``.json`` or ``.csv`` file, or ``datasets:NAME[:CONFIG[:SPLIT]]``: ``reading.read_rows``.
        prompt: The column of the question. Any column that is not given is recognised by its usual name
            (``columns.USUAL``); an empty name says that there is none.
        answer: The column of the final answer.
        solution: The column of the worked answer that is taught; without one, the answer itself is.
        skill: The column of the skill, or of a list of skills, the primary one first; without one, all rows are of
            the skill ``all``. A further skill that is no row's primary one is left out.
        choices: The column of the options of a choice question; they are written below the question.
        pattern: The column of the regular expression that a right answer matches, for ``regex``.
        id: The column of a row's name.
        checker: See ``tasks.checkers``; ``None`` to go by the columns (``columns.recognise``).
        marker: What stands before the final answer in a worked one, such as ``####``; see ``make_checker``.
        fold_case: See ``make_checker``.
        tolerance: See ``make_checker``.
        deadline: See ``make_checker``; seconds.
        shares: Of feedback, selection and test, each in (0, 1), together at most 1; what is not given is ``SHARES``.
        least: The fewest problems that each skill must have in each of these splits, 1 or more.
        seed: Another one is another split.
        transfer: A further source with the same columns, all of it sealed as the transfer split.
        natural: Whether the questions are written text. Say ``False`` where they are made from a few templates, or
            else every question shares its words with a sealed one and is taken for a copy (``docs/leaks.md``).

    Attributes:
        merged: Rows that ask what another one asks, with an equal answer; one of them is kept.

    Raises:
        ValueError: In one sentence with the place, for whatever makes the file no benchmark.
    """

    name: ClassVar[str] = "jsonl"

    def __init__(
        self,
        path: str,
        prompt: str | None = None,
        answer: str | None = None,
        solution: str | None = None,
        skill: str | None = None,
        choices: str | None = None,
        pattern: str | None = None,
        id: str | None = None,
        checker: str | None = None,
        marker: str = "",
        fold_case: bool = False,
        tolerance: float | None = None,
        deadline: float | None = None,
        shares: Mapping[str, float] | None = None,
        least: int = 5,
        seed: int = 0,
        transfer: str = "",
        natural: bool = True,
    ) -> None:
        given = {"prompt": prompt, "answer": answer, "solution": solution, "skill": skill}
        given |= {"choices": choices, "pattern": pattern, "id": id}
        rows = read_rows(path)
        columns = recognise(rows, given, checker, marker)
        self._check = make_checker(
            columns.checker, marker=marker, fold_case=fold_case, tolerance=tolerance, deadline=deadline
        )
        self._checker, self._marker = columns.checker, marker
        self._shares, self._seed = _shares(shares or {}), seed
        questions, self.merged = _distinct(columns, rows)
        beyond, merged = _distinct(columns, read_rows(transfer)) if transfer else ({}, 0)
        self.merged += merged
        _apart(questions, beyond)
        for question in (*questions.values(), *beyond.values()):
            self._accepts_gold(question, columns)
        self.skills = tuple(sorted({question.skills[0] for question in questions.values()}))
        self._asked: dict[str, Item] = questions | beyond
        self._parts = self._split(questions) | {"transfer": sorted(beyond.values(), key=partial(_order, seed=seed))}
        self._enough(least)
        allowed = 1e-6 if tolerance is None else tolerance  # as it was named before None: a board can be graded again
        held = [sorted(q.digest for q in part) for part in self._parts.values()]
        # A file is an instance and no class, so what the contract has on the class is here on the instance.
        self.natural = natural  # type: ignore[misc]
        self.version = f"1-{digest([columns.checker, marker, fold_case, allowed, held])[:16]}"  # type: ignore[misc]

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, by skill; within a skill in an order that the content alone decides."""
        return self._problems[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """The checker's verdict, strict and lenient."""
        return self._graded(problem, response, Patience())

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """The checker's verdicts, within the time of one batch (``tasks.checkers.Patience``)."""
        patience = Patience()
        return [self._graded(problem, response, patience) for problem, response in asked]

    def identity(self, prompt: str) -> str:
        """See ``columns.identity``."""
        return identity(prompt)

    def pool(self) -> Sequence[Example]:
        """The questions that no split seals, with their worked answers."""
        if not self._pool:
            raise UnsupportedError(
                "task 'jsonl' seals all of its questions; leave some to teach by smaller task_args.shares"
            )
        return self._pool

    def judge(self, example: Example) -> bool | None:
        """Whether the response to a question of the file is right; ``None`` for one that is right in content at best.

        That is a question the file does not have, a right answer in another form, or a checker that fails.
        """
        return self._judged(example, Patience())

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """The verdict on each, within the time of one batch; ``None`` for those that it does not reach."""
        patience = Patience()
        return [self._judged(example, patience) for example in examples]

    def _graded(self, problem: Problem, response: str, patience: Patience) -> Grade:
        question = self._asked.get(identity(problem.prompt))
        if question is None:
            return Grade(correct=False, error=f"problem {problem.id!r} is none of this task")
        return self._check(question.gold, response, patience)

    def _judged(self, example: Example, patience: Patience) -> bool | None:
        question = self._asked.get(identity(example.prompt))
        if question is None:
            return None
        grade = self._check(question.gold, example.response, patience)
        return None if grade.error is not None or (grade.lenient and not grade.correct) else grade.correct

    def same(self, example: Example, answer: str) -> bool:
        """Whether the checker takes an answer for what the example's response ends in, whether that is right or not.

        A pattern says what is right and not what is equal, so under ``regex`` texts are compared as they are.
        """
        if answer.strip() == example.response.strip():
            return True
        if self._checker == "regex":
            return False
        final = example.response.rpartition(self._marker)[2] if self._marker else example.response
        question = self._asked.get(identity(example.prompt))
        options = question.gold.options if question else {}
        golds = [Gold(label, options) for label in options or LETTERS] if self._checker == "choice" else [Gold(final)]
        mine = next((gold for gold in golds if self._check(gold, example.response).correct), None)
        return mine is not None and self._check(mine, answer).correct

    @cached_property
    def _problems(self) -> dict[Split, tuple[Problem, ...]]:
        return {
            name: tuple(
                Problem(
                    id=f"{name}/{q.id or digest(q.identity)[:16]}",
                    prompt=q.prompt,
                    answer=q.taught,
                    skills=q.skills if name == "transfer" else self._known(q),
                    split=name,
                )
                for q in self._parts[name]
            )
            for name in SPLITS
        }

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            Example(prompt=q.prompt, response=q.taught, skills=self._known(q), origin="pool")
            for q in self._parts["pool"]
        )

    def _known(self, question: Item) -> tuple[str, ...]:
        return tuple(skill for skill in question.skills if skill in self.skills)

    def _accepts_gold(self, question: Item, columns: Columns) -> None:
        grade = self._check(question.gold, question.taught)
        if grade.correct:
            return
        shown, checker = (
            repr(question.taught if len(question.taught) < 60 else f"{question.taught[:60]}…"),
            columns.checker,
        )
        if grade.error is not None:
            raise ValueError(f"{question.where}: the checker {checker!r} fails on {shown}: {grade.error}; mend the row")
        if columns.solution and grade.lenient:
            raise ValueError(
                f"{question.where}: the solution {shown} holds the right answer in a form that the checker {checker!r} "
                "does not accept; say by marker= what stands before the final answer (it is added where it is "
                "missing), or give solution='' to teach the answers alone"
            )
        raise ValueError(
            f"{question.where}: the checker {checker!r} does not accept the row's own answer {shown}; mend it, or give "
            "another checker"
        )

    def _split(self, questions: Mapping[str, Item]) -> dict[str, list[Item]]:
        parts: dict[str, list[Item]] = {name: [] for name in (*self._shares, "pool")}
        ends = list(accumulate(self._shares.values()))
        for question in questions.values():
            at = bisect_right(ends, _place(question, self._seed, "split"))
            parts[[*parts][at]].append(question)
        return {name: _by_skill(part, self._seed) for name, part in parts.items()}

    def _enough(self, least: int) -> None:
        if least < 1:
            raise ValueError(f"least is {least}; give at least 1, for every skill is measured")
        rows = Counter(q.skills[0] for part in self._parts if part != "transfer" for q in self._parts[part])
        for name in self._shares:
            there = Counter(q.skills[0] for q in self._parts[name])
            skill = min(self.skills, key=lambda s: (there[s], s))
            if there[skill] < least:
                raise ValueError(
                    f"skill {skill!r} has {rows[skill]} rows, of which {there[skill]} fall to {name} and least= asks "
                    f"{least}; give it more rows, a larger share, another skill= column, or a smaller least="
                )


def _shares(given: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(given) - set(SHARES))
    if unknown:
        raise ValueError(f"shares has {unknown[0]!r}; give shares of {', '.join(SHARES)}")
    shares = {name: float(share) for name, share in (SHARES | dict(given)).items()}
    if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares are {shares}; give each one above 0, and together at most 1")
    return shares


def _place(question: Item, seed: int, purpose: str) -> float:
    """Where a question stands in [0, 1), by hash of what it asks."""
    return int(digest([seed, purpose, question.identity])[:13], 16) / 16**13


def _order(question: Item, seed: int) -> tuple[float, str]:
    """Shuffled by hash, so that every prefix is a fair sample."""
    return _place(question, seed, "order"), question.identity


def _by_skill(part: Iterable[Item], seed: int) -> list[Item]:
    return sorted(part, key=lambda q: (q.skills[0], *_order(q, seed)))


def _distinct(columns: Columns, rows: Sequence[Raw]) -> tuple[dict[str, Item], int]:
    """The questions by identity, and how many rows said again what another one says.

    Raises:
        ValueError: If two rows have one id, or one question has two answers.
    """
    found: dict[str, Item] = {}
    ids: dict[str, Item] = {}
    for row in rows:
        question = columns.read(row)
        twin = ids.setdefault(question.id, question) if question.id else question
        if twin is not question:
            raise ValueError(f"{question.where}, has the id {question.id!r} of {twin.where}; ids are unique")
        other = found.setdefault(question.identity, question)
        if other.gold != question.gold:
            raise ValueError(
                f"{question.where}, asks what {other.where}, asks and has another answer "
                f"({question.gold.answer[:40]!r}, not {other.gold.answer[:40]!r}); drop one of the two"
            )
        found[question.identity] = min(other, question, key=lambda q: q.digest)  # whatever the order of the rows
    return found, len(rows) - len(found)


def _apart(questions: Mapping[str, Item], beyond: Mapping[str, Item]) -> None:
    both = next((name for name in beyond if name in questions), None)
    if both is not None:
        raise ValueError(
            f"{beyond[both].where} of transfer, asks what {questions[both].where}, asks; drop it from one of the two"
        )
