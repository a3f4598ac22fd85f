"""The six tools of a session: their names, their arguments and what they do, in one table for every face."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dataenv.levels.open_ended import LONGEST
from tasks.records import Record

MOST_TEXTS = 4096
"""Examples or prompts in one call."""
Line = Annotated[str, Field(max_length=LONGEST)]
Branched = Annotated[int, Field(ge=0, description="A branch, by the number that fork gave; 0 is the episode itself.")]


class GivenExample(Record):
    """A training example."""

    prompt: Annotated[Line, Field(description="What the student reads.")]
    response: Annotated[Line, Field(description="What the student learns to write.")]
    skills: Annotated[list[Line], Field(max_length=16, description="The skills it trains, the primary one first.")] = []


Examples = Annotated[list[GivenExample], Field(max_length=MOST_TEXTS)]


class LookArguments(Record):
    """See the student: accuracy and mistakes by skill, what is left of the purse, and how a lesson is written."""

    branch: Branched = 0


class ProbeArguments(Record):
    """Measure the student on examples of your own, one number each. The purse pays 1 a token, kept or refused."""

    examples: Examples
    kind: Annotated[str, Field(max_length=60, description="loss, entropy, accuracy, or a registered probe.")] = "loss"


class SampleArguments(Record):
    """Let the student answer prompts of your own. The purse pays for prompts and answers."""

    prompts: Annotated[list[Line], Field(max_length=MOST_TEXTS)]
    n: Annotated[int, Field(ge=1, le=256, description="Answers to each prompt.")] = 1
    temperature: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0


class ForkArguments(Record):
    """Open a branch of the episode: lessons on it change nothing here, and the same purse pays for them."""


class TeachArguments(Record):
    """Teach one lesson: the student is fine-tuned on it and examined. This takes seconds to minutes."""

    mixture: Annotated[
        dict[str, float] | None,
        Field(description="Level skill-list: the share of each skill in the lesson; a skill left out gets none."),
    ] = None
    examples: Annotated[Examples | None, Field(description="Level open-ended: the lesson itself.")] = None
    action: Annotated[dict[str, Any] | None, Field(description="Other levels: the action, as look says.")] = None
    recipe: Annotated[str, Field(max_length=60, description="The name of a recipe, where look lists some.")] = ""
    branch: Branched = 0


class StopArguments(Record):
    """End the episode, or close a branch. What the student has learnt counts."""

    branch: Branched = 0


ARGUMENTS: dict[str, type[Record]] = {
    "look": LookArguments,
    "probe": ProbeArguments,
    "sample": SampleArguments,
    "fork": ForkArguments,
    "teach": TeachArguments,
    "stop": StopArguments,
}
"""The tools: name and arguments, whose docstring says what the tool does."""


def about(tool: str) -> str:
    """What a tool does, in a sentence or two."""
    return " ".join((ARGUMENTS[tool].__doc__ or "").split())
