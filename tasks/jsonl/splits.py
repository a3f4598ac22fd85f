"""Which question is taught and which is asked: one file cut by hash, or a published split kept as it is."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tasks.jsonl.code_forms import RefusedRowError
from tasks.jsonl.columns import Columns, Item, identity
from tasks.jsonl.reading import Raw
from tasks.records import digest

SHARES: dict[str, float] = {"feedback": 0.15, "selection": 0.15, "test": 0.3}
"""Of the questions; the rest is the pool, which may be taught."""


@dataclass(frozen=True)
class Sources:
    """Where the questions come from, and what is asked of which.

    Attributes:
        path: One source that is cut up; empty where the split is published.
        train: What may be taught.
        test: What the test exam asks, as it stands.
        validation: What feedback and selection are cut from; empty for ``train``.
        transfer: Suites by name; one without a name is called ``""``.
    """

    path: str = ""
    train: str = ""
    test: str = ""
    validation: str = ""
    transfer: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = bool(self.train and self.test)
        if self.path and (self.train or self.test or self.validation):
            raise ValueError("path is one file that is cut up; leave it out, or leave out train, test and validation")
        if not self.path and not whole:
            lacking = "test" if self.train else "train" if self.test else ""
            said = f"{lacking} is missing" if lacking else "no file is given"
            raise ValueError(f"{said}; give path, or train and test")
        for name, source in self.transfer.items():
            if not isinstance(source, str) or not source or (len(self.transfer) > 1 and not name.strip()):
                raise ValueError(f"transfer has {name!r}: {source!r}; give the path of a file by the name of a suite")
            if not name.isprintable() or len(name) > 60:
                raise ValueError(f"transfer names a suite {name[:60]!r}; give at most 60 characters that can be seen")

    @property
    def own(self) -> dict[str, str]:
        """The sources without those of transfer, by role; the first one shows which column is what."""
        roles = {"path": self.path, "train": self.train, "validation": self.validation, "test": self.test}
        return {role: source for role, source in roles.items() if source}


def suites(given: str | Mapping[str, str]) -> dict[str, str]:
    """The transfer suites, in the order of their names: ``transfer=`` gives one path, or paths by name."""
    if isinstance(given, str):
        return {"": given} if given else {}
    if not isinstance(given, Mapping):
        raise ValueError(f"transfer is a {type(given).__name__}; give a path, or paths by name")
    return {str(name): given[name] for name in sorted(given, key=str)}  # a Setting keeps no order


def shares_of(given: Mapping[str, float], published: bool) -> dict[str, float]:
    """The shares of the splits, where one file is cut up all three, and else those of feedback and selection.

    Raises:
        ValueError: If a name is unknown, or the shares are out of range.
    """
    usual = {name: share for name, share in SHARES.items() if not published or name != "test"}
    unknown = sorted(set(given) - set(usual))
    if unknown:
        given_test = "; test is the published file" if published else ""
        raise ValueError(f"shares has {unknown[0]!r}; give shares of {', '.join(usual)}{given_test}")
    shares = {name: float(share) for name, share in (usual | dict(given)).items()}
    if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"shares are {shares}; give each one above 0, and together at most 1")
    return shares


def cut(questions: Mapping[str, Item], shares: Mapping[str, float], seed: int) -> dict[str, list[Item]]:
    """Each question's place by hash of what it asks: the splits that have shares, and ``pool`` for the rest."""
    parts: dict[str, list[Item]] = {name: [] for name in (*shares, "pool")}
    ends = list(accumulate(shares.values()))
    for question in questions.values():
        parts[[*parts][bisect_right(ends, place(question, seed, "split"))]].append(question)
    return {name: by_skill(part, seed) for name, part in parts.items()}


def published(
    asked: Mapping[str, Sequence[Item]], beyond: Collection[str], shares: Mapping[str, float], seed: int
) -> tuple[dict[str, list[Item]], dict[str, int]]:
    """A published split: test as its file has it; feedback and selection out of validation, or else out of train.

    What a sealed split asks is left out of train and validation; the second result counts it by role.

    Args:
        asked: Questions by role: ``train``, ``test``, and ``validation`` where there is one.
        beyond: What the transfer suites ask (``Item.identity``).
        shares: Of feedback and selection in train; in validation they share all of it, in the same proportion.
        seed: Of the cut.
    """
    sealed = {question.identity for question in asked["test"]} | set(beyond)
    left, dropped = {}, {}
    for role in ("validation", "train"):
        questions = {q.identity: q for q in asked.get(role, ()) if q.identity not in sealed}
        dropped[role] = len({q.identity for q in asked.get(role, ())} & sealed)
        sealed |= questions.keys()
        left[role] = questions
    parts = cut(left["train"], shares, seed)
    if "validation" in asked:
        whole = sum(shares.values())
        parts = cut(left["validation"], {name: share / whole for name, share in shares.items()}, seed)
        parts["pool"] = by_skill(left["train"].values(), seed)
    kept = {"feedback": parts["feedback"], "selection": parts["selection"], "test": grouped(asked["test"])}
    return kept | {"pool": parts["pool"]}, {role: n for role, n in dropped.items() if n}


def place(question: Item, seed: int, purpose: str) -> float:
    """Where a question stands in [0, 1), by hash of what it asks."""
    return int(digest([seed, purpose, question.identity])[:13], 16) / 16**13


def order(question: Item, seed: int) -> tuple[float, str]:
    """Shuffled by hash, so that every prefix is a fair sample."""
    return place(question, seed, "order"), question.identity


def by_skill(part: Iterable[Item], seed: int) -> list[Item]:
    """By skill; within a skill shuffled by hash."""
    return sorted(part, key=lambda q: (q.skills[0], *order(q, seed)))


def grouped(part: Iterable[Item]) -> list[Item]:
    """By skill; within a skill in the order of the file."""
    return sorted(part, key=lambda q: q.skills[0])


def read_all(columns: Columns, rows: Sequence[Raw], refused: list[str]) -> list[Item]:
    """The question of every row that can be asked, in order.

    Args:
        columns: Which column is what.
        rows: The rows.
        refused: Why the others cannot be asked, a sentence each, is added to it.

    Raises:
        ValueError: If two rows have one id, or one question has two answers.
    """
    items: list[Item] = []
    found: dict[str, Item] = {}
    ids: dict[str, Item] = {}
    for row in rows:
        try:
            question = columns.read(row)
        except RefusedRowError as error:
            refused.append(str(error))
            continue
        twin = ids.setdefault(question.id, question) if question.id else question
        if twin is not question:
            raise ValueError(f"{question.where}, has the id {question.id!r} of {twin.where}; ids are unique")
        one_answer(found.setdefault(question.identity, question), question)
        items.append(question)
    return items


def distinct(items: Sequence[Item]) -> dict[str, Item]:
    """One row of each question by identity, the same one whatever the order of the rows."""
    found: dict[str, Item] = {}
    for question in items:
        found[question.identity] = min(found.get(question.identity, question), question, key=lambda q: q.digest)
    return found


def one_answer(one: Item, other: Item) -> None:
    """Refuse two rows that ask the same and have different answers."""
    if other.gold != one.gold:
        raise ValueError(
            f"{other.where}, asks what {one.where}, asks and has another answer "
            f"({other.gold.answer[:40]!r}, not {one.gold.answer[:40]!r}); drop one of the two"
        )


def apart(questions: Mapping[str, Item], beyond: Mapping[str, Item]) -> None:
    """Refuse a question of a transfer suite that another split has.

    Raises:
        ValueError: With the places of both.
    """
    both = next((name for name in beyond if name in questions), None)
    if both is not None:
        raise ValueError(
            f"{beyond[both].where} of transfer, asks what {questions[both].where}, asks; drop it from one of the two"
        )


def enough(parts: Mapping[str, Sequence[Item]], skills: Sequence[str], least: int, whole: bool) -> None:
    """Refuse a split in which a skill has too few problems.

    Args:
        parts: Questions by split, and ``pool``.
        skills: Of the task.
        least: The fewest.
        whole: Whether one file was cut up.

    Raises:
        ValueError: With the skill and the split.
    """
    if least < 1:
        raise ValueError(f"least is {least}; give at least 1, for every skill is measured")
    rows = Counter(q.skills[0] for name, part in parts.items() if name != "transfer" for q in part)
    for name in ("feedback", "selection", "test"):
        there = Counter(q.skills[0] for q in parts[name])
        skill = min(skills, key=lambda s: (there[s], s))
        if there[skill] < least:
            share = " a larger share," if whole else ""
            raise ValueError(
                f"skill {skill!r} has {rows[skill]} rows, of which {there[skill]} fall to {name} and least= asks "
                f"{least}; give it more rows,{share} another skill= column, or a smaller least="
            )


def unlike(skills: Iterable[str]) -> None:
    """Refuse two skills that look alike: they differ in how a letter is encoded, or in spaces.

    Raises:
        ValueError: With the name.
    """
    seen: dict[str, str] = {}
    for skill in skills:
        other = seen.setdefault(identity(skill), skill)
        if other != skill:
            raise ValueError(f"the skills {other!r} and {skill!r} look alike and are written in two ways; choose one")
