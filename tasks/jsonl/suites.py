"""Published suites by name: what a board shows in a column of its own beside the whole test exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tasks.jsonl.columns import Item


@dataclass(frozen=True)
class PublishedSuite:
    """A suite that has a name in the literature.

    Attributes:
        source: Where it is (``reading.read_rows``); empty for a part of the test file.
        form: The published form of its rows (``formats.FORMATS``).
        least: Of a part: the least difficulty of its problems, in [0, 1]; ``says`` is that in words.
        says: See ``least``.
    """

    source: str = ""
    form: str = "math"
    least: float = 0.0
    says: str = ""


SUITES: dict[str, PublishedSuite] = {
    "math-hard": PublishedSuite(least=0.75, says="of levels 4 and 5"),
    "gsm8k": PublishedSuite("datasets:openai/gsm8k:main:test", form="gsm8k"),
    "amc23": PublishedSuite("datasets:math-ai/amc23:default:test"),
    "aime24": PublishedSuite("datasets:math-ai/aime24:default:test"),
    "aime25": PublishedSuite("datasets:math-ai/aime25:default:test"),
}
"""MATH-Hard is levels 4 and 5 of MATH (arXiv 2103.03874) in STAT (arXiv 2510.10023, section 4). The MATH-Hard of the
Open LLM Leaderboard is level 5 alone."""


def named_suites(names: Sequence[str]) -> dict[str, PublishedSuite]:
    """The published suites of some names.

    Raises:
        ValueError: If a name is unknown, with the nearest one; or stands there twice.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"suites is {str(names)[:60]!r}; give a list of names, such as ['math-hard', 'aime24']")
    unknown = next((name for name in names if name not in SUITES), None)
    if unknown is not None:
        near = get_close_matches(unknown, SUITES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"give {', '.join(SUITES)}"
        raise ValueError(f"suites names {unknown[:60]!r}; {hint} A file of your own is named in transfer")
    if len(set(names)) < len(names):
        raise ValueError(f"suites names {max(names, key=list(names).count)!r} twice; name each once")
    return {name: SUITES[name] for name in names}


def with_sources(transfer: Mapping[str, str], suites: Mapping[str, PublishedSuite]) -> dict[str, str]:
    """The sources of all transfer suites by name: a file that is given by the name of a suite takes its place."""
    if "" in transfer and any(suite.source for suite in suites.values()):
        raise ValueError("transfer is one file and suites names others; give the file a name: transfer.NAME = its path")
    known = {name: suite.source for name, suite in suites.items() if suite.source}
    return dict(sorted((known | dict(transfer)).items()))


def parts_of(
    test: Sequence[Item], suites: Mapping[str, PublishedSuite], transfer: Mapping[str, str], where: str
) -> list[str]:
    """The part of the test exam that each of its problems is of; empty for those of none.

    Args:
        test: The problems.
        suites: Those that were named.
        transfer: Sources by name: a suite that has a file is no part.
        where: What the test problems are from, for the sentence.

    Raises:
        ValueError: If no problem is of a part: the file names no levels, or none so high.
    """
    parts = {name: suite for name, suite in suites.items() if not suite.source and name not in transfer}
    for name, suite in parts.items():
        if not any(item.difficulty >= suite.least for item in test):
            raise ValueError(
                f"suite {name!r} is of the test problems {suite.says}, and {where} says of none that it is one; give "
                "a file with a column level (1 to 5), or leave the suite out"
            )
    return [next((name for name, suite in parts.items() if q.difficulty >= suite.least), "") for q in test]
