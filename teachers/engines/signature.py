"""Solution signatures: two questions that are worked out in the same way from the same numbers are one question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tasks.records import Example, digest
from teachers.chat.synthesis import NewQuestion, Want

_NUMBER = re.compile(r"\d+(?:[.,/]\d+)*")
_STEP = re.compile(r"\d+(?:[.,/]\d+)*|[^\w\s.,;:!?'\"()…]")  # a number, or a sign that is no punctuation
_WORD = re.compile(r"\w+")


def signature(skills: Sequence[str], question: str, solution: str) -> str:
    """Names what a question asks, independent of its wording.

    It holds the skills, the numbers of the question in any order, and the numbers and signs of the solution in theirs.
    So other names and other units make no new question, and other numbers do. Where a text holds no number its words
    stand for them, without case: then only a copy is a near-duplicate. Self-play teachers remember what they made by
    its solutions for the same reason (R-Diverse): to a distance between texts a new story is a new problem.
    """
    numbers = sorted(_NUMBER.findall(question)) or sorted(_WORD.findall(question.casefold()))
    steps = _STEP.findall(solution) if _NUMBER.search(solution) else _WORD.findall(solution.casefold())
    return digest([list(skills), numbers, steps])


class Seen:
    """What an episode has shown as a reference or made: a question like one of those is a near-duplicate.

    Like is what has the same ``signature``, and what has the same words, whatever skills it is said to train and
    however it is solved. Where a known problem is to be worded anew only the words count; a question that was given and
    not written is none.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._texts: set[str] = set()

    def show(self, wants: Iterable[Want]) -> None:
        """Remember the references."""
        for want in wants:
            for e in want.references:
                self._names.add(signature(want.skills, e.prompt, e.response))
                self._texts.add(_words(e.prompt))

    def taught(self, examples: Iterable[Example]) -> None:
        """Remember what was taught, as if it had been made here."""
        for e in examples:
            self._names.add(signature(e.skills, e.prompt, e.response))
            self._texts.add(_words(e.prompt))

    def new(self, question: NewQuestion, examples: Sequence[Example], yields: Counter[str]) -> list[Example]:
        """What came of a question; nothing, counted as ``near-duplicates``, if one like it was shown or made before."""
        if not examples or question.want.given is not None:
            return list(examples)
        text, name = _words(question.text), signature(question.want.skills, question.text, examples[0].response)
        if text in self._texts or (name in self._names and not question.want.reworded):
            yields["near-duplicates"] += 1
            return []
        self._texts.add(text)
        self._names.add(name)
        return list(examples)


def _words(question: str) -> str:
    return " ".join(question.split()).casefold()
