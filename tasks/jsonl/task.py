"""The task: a file's questions, or a published split, graded by a checker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from typing import ClassVar

from tasks.base import Task
from tasks.checkers import Gold, Patience, make_checker
from tasks.checkers.text import LETTERS
from tasks.code import CodeGrader
from tasks.errors import UnsupportedError
from tasks.jsonl import splits
from tasks.jsonl import suites as published
from tasks.jsonl.columns import Item, identity, letters_of, not_numbers, recognise
from tasks.jsonl.formats import CODE
from tasks.jsonl.reading import Raw, read_rows
from tasks.records import SPLITS, Example, Grade, Problem, Split, digest
from tasks.sandbox import SandboxError, in_force

TRIED = 200
"""Answers cut out of their own worked ones that a slow checker is asked about, from the first row to the last."""
SHOWN = 20
"""Rows that are left out and named, at most."""


class Jsonl(Task):
    """One's own benchmark, or a published one: gsm8k, math, mmlu, humaneval, humaneval+, mbpp, livecodebench.

    One file (``path``) is cut up. A question's split is then a pure function of ``seed`` and what it asks
    (``columns.identity``): it depends neither on the order of the rows nor on the other rows, so rows may be appended
    and no question ever moves from sealed to taught. A published split (``train``, ``test``) is kept: the test exam
    asks the rows of its file in their order, and feedback and selection are cut out of the others.

    The task's version names the whole content and how it is read, so results on two versions of a file are never
    compared. The path itself is in no name but that of the Setting, which holds its arguments as they were given.

    Args:
        path: One source that is cut up: ``reading.read_rows``.
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
        deadline: See ``make_checker``; seconds. For code: of computing, for one program on all inputs of its tests.
        shares: Of feedback, selection and test, each in (0, 1), together at most 1; what is not given is
            ``splits.SHARES``. A published test has no share.
        least: The fewest problems that each skill must have in each of these splits, 1 or more.
        seed: Another one is another split.
        transfer: A further source, all of it sealed as the transfer split; or several by name.
        natural: Whether the questions are written text. Say ``False`` where they are made from a few templates, or
            else every question shares its words with a sealed one and is taken for a copy (``docs/leaks.md``).
        train: In place of ``path``: the source that may be taught.
        test: With ``train``: the source that the test exam asks.
        validation: With ``train``: the source of feedback and selection; without one, they are cut out of ``train``.
        format: A published form (``formats.FORMATS``); empty to recognise those that could not be read without.
        suites: Names of published suites (``suites.SUITES``): parts of the test exam, or transfer suites. A file that
            ``transfer`` gives by such a name takes its place.

    Attributes:
        merged: Rows that ask what another one asks, with an equal answer; one of them is kept.
        refused: Why rows about code are left out, a sentence each: they have no tests, or their own solution fails.
        dropped: Rows of ``train`` and ``validation`` that are left out, for a sealed split asks the same.
        form: The published form that the file was read as; empty for none.
        published: Whether the split is that of the files.
        told: What a person should know of how the files were read, a sentence each.

    Raises:
        ValueError: In one sentence with the place, for whatever makes the file no benchmark.
        SandboxError: If it asks for code, and this machine has no sandbox to run it in.
    """

    name: ClassVar[str] = "jsonl"

    def __init__(
        self,
        path: str = "",
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
        transfer: str | Mapping[str, str] = "",
        natural: bool = True,
        train: str = "",
        test: str = "",
        validation: str = "",
        format: str = "",
        suites: Sequence[str] = (),
    ) -> None:
        given = {"prompt": prompt, "answer": answer, "solution": solution, "skill": skill}
        given |= {"choices": choices, "pattern": pattern, "id": id}
        named = published.named_suites(suites)
        beyond_from = published.with_sources(splits.suites(transfer), named)
        sources = splits.Sources(path, train, test, validation, beyond_from)
        rows = {role: read_rows(source) for role, source in sources.own.items()}
        columns = recognise(next(iter(rows.values())), given, checker, marker, format)
        self._given, self._columns, self._seed, self.published = given, columns, seed, not path
        self._checker, self._marker, self.form = columns.checker, columns.marker, columns.form
        compared = columns.checker if columns.checker != CODE else "exact"  # of code no texts are compared
        self._check = make_checker(
            compared, marker=self._marker, fold_case=fold_case, tolerance=tolerance, deadline=deadline
        )
        self._grader = CodeGrader(*(() if deadline is None else (deadline,))) if columns.checker == CODE else None
        self.refused: list[str] = []
        own = {role: self._items(found) for role, found in rows.items()}
        forms = {name: suite.form for name, suite in named.items()}
        beyond = {name: self._items(read_rows(file), forms.get(name)) for name, file in sources.transfer.items()}
        if self._grader is not None:
            self.sandbox = in_force  # a row then says which one it was
            own, beyond = self._sound(self._grader, own), self._sound(self._grader, beyond)
            self._all_taught(own)
        self._options = letters_of(next(iter(rows.values())), columns)
        self._mixed = "" if checker else not_numbers(list(chain.from_iterable(own.values())), columns)
        self._cut_up(own, beyond, splits.shares_of(shares or {}, not path))
        self._test_parts = published.parts_of(self._parts["test"], named, sources.transfer, test or path)
        self._accept_golds(list(chain(*own.values(), *beyond.values())))
        own_parts = (part for name, part in self._parts.items() if name != "transfer")
        self.skills = tuple(sorted({question.skills[0] for part in own_parts for question in part}))
        splits.unlike(self.skills)
        splits.enough(self._parts, self.skills, least, whole=bool(path))
        allowed = 1e-6 if tolerance is None else tolerance  # as it was named before None: a board can be graded again
        held: list[object] = [columns.checker, columns.marker, fold_case, allowed]
        held.append([sorted(q.digest for q in part) for part in self._parts.values()])
        # A file is an instance and no class, so what the contract has on the class is here on the instance.
        self.natural = natural  # type: ignore[misc]
        self.version = f"1-{digest(held)[:16]}"  # type: ignore[misc]

    def _items(self, rows: Sequence[Raw], form: str | None = None) -> list[Item]:
        """The questions of a source, in a form of its own if it has one.

        Where it has not the columns of the first one, its own are recognised.
        """
        columns, there = self._columns, rows[0].fields
        if form is not None and form != columns.form:  # one checker grades all, so all show their answers alike
            own = recognise(rows, dict.fromkeys(self._given), columns.checker, "", form)
            found = splits.read_all(own, rows, self.refused)
            return [replace(q, taught=columns.alone(q.gold.answer)) for q in found]
        if not set(columns.named) <= set(there) and self._grader is not None:  # each file about code has its own form
            given = {purpose: name if name in there else None for purpose, name in self._given.items()}
            columns = recognise(rows, given, None, "")
            if columns.checker != CODE:
                raise ValueError(f"{rows[0].where}, is no question about code; give files of code alone")
        elif not set(columns.named) <= set(there):
            columns = recognise(rows, self._given, columns.checker, columns.marker, columns.form)
        return splits.read_all(columns, rows, self.refused)

    def _sound(self, grader: CodeGrader, items: Mapping[str, list[Item]]) -> dict[str, list[Item]]:
        """The rows whose reference solution passes their own tests, and those that have none; why others do not."""
        asked = [(item, item.tests) for part in items.values() for item in part if item.tests and item.taught]
        verdicts = grader.verdicts([(tests, item.taught) for item, tests in asked])
        wrong: set[int] = set()
        for (item, _), verdict in zip(asked, verdicts, strict=True):
            if verdict.grade.error is not None:
                raise SandboxError(f"{item.where}: its reference solution is {verdict.grade.error}")
            if not verdict.grade.correct:
                wrong.add(id(item))
                why = ", ".join(filter(None, (verdict.failed, verdict.reason, verdict.detail)))
                self.refused.append(f"{item.where}, is left out: its reference solution fails its own tests ({why})")
        return {name: [item for item in part if id(item) not in wrong] for name, part in items.items()}

    def _all_taught(self, own: Mapping[str, list[Item]]) -> None:
        """Refuse a file that may be taught from, where a row has no solution, and one of which no row is left."""
        if not any(own.values()):
            raise ValueError(f"no row can be asked; {self.refused[0]}")
        bare = next((q for role, part in own.items() if role != "test" for q in part if not q.taught), None)
        if bare is not None:
            raise ValueError(
                f"{bare.where}, has no reference solution; give one in a column 'solution', or name this file as test "
                "or transfer"
            )

    def _cut_up(
        self, own: Mapping[str, list[Item]], beyond: Mapping[str, list[Item]], shares: Mapping[str, float]
    ) -> None:
        """Which question is in which split."""
        whole, kept = {role: splits.distinct(items) for role, items in own.items()}, dict(beyond)
        if list(beyond) == [""]:
            kept[""] = sorted(splits.distinct(beyond[""]).values(), key=partial(splits.order, seed=self._seed))
        self.merged = sum(len(own[role]) - len(whole[role]) for role in own if role != "test")
        self.merged += sum(len(beyond[name]) - len(kept[name]) for name in beyond)
        suites: dict[str, Item] = {}
        for question in chain.from_iterable(beyond.values()):
            splits.one_answer(suites.setdefault(question.identity, question), question)
        splits.apart(whole.get("path") or whole["test"], suites)
        self.dropped: dict[str, int] = {}
        if "path" in own:
            self._parts = splits.cut(whole["path"], shares, self._seed)
        else:
            asked = {role: own[role] if role == "test" else list(found.values()) for role, found in whole.items()}
            self._parts, self.dropped = splits.published(asked, suites, shares, self._seed)
        self._parts["transfer"] = [question for items in kept.values() for question in items]
        self._suites = [name for name, items in kept.items() for _ in items]
        self._asked = {q.identity: q for part in ("pool", *SPLITS) for q in self._parts[part]}

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, by skill; within a skill in an order that the content alone decides."""
        return self._problems[name]

    def grade(self, problem: Problem, response: str) -> Grade:
        """The checker's verdict, strict and lenient; of code, whether all tests of its row pass."""
        return self.grades([(problem, response)])[0]

    def grades(self, asked: Sequence[tuple[Problem, str]]) -> list[Grade]:
        """The checker's verdicts, within the time of one batch (``tasks.checkers.Patience``).

        All programs of a batch are run in one call of the sandbox; ``parts`` then says which tests pass.
        """
        found = self._verdicts([(problem.prompt, response) for problem, response in asked])
        return [
            Grade(correct=False, error=f"problem {problem.id!r} is none of this task") if grade is None else grade
            for (problem, _), grade in zip(asked, found, strict=True)
        ]

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

    def difficulty(self, prompt: str) -> float | None:
        """How difficult a question of the file is, in [0, 1], as its authors say; ``None`` where they do not."""
        question = self._asked.get(identity(prompt)) if self._columns.difficulty else None
        return None if question is None else question.difficulty

    def judge(self, example: Example) -> bool | None:
        """Whether the response to a question of the file is right; ``None`` for one that is right in content at best.

        That is a question the file does not have, a right answer in another form, or a checker that fails.
        """
        return self.judges([example])[0]

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """The verdict on each, within the time of one batch; ``None`` for those that it does not reach."""
        return [_told(grade) for grade in self._verdicts([(e.prompt, e.response) for e in examples])]

    def _verdicts(self, asked: Sequence[tuple[str, str]]) -> list[Grade | None]:
        """The grade of each response to a prompt; ``None`` where the file does not have the question."""
        found = [(self._asked.get(identity(prompt)), response) for prompt, response in asked]
        if self._grader is None:
            patience = Patience()
            return [None if q is None else self._check(q.gold, response, patience) for q, response in found]
        code = [(q.tests, response) for q, response in found if q is not None and q.tests is not None]
        grades = iter(self._grader.grades(code))
        return [None if q is None else next(grades) for q, _ in found]

    def same(self, example: Example, answer: str) -> bool:
        """Whether the checker takes an answer for what the example's response ends in, whether that is right or not.

        A pattern says what is right and not what is equal, so under ``regex`` texts are compared as they are.
        """
        if answer.strip() == example.response.strip():
            return True
        if self._checker in ("regex", CODE):
            return False
        final = example.response.rpartition(self._marker)[2] if self._marker else example.response
        question = self._asked.get(identity(example.prompt))
        options = question.gold.options if question else {}
        golds = [Gold(label, options) for label in options or LETTERS] if self._checker == "choice" else [Gold(final)]
        mine = next((gold for gold in golds if self._check(gold, example.response).correct), None)
        return mine is not None and self._check(mine, answer).correct

    @property
    def told(self) -> tuple[str, ...]:
        """See the class."""
        said = [f"the rows are read in the form {self.form!r}"] if self.form else []
        said += self.refused[:SHOWN]
        if len(self.refused) > SHOWN:
            said.append(f"rows left out for such reasons, in all: {len(self.refused)}")
        held = {name: len(part) for name, part in self._parts.items()}
        if not self.published:
            sizes = ", ".join(f"{held[name]} {name}" for name in ("feedback", "selection", "test"))
            said.append(
                f"one file is both taught and asked: {sizes}, and {held['pool']} may be taught; "
                "give train and test in place of path to keep a published split"
            )
        if self.merged:
            said.append(f"rows left out, for another row asks the same: {self.merged}")
        for role, n in self.dropped.items():
            said.append(f"rows of {role} left out, for a sealed split asks the same: {n}")
        if self._mixed:
            said.append(
                f"all answers are compared as text, for {self._mixed}; give checker = 'number', or mend the rows"
            )
        if self._options:
            said.append(
                f"the answers are labels of the columns {', '.join(self._options)}, and no options are shown to the "
                "student; give format = 'mmlu'"
            )
        return tuple(said)

    @cached_property
    def _problems(self) -> dict[Split, tuple[Problem, ...]]:
        return {name: tuple(self._problems_of(name)) for name in SPLITS}

    def _problems_of(self, name: Split) -> Iterator[Problem]:
        seen: Counter[str] = Counter()
        none = [""] * len(self._parts[name])
        suites = {"transfer": self._suites, "test": self._test_parts}.get(name, none)
        for q, suite in zip(self._parts[name], suites, strict=True):
            beyond = suite if name == "transfer" else ""
            called = "/".join(part for part in (name, beyond, q.id or digest(q.identity)[:16]) if part)
            seen[called] += 1  # a published file may ask a question twice
            yield Problem(
                id=called if seen[called] == 1 else f"{called}#{seen[called]}",
                prompt=q.prompt,
                answer=q.taught,
                skills=q.skills if name == "transfer" else self._known(q),
                split=name,
                difficulty=q.difficulty,
                suite=suite,
                check=q.check,
            )

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            Example(prompt=q.prompt, response=q.taught, skills=self._known(q), origin="pool", check=q.check)
            for q in self._parts["pool"]
        )

    def _known(self, question: Item) -> tuple[str, ...]:
        return tuple(skill for skill in question.skills if skill in self.skills)

    def _accept_golds(self, items: Sequence[Item]) -> None:
        """Refuse an answer that its own checker does not accept."""
        if self._checker == CODE:
            return
        # What was cut out of the very text that it is compared with is right; a slow checker is asked of some.
        sure = [i for i, q in enumerate(items) if q.cut and self._checker == "math-verify"]
        skipped = set(sure) - set(sure[:: max(1, len(sure) // TRIED)])
        for i, question in enumerate(items):
            if i not in skipped:
                self._accept_gold(question)

    def _accept_gold(self, question: Item) -> None:
        grade = self._check(question.gold, question.taught)
        if grade.correct:
            return
        checker, text = self._checker, question.taught
        shown = repr(text if len(text) < 60 else f"{text[:60]}…")
        if grade.error is not None:
            raise ValueError(f"{question.where}: the checker {checker!r} fails on {shown}: {grade.error}; mend the row")
        if self._columns.solution and grade.lenient:
            raise ValueError(
                f"{question.where}: the solution {shown} holds the right answer in a form that the checker {checker!r} "
                "does not accept; say by marker= what stands before the final answer (it is added where it is "
                "missing), or give solution='' to teach the answers alone"
            )
        raise ValueError(
            f"{question.where}: the checker {checker!r} does not accept the row's own answer {shown}; mend it, or give "
            "another checker"
        )


def _told(grade: Grade | None) -> bool | None:
    """Whether a response is right; ``None`` where that is not known, or only its form is wrong."""
    if grade is None or grade.error is not None or (grade.lenient and not grade.correct):
        return None
    return grade.correct
