"""How many planted copies of sealed problems the screen catches, by disguise, and how many clean texts it mistakes.

prose       a task of natural text: paragraphs of the Python manual (`pydoc_data`), half of them sealed. A copy of each
            sealed one is planted under every disguise, as the prompt of an example.
arithmetic  the registered task; copies of its test problems.
cost        searching 2,048 examples against 1,319 sealed texts (docstrings of the standard library), and a lesson of
            arithmetic against all of its sealed problems.

The student's own refusals (length, alphabet) come before and are left out here. Prints the tables of docs/leaks.md.
"""

from __future__ import annotations

import argparse
import ast
import base64
import codecs
import math
import re
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np

from dataenv.lessons.leaks import Guard, words
from tasks.arithmetic import Arithmetic
from tasks.arithmetic.grammar import OPERATORS
from tasks.base import Task
from tasks.records import SPLITS, Example, Grade, Problem, Split, stream

Pair = tuple[str, str]
Disguise = Callable[[str, np.random.Generator], Pair | None]
"""From a sealed prompt to prompt and response of an example; ``None`` where the disguise does not fit the prompt."""
LONG, SEALED, TIMED, EXAMPLES = 24, 300, 1319, 2048
ANSWER = "Yes."


# --- real text --------------------------------------------------------------------------------------------------------


@cache
def manual() -> tuple[str, ...]:
    """Paragraphs of the Python manual in a shuffled order, each once, though its topics repeat them."""
    from pydoc_data.topics import topics

    return _shuffled(p for text in topics.values() for p in re.split(r"\n\s*\n", text) if not p.startswith(" "))


@cache
def docstrings() -> tuple[str, ...]:
    """Paragraphs of the standard library's docstrings, in a shuffled order, each once."""
    found: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8", errors="replace"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.extend(re.split(r"\n\s*\n", ast.get_docstring(node) or ""))
    return _shuffled(found)


def _shuffled(paragraphs: Iterator[str] | Sequence[str]) -> tuple[str, ...]:
    kept: dict[str, str] = {}
    for paragraph in paragraphs:
        text = " ".join(paragraph.split())
        if re.match(r"[A-Z]", text) and text.endswith((".", ":")) and len(text.split()) >= 12:
            kept.setdefault("".join(words(text)), text)
    texts = list(kept.values())
    return tuple(texts[i] for i in stream(0, "shuffle").permutation(len(texts)))


class Prose(Task):
    """Sealed paragraphs of real text; what they are asked for plays no part."""

    name = "prose"
    version = "1"
    skills = ("any",)
    natural = True

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def split(self, name: Split) -> Sequence[Problem]:
        texts = self.texts if name == "test" else ()
        return [
            Problem(id=f"test/{i}", prompt=text, answer="yes", skills=("any",), split="test")
            for i, text in enumerate(texts)
        ]

    def grade(self, problem: Problem, response: str) -> Grade:
        return Grade(correct=response == problem.answer)

    def identity(self, prompt: str) -> str:
        return " ".join(prompt.split())


# --- disguises of prose -----------------------------------------------------------------------------------------------


def _clean(rng: np.random.Generator) -> str:
    return docstrings()[int(rng.integers(len(docstrings())))]


def _each(change: Callable[[str], str]) -> Disguise:
    return lambda text, rng: ("".join(map(change, text)), ANSWER)


def _whole(change: Callable[[str], str]) -> Disguise:
    return lambda text, rng: (change(text), ANSWER)


def _halved(first: bool) -> Disguise:
    def halve(text: str, rng: np.random.Generator) -> Pair:
        found = text.split()
        half = len(found) // 2
        return " ".join(found[:half] if first else found[half:]), ANSWER

    return halve


def _embedded(text: str, rng: np.random.Generator) -> Pair:
    return f"{_clean(rng)} {text} {_clean(rng)}", ANSWER


def _in_response(text: str, rng: np.random.Generator) -> Pair:
    return _clean(rng), f"{_clean(rng)} {text}"


def _split_at_word(text: str, rng: np.random.Generator) -> Pair:
    found = text.split()
    at = int(rng.integers(1, len(found)))
    return " ".join(found[:at]), " ".join(found[at:])


def _split_in_word(text: str, rng: np.random.Generator) -> Pair:
    at = int(rng.integers(1, len(text)))
    return text[:at], text[at:]


def _every(nth: int) -> Disguise:
    """Every nth word, from a random one on, becomes a word from elsewhere."""

    def change(text: str, rng: np.random.Generator) -> Pair:
        found, start = text.split(), int(rng.integers(nth))
        for i in range(start, len(found), nth):
            found[i] = rng.choice(_clean(rng).split())
        return " ".join(found), ANSWER

    return change


def _some(share: float) -> Disguise:
    """Each word becomes one from elsewhere by chance."""

    def change(text: str, rng: np.random.Generator) -> Pair:
        found = [str(rng.choice(_clean(rng).split())) if rng.random() < share else w for w in text.split()]
        return " ".join(found), ANSWER

    return change


def _shuffle_words(text: str, rng: np.random.Generator) -> Pair:
    return " ".join(rng.permutation(text.split())), ANSWER


def _swap_sentences(text: str, rng: np.random.Generator) -> Pair | None:
    sentences = re.split(r"(?<=[.:;]) ", text)
    return None if len(sentences) < 2 else (" ".join(reversed(sentences)), ANSWER)


def _respace(text: str, rng: np.random.Generator) -> Pair:
    """A space within one word in three, and none between one pair of words in three."""
    out = []
    for word in text.split():
        at = int(rng.integers(1, len(word))) if len(word) > 1 and rng.random() < 1 / 3 else 0
        out.append((word[:at] + " " + word[at:] if at else word) + ("" if rng.random() < 1 / 3 else " "))
    return "".join(out), ANSWER


def _respaced_inside(text: str, rng: np.random.Generator) -> Pair:
    return f"{_clean(rng)} {_respace(text, rng)[0]}", ANSWER


_CYRILLIC = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
_LEET = str.maketrans("aeiost", "431057")
DISGUISES: dict[str, Disguise] = {
    "to the letter": _whole(str),
    "upper case": _whole(str.upper),
    "without punctuation": _whole(lambda text: re.sub(r"[^\w\s]", "", text)),
    "other punctuation": _whole(lambda text: re.sub(r"[^\w\s]", " -- ", text)),
    "double spaces, new lines": _whole(lambda text: text.replace(" ", " \n ")),
    "spaces moved": _respace,
    "zero-width characters": _each(lambda c: c + "\u200b"),
    "control characters": _each(lambda c: c + "\x08"),
    "full-width letters": _each(lambda c: chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c),
    "look-alike letters (Cyrillic)": _whole(lambda text: text.translate(_CYRILLIC)),
    "accents added": _each(lambda c: c + "\u0301" if c in "aeiou" else c),
    "every word in **bold**": _whole(lambda text: " ".join(f"**{w}**" for w in text.split())),
    "first half": _halved(True),
    "second half": _halved(False),
    "inside a longer text": _embedded,
    "inside the response": _in_response,
    "split at a word": _split_at_word,
    "split in a word": _split_in_word,
    "sentences in reverse order": _swap_sentences,
    "every 10th word changed": _every(10),
    "every 9th word changed": _every(9),
    "every 8th word changed": _every(8),
    "every 7th word changed": _every(7),
    "every 5th word changed": _every(5),
    "one word in 7 changed, by chance": _some(1 / 7),
    "one word in 5 changed, by chance": _some(1 / 5),
    "spaces moved, inside a longer text": _respaced_inside,
    "digits for letters (l33t)": _whole(lambda text: text.translate(_LEET)),
    "words shuffled": _shuffle_words,
    "words in reverse order": _whole(lambda text: " ".join(reversed(text.split()))),
    "letters in reverse order": _whole(lambda text: text[::-1]),
    "rot13": _whole(lambda text: codecs.encode(text, "rot13")),
    "base64": _whole(lambda text: base64.b64encode(text.encode()).decode()),
}
SHORT: dict[str, Disguise] = {
    "short (3 to 7 words), to the letter": DISGUISES["to the letter"],
    "short, upper case, no punctuation": _whole(lambda text: re.sub(r"[^\w\s]", "", text.upper())),
    "short, inside a longer text": _embedded,
    "short, split in a word": _split_in_word,
    "short, one word changed": lambda text, rng: _every(len(text.split()))(text, rng),
}


# --- disguises of arithmetic ------------------------------------------------------------------------------------------


def _parts(prompt: str) -> tuple[str, str, str, str]:
    """Left operand, operator, right operand and the rest, as ``grammar`` writes them."""
    return prompt[:3], prompt[3], prompt[4:7], prompt[7:]


def _swapped(prompt: str, rng: np.random.Generator) -> Pair | None:
    a, sign, b, rest = _parts(prompt)
    return (b + sign + a + rest, "") if OPERATORS[sign].commutes and a != b else None


def _other_ignored(prompt: str, rng: np.random.Generator) -> Pair | None:
    a, sign, b, rest = _parts(prompt)
    other = f"{(int(b) + 1 + int(rng.integers(998))) % 1000:03}"
    return (a + sign + other + rest, "") if OPERATORS[sign].unary else None


def _zeros_dropped(prompt: str, rng: np.random.Generator) -> Pair | None:
    """The most significant digit stands last, so a leading zero is the last one."""
    a, sign, b, rest = _parts(prompt)
    short = b.rstrip("0") or "0"
    return (a + sign + short + rest, "") if short != b and not OPERATORS[sign].unary else None


def _in_words(prompt: str, rng: np.random.Generator) -> Pair | None:
    a, sign, b, rest = _parts(prompt)
    return (f"What is {a} {sign} {b}?", "") if rest.startswith(".") else None


ARITHMETIC: dict[str, Disguise] = {
    "to the letter": lambda prompt, rng: (prompt, ""),
    "operands swapped, where that asks the same": _swapped,
    "ignored operand changed": _other_ignored,
    "spaces for filler, none at the end": lambda prompt, rng: (" ".join(prompt).replace(".", " ").rstrip("= "), ""),
    "leading zeros dropped": _zeros_dropped,
    "inside a longer prompt": lambda prompt, rng: ("9" + prompt, ""),
    "after another question": lambda prompt, rng: ("111+222....=", f"333;{prompt}"),
    "split between prompt and response": lambda prompt, rng: (prompt[:5], prompt[5:]),
    "inside a longer prompt, with spaces": lambda prompt, rng: ("9 " + " ".join(prompt), ""),
    "asked in words": _in_words,
    "base64": lambda prompt, rng: (base64.b64encode(prompt.encode()).decode(), ""),
}


# --- the tables -------------------------------------------------------------------------------------------------------


def caught(guard: Guard, prompts: Sequence[str], disguise: Disguise, seed: int = 0) -> tuple[int, int]:
    """Planted copies that are caught, and planted copies."""
    rng, k, n = stream(seed, "disguise"), 0, 0
    for text in prompts:
        pair = disguise(text, rng)
        if pair is not None:
            k += guard.find(Example(prompt=pair[0], response=pair[1] or "1")) is not None
            n += 1
    return k, n


def short_texts() -> list[str]:
    """Sentences of three to seven words out of the manual, each once."""
    found = {" ".join(words(s)): s for p in manual() for s in re.split(r"(?<=[.:;]) ", p)}
    return [s for name, s in found.items() if 3 <= len(name.split()) <= 7 and re.match(r"[A-Z]", s)]


def rate(k: int, n: int) -> str:
    """k/n, the share, and Wilson's 95 % interval (E. B. Wilson 1927, JASA 22:209)."""
    z, p = 1.96, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{k}/{n} = {p:.2%} [{max(0.0, low):.2%}, {min(1.0, high):.2%}]"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table in Markdown, as docs/leaks.md holds it."""
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def prose() -> None:
    long = [p for p in manual() if len(words(p)) >= LONG]
    sealed, short = long[:SEALED], short_texts()
    guard, both = Guard(Prose(sealed)), Guard(Prose([*sealed, *short]))
    rows = [(name, rate(*caught(guard, sealed, d))) for name, d in DISGUISES.items()]
    rows += [(name, rate(*caught(both, short, d))) for name, d in SHORT.items()]
    table(("disguise of a paragraph", "caught"), rows)
    same = [p for p in manual() if p not in set(sealed)]
    clean: list[tuple[str, Guard, Sequence[str]]] = [
        ("docstrings of the standard library", guard, docstrings()),
        ("the same, short texts sealed too", both, docstrings()),
        ("other paragraphs of the same manual", guard, same),
    ]
    table(("text that was not planted", "taken for a copy"), [(n, rate(*caught(g, t, str_pair))) for n, g, t in clean])


def str_pair(text: str, rng: np.random.Generator) -> Pair:
    return text, ANSWER


def arithmetic() -> None:
    task = Arithmetic()
    guard, sealed = Guard(task), [p.prompt for p in task.split("test")]
    table(("disguise of an arithmetic problem", "caught"),
          [(name, rate(*caught(guard, sealed, d))) for name, d in ARITHMETIC.items()])  # fmt: skip
    fresh = [e.prompt for s in task.skills for e in task.generate(s, 1000, stream(1, "fresh"))]
    table(
        ("not planted", "taken for a copy"),
        [("fresh examples of the generator", rate(*caught(guard, fresh, str_pair)))],
    )


def cost() -> None:
    """CPU seconds, for the machine may be busy with other things."""
    texts = docstrings()
    sealed, rest = texts[:TIMED], texts[TIMED:]
    pairs = stream(0, "cost").integers(len(rest), size=(EXAMPLES, 2))
    natural = [Example(prompt=rest[i], response=rest[j]) for i, j in pairs.tolist()]
    task = Arithmetic()
    lesson = [e for s in task.skills for e in task.generate(s, EXAMPLES // len(task.skills), stream(1, "cost"))]
    rows = []
    for name, of, examples in (("prose", Prose(sealed), natural), ("arithmetic", task, lesson)):
        start = time.process_time()
        guard = Guard(of)
        built, took = time.process_time() - start, []
        for _ in range(9):
            start = time.process_time()
            for example in examples:
                guard.find(example)
            took.append(time.process_time() - start)
        size = np.mean([len(e.prompt) + len(e.response) for e in examples])
        count = sum(len(of.split(name)) for name in SPLITS)
        spread = f"{median(took):.3f} s ({min(took):.3f} to {max(took):.3f}, n = {len(took)})"
        rows.append((name, f"{count:,}", f"{len(examples):,} of {size:.0f} characters", spread, f"{built:.2f} s"))
    table(("task", "sealed", "examples searched", "CPU time, median (range)", "made ready, once"), rows)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for part in (prose, arithmetic, cost):
        part()


if __name__ == "__main__":
    main()
