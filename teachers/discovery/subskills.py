"""Subskills by proposal: a language model divides each skill, and writes examples of each part.

DataEnvGym's skill-tree environment grows subskills that a language model names (arXiv 2410.06215). There it does so
while the student is taught; here beforehand, into a file, for the spaces of an environment are fixed when it is made,
and what teachers are compared under is then the same for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, create_model

from dataenv.budget.teacher import TeacherPurse
from dataenv.execution.runner import Runner
from dataenv.lessons.engines import Request
from dataenv.lessons.screen import passing
from dataenv.setting import Setting
from tasks.base import Task
from tasks.discovered import LONGEST_NAME
from tasks.proposed import Proposal, Subskill
from tasks.records import Example, Record, stream
from teachers.chat.client import Chat
from teachers.chat.prompts import cleaned, render
from teachers.chat.spec import Ask, ChatSpec
from teachers.engines.writer import Writer, engine_spec
from teachers.lessons import Source

LONGEST = 300
"""Characters of a description."""
REFERENCES = 5


class Part(Record):
    """A subskill as it is proposed."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    description: Annotated[str, Field(max_length=LONGEST)]


class Division(Record):
    """The reply that divides a skill, without how many parts there may be."""

    subskills: tuple[Part, ...]


class Draft:
    """What an engine needs of an episode, where there is none: the task's own examples, and what a student can read."""

    def __init__(self, setting: Setting, seed: int, runner: Runner) -> None:
        self.chats, self.teacher_purse, self.lesson_size = runner.chats, TeacherPurse(), setting.lesson_size
        self.task: Task = setting.built_task
        self.student = setting.able_student
        self.skills, self.rng = self.task.skills, stream(seed, "subskills")

    def pool(self) -> Sequence[Example]:
        """See Context."""
        return self.task.pool()

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """See Context."""
        return list(self.task.generate(skill, n, self.rng, difficulty))

    def readable(self, examples: Sequence[Example]) -> list[bool]:
        """Whether each can be taught: it can be read, and copies nothing sealed."""
        return [bool(passing([e], self.task, self.student)) for e in examples]


def divide(
    spec: ChatSpec, engine: Mapping[str, Any], setting: Setting, runner: Runner, most: int, each: int, seed: int
) -> Proposal:
    """Propose and write. What was asked before is not paid again: replies are in the store.

    Args:
        spec: Who is asked.
        engine: Further fields of ``EngineSpec``.
        setting: Its task is divided, and its student has to be able to read what is written.
        runner: Its store keeps the replies.
        most: The most subskills of a skill.
        each: Examples that are wanted of each.
        seed: Of every draw.
    """
    chat, desk = Chat(spec, runner.chats), Draft(setting, seed, runner)
    writer = Writer(desk, engine_spec(spec.model_dump(), engine), "proposed", chat)
    parts = _proposed(chat, desk, most)
    wanted = [(skill, part) for skill, found in parts.items() for part in found]
    made = writer.make([Request(skill, each, about=part.model_dump()) for skill, part in wanted])
    kept: dict[str, list[Subskill]] = {}
    for (skill, part), examples in zip(wanted, made, strict=True):
        if examples:
            row = Subskill(name=part.name, description=part.description, examples=tuple(examples))
            kept.setdefault(skill, []).append(row)
    verdicts = {True: "right", False: "wrong", None: "unknown"}
    judged = Counter(verdicts[desk.task.judge(e)] for examples in made for e in examples)
    spent = chat.purse.spent
    counts = {"proposed": len(wanted), "without examples": sum(not examples for examples in made), **judged}
    counts |= {f"replies {outcome}": n for outcome, n in chat.counts.items()}
    return Proposal(
        task=desk.task.name,
        made_with={"model": spec.model, "most": most, "examples": each, "seed": seed},
        cost={"teacher_tokens": float(spent.tokens), "money": spent.money},
        counts=counts,
        subskills={skill: tuple(rows) for skill, rows in kept.items()},
    )


def _proposed(chat: Chat, desk: Draft, most: int) -> dict[str, list[Part]]:
    """Distinct parts of each skill, up to a limit; none if no reply on the skill is usable."""
    asks, source = [], Source(desk)
    for skill in desk.skills:
        shown = [{"question": e.prompt, "solution": e.response} for e in source.draw(skill, REFERENCES)]
        prompt = render("teachers.discovery:subskills.j2", desk.rng, skill=skill, references=shown, most=most)
        asks.append(Ask(prompt, _division(most)))
    replies = chat.ask_many(asks)
    said = {s: reply.value.subskills for s, reply in zip(desk.skills, replies, strict=True) if reply.ok}
    return {skill: _distinct(parts)[:most] for skill, parts in said.items()}


def _distinct(parts: Sequence[Part]) -> list[Part]:
    """In one line, lower case, without ``/``; the first of a name."""
    out: dict[str, Part] = {}
    for part in parts:
        name = " ".join(cleaned(part.name, LONGEST_NAME).replace("/", " ").split()).lower()
        text = " ".join(cleaned(part.description, LONGEST).split())
        if name:
            out.setdefault(name, Part(name=name[:LONGEST_NAME], description=text[:LONGEST]))
    return list(out.values())


def _division(most: int) -> type[Division]:
    # Twice as many are let through: those that say the same are dropped before the list is cut.
    parts: Any = Annotated[tuple[Part, ...], Field(min_length=1, max_length=2 * most)]
    return create_model("Division", __base__=Division, subskills=(parts, ...))
