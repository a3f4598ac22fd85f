"""Leaks: whether an example asks, or spells out, what a sealed problem asks; and the list of such hits to read.

Every task is asked for its own ``identity`` and searched to the letter. A task of natural text (``Task.natural``) is
searched behind disguises too: as words without case, accents, punctuation, invisible characters or look-alike letters.
Prompt and response are searched together, so that splitting hides nothing. What this catches and what it does not is
measured by ``tests/bench/leak_catch_rates.py`` and written down in ``docs/leaks.md``.

A problem with pictures is sealed by its pictures, and not by its text, which may be that of many (``picture_leaks``).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

from pydantic import model_validator

from dataenv.lessons.letters import FirstLetters
from dataenv.lessons.picture_leaks import PictureLeaks
from dataenv.validation import Count, RowPart, Text
from tasks.base import Task
from tasks.columns import columns
from tasks.records import SPLITS, Example, Problem, Split

WORDS = 8
"""Words in a row that two texts share only if one was copied from the other (13 let one changed word in ten pass)."""
COMMON = 10
"""Words in a row that stand in more sealed prompts than this are the task's own wording, and name no problem."""
FEWEST = 3
"""A sealed prompt of fewer words is searched as a whole text only, for one or two words stand in many texts."""
PREFIX = 16
LISTED, SHOWN = 20, 400
"""Hits that are listed, and characters of each prompt and response; all are counted."""

How = Literal["identity", "verbatim", "normalised", "contained", "8-gram", "picture", "near-picture"]
"""identity: the task's canonical form is equal; verbatim: to the letter, somewhere inside; normalised: equal as words;
contained: a short sealed prompt as words, somewhere inside; 8-gram: eight words in a row of a longer one; picture: it
shows a sealed picture; near-picture: it shows one that looks like a sealed one.
"""
Where = Literal["lesson", "probe", "branch"]


@dataclass(frozen=True)
class Hit:
    """An example that leaks a sealed problem, and how that was seen."""

    example: Example
    problem: Problem
    how: How


class Leak(RowPart):
    """A hit, as the board's owner reads it. It was offered and not trained.

    Of the sealed problem it holds nothing but the name.

    Attributes:
        step: In which step it was offered.
        where: In a ``lesson``, in a ``probe``, or in a lesson of a ``branch``.
        problem: Id of the sealed problem.
        split: The split it is sealed in.
        how: How it was seen.
        prompt: What was offered, cut to ``SHOWN`` characters.
        response: The same.
    """

    step: Count
    where: Where
    problem: Text
    split: Split
    how: How
    prompt: Text
    response: Text


class Leaks(RowPart):
    """The hits of an episode, its probes and branches with it: how many, and the first ``LISTED``."""

    count: Count = 0
    first: tuple[Leak, ...] = ()

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if len(self.first) > self.count:
            raise ValueError(f"leaks.first lists {len(self.first)}, but leaks.count is {self.count}")
        return self


class LeakLog:
    """Where the hits of an episode are noted. Safe to use from many threads."""

    def __init__(self) -> None:
        self._count, self._first = 0, list[Leak]()
        self._lock = threading.Lock()

    def note(self, hits: Sequence[Hit], step: int, where: Where) -> None:
        """Count some hits, and list them while there is room."""
        with self._lock:
            self._count += len(hits)
            self._first.extend(
                Leak(
                    step=step,
                    where=where,
                    problem=hit.problem.id,
                    split=hit.problem.split,
                    how=hit.how,
                    prompt=hit.example.prompt[:SHOWN],
                    response=hit.example.response[:SHOWN],
                )
                for hit in hits[: LISTED - len(self._first)]
            )

    @property
    def listed(self) -> Leaks:
        """What was noted up to now."""
        with self._lock:
            return Leaks(count=self._count, first=tuple(self._first))


class Guard:
    """What is sealed in a task, so that an example is searched for it quickly.

    Args:
        task: Whose splits are sealed.
    """

    def __init__(self, task: Task) -> None:
        every = [p for name in SPLITS for p in task.split(name)]
        problems = [p for p in every if not p.media]
        self._pictures = PictureLeaks(every, task.natural)
        self._identity = task.identity
        own = type(task).asks_sealed is not Task.asks_sealed and len(problems) == len(every)
        self._asks_sealed = task.asks_sealed if own else self._asks
        self._identities = {task.identity(p.prompt): p for p in problems}
        self._words = _Words(problems) if task.natural else None
        # Eight words in a row are found to the letter too, wherever the first and the last of ten are cut.
        by_letter = range(FEWEST, WORDS + 2)
        self._letters = _Letters([p for p in problems if not task.natural or len(words(p.prompt)) in by_letter])

    def find_all(self, examples: Sequence[Example]) -> list[Hit | None]:
        """The first hit of each example, or ``None``: what ``find`` gives of each.

        One look at all texts together tells which of them cannot hold what is sealed; ``find`` is asked of the rest.
        """
        suspects = self.suspects(*columns(examples, "prompt", "response"))
        shows = columns(examples, "media")[0]
        return [self.find(e) if look or m else None for e, look, m in zip(examples, suspects, shows, strict=True)]

    def suspects(self, prompts: Sequence[str], responses: Sequence[str]) -> list[bool]:
        """Of many examples without pictures, whether ``find`` may have a hit of each.

        It is said of too many, and never of too few.

        Args:
            prompts: Of the examples.
            responses: Of the same, in order.
        """
        if self._words is not None:
            return [True] * len(prompts)
        asks = self._asks_sealed(prompts)
        holds = self._letters.may_hold([prompt + response for prompt, response in zip(prompts, responses, strict=True)])
        return [a or b for a, b in zip(asks, holds, strict=True)]

    def _asks(self, prompts: Sequence[str]) -> list[bool]:
        """What a task is asked that has no quicker way (``Task.asks_sealed``)."""
        return [self._identity(prompt) in self._identities for prompt in prompts]

    def find(self, example: Example) -> Hit | None:
        """The first hit of an example, or ``None``."""
        if (seen := self._pictures.find(example.media)) is not None:
            return Hit(example, *seen)
        problem = self._identities.get(self._identity(example.prompt))
        if problem is not None:
            return Hit(example, problem, "identity")
        problem = self._letters.find(example.prompt + example.response)
        if problem is not None:
            return Hit(example, problem, "verbatim")
        return None if self._words is None else self._words.find(example)


@lru_cache(maxsize=8)
def guard_of(task: Task) -> Guard:
    """The guard of a task; made once, for its splits never change."""
    return Guard(task)


class _Letters:
    """Finds sealed prompts in a text to the letter: by their first letters, then whole."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._prompts = {p.prompt: p for p in problems}
        self._start = min([PREFIX, *map(len, self._prompts)])
        lengths: dict[str, set[int]] = {}
        for prompt in self._prompts:
            lengths.setdefault(prompt[: self._start], set()).add(len(prompt))
        self._lengths = {start: tuple(sorted(found)) for start, found in lengths.items()}
        self._first = FirstLetters(lengths)

    def may_hold(self, texts: Sequence[str]) -> list[bool]:
        """Of many texts, whether each may hold a sealed prompt; of one that does it is always said."""
        return self._first.stand_in(texts)

    def find(self, text: str) -> Problem | None:
        start, lengths, prompts = self._start, self._lengths, self._prompts
        for i in range(len(text) - start + 1 if prompts else 0):
            for n in lengths.get(text[i : i + start], ()):
                if (problem := prompts.get(text[i : i + n])) is not None:
                    return problem
        return None


class _Words:
    """Finds sealed prompts in a text as words: whole, eight words in a row, and short ones anywhere."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._whole: dict[str, Problem] = {}
        self._runs: dict[str, tuple[Problem, How]] = {}
        read = [(problem, words(problem.prompt)) for problem in problems]
        shared = Counter(run for _, found in read for run in set(_runs(found, WORDS)))
        lengths: dict[str, set[int]] = {}
        for problem, found in read:
            self._whole.setdefault("".join(found), problem)
            short = FEWEST <= len(found) < WORDS
            for run in [" ".join(found)] if short else _runs(found, WORDS):
                if short or shared[run] <= COMMON:
                    self._runs.setdefault(run, (problem, "contained" if short else "8-gram"))
                    lengths.setdefault(" ".join(run.split(" ", FEWEST)[:FEWEST]), set()).add(run.count(" ") + 1)
        self._whole.pop("", None)  # a prompt without a word has its identity alone
        self._lengths = {start: tuple(sorted(found)) for start, found in lengths.items()}

    def find(self, example: Example) -> Hit | None:
        prompt, response = words(example.prompt), words(example.response)
        for whole in (prompt, response, prompt + response):
            if (problem := self._whole.get("".join(whole))) is not None:
                return Hit(example, problem, "normalised")
        # Where a word was cut in two between prompt and response, its halves are put together again.
        seam = [*prompt[-WORDS:-1], "".join(prompt[-1:] + response[:1]), *response[1:WORDS]]
        run = self._run(prompt + response) or self._run(seam)
        return None if run is None else Hit(example, *run)

    def _run(self, text: Sequence[str]) -> tuple[Problem, How] | None:
        lengths, runs = self._lengths, self._runs
        for i, start in enumerate(_runs(text, FEWEST)):
            for n in lengths.get(start, ()):
                if (found := runs.get(" ".join(text[i : i + n]))) is not None:
                    return found
        return None


def _runs(found: Sequence[str], n: int) -> Iterator[str]:
    """Every ``n`` words in a row."""
    return (" ".join(found[i : i + n]) for i in range(len(found) - n + 1))


def words(text: str) -> list[str]:
    """The words of a text, without case, accents, punctuation, invisible characters and look-alike letters."""
    return _WORD.findall(text.translate(_FOLDED))


_WORD = re.compile(r"[^\W_]+")
_LOOKALIKES = str.maketrans(
    "авеѕіјкмнорстухһԁԛԝɡ" + "αεικνορτυχωμηγ" + "ıɑ",  # Cyrillic, Greek, Latin
    "abesijkmhopctyxhdqwg" + "aeikvoptuxwuny" + "ia",
)


class _Fold(dict[int, str]):
    """What each character counts as: looked up once, then remembered. A table of all of Unicode would take a second."""

    def __missing__(self, code: int) -> str:
        """NFKD (so accents come apart), caseless, without marks and without what cannot be seen; then the look-alikes.

        Sources: Unicode Standard Annex 15 (normal forms) and the general categories Mn, Cf and Cc.
        """
        letters = unicodedata.normalize("NFKD", chr(code)).casefold()
        kept = "".join(c for c in letters if c.isspace() or unicodedata.category(c) not in ("Mn", "Cf", "Cc"))
        self[code] = "" if chr(code) in "'’" else kept.translate(_LOOKALIKES)
        return self[code]


_FOLDED = _Fold()
