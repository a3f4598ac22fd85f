"""The words that fill the places of a wording, by their kind; no wording uses them as words of its own."""

from __future__ import annotations

from tasks.templates import spoken

__all__ = ["DAYS", "FILLERS", "KIND_OF", "MOST", "PLACEHOLDERS", "spoken"]


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


PEOPLE = _listed("tom ann ben eva max lea sam ida leo mia jan zoe kim pat ron sue ted amy joe meg dan liz roy may")
THINGS = _listed("apples pears plums nuts eggs cakes books pens cards stamps coins shells stones beads rings buttons")
ITEMS = _listed("ball key cup hat map lamp doll drum rope flag coat shoe")
PLACES = _listed("kitchen garden hall attic barn shop park yard school office cellar tower")
DAYS = _listed("monday tuesday wednesday thursday friday saturday sunday")
MOST = 99
"""The largest number that is one word."""
NUMBERS = tuple(str(n) for n in range(MOST + 1))

FILLERS = {"person": PEOPLE, "thing": THINGS, "item": ITEMS, "place": PLACES, "day": DAYS, "number": NUMBERS}
PLACEHOLDERS = {
    **dict.fromkeys("abc", "person"),
    **dict.fromkeys("t", "thing"),
    **dict.fromkeys("ijk", "item"),
    **dict.fromkeys("pqr", "place"),
    **dict.fromkeys("d", "day"),
    **dict.fromkeys("xyz", "number"),
}
"""What each letter of a wording stands for. Two letters of one kind are never the same word, numbers apart."""
KIND_OF = {word: kind for kind, words in FILLERS.items() for word in words}
