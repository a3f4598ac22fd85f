"""``chat``: a language model names the skill of every item, merges the names, and labels every item with what is left.

The skill discovery of Didolkar et al. (arXiv 2405.12205), which STAT and DataEnvGym take their skills from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from dataenv.discovery.discover import DiscoveryScene, Found
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.setting import Setting
from tasks.discovered import LONGEST_NAME
from tasks.proposed import Proposal
from tasks.records import Example, Record, stream
from teachers.base import require_whole
from teachers.chat.client import Chat
from teachers.chat.prompts import cleaned, render
from teachers.chat.spec import Ask, Reply, make_spec
from teachers.discovery.subskills import divide

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class ByChat:
    """Name, group, label with a closed list; an item whose label cannot be used is asked for again.

    Every request depends on the items, the arguments and the seed alone, and replies are kept in the store, so the same
    discovery comes back to the same skills.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``; its caps on tokens and money hold.
        skills: The most skills, at least 2.
        names: Different names that are shown where they are grouped, the commonest first; at least 2.
        tries: Replies that are asked for until one can be used; an item with none has no skill.
        several: The most skills of an item, the one that it needs most first; STAT's catalogue has up to five
            (arXiv 2510.10023).
        engine: Fields of ``EngineSpec``, where subskills are proposed: how their examples are written.

    Attributes:
        chat: Of the last discovery.
    """

    name = "chat"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        skills: int = 16,
        names: int = 200,
        tries: int = 3,
        engine: Mapping[str, Any] | None = None,
        several: int = 1,
    ) -> None:
        self._spec, self._engine = make_spec(chat), dict(engine or {})
        self.skills, self.names = require_whole("skills", skills, 2), require_whole("names", names, 2)
        self.tries, self.several = require_whole("tries", tries), require_whole("several", several)

    def discover(self, scene: DiscoveryScene) -> Found:
        """See Discoverer.

        Raises:
            SettingError: If nothing can be made of what the model says.
        """
        self.chat = chat = Chat(self._spec, scene.runner.chats)
        given = [_tidy(reply.value.skill) for reply in self._named(chat, scene) if reply.ok]
        names = Counter(name for name in given if name)
        if not names:
            raise _useless(chat, f"none of {len(scene.items)} items could be named")
        skills = self._grouped(chat, scene, names)
        labels = self._labelled(chat, scene, skills)
        spent = chat.purse.spent
        return Found(
            skills=skills,
            labels=tuple(rows[0] if rows else None for rows in labels),
            further=tuple(tuple(rows[1:]) for rows in labels) if self.several > 1 else (),
            cost={"teacher_tokens": float(spent.tokens), "money": spent.money},
            counts={"named": names.total(), "names": len(names), "unassigned": labels.count([])},
        )

    def propose(self, setting: Setting, runner: Runner, most: int, each: int, seed: int) -> Proposal:
        """Divide the skills of a task; see ``teachers.discovery.subskills.divide``."""
        return divide(self._spec, self._engine, setting, runner, most, each, seed)

    def _named(self, chat: Chat, scene: DiscoveryScene) -> list[Reply]:
        template, rng = "teachers.discovery:name.j2", stream(scene.seed, "discover names")
        return chat.ask_many([Ask(render(template, rng, problem=_shown(item)), Named) for item in scene.items])

    def _grouped(self, chat: Chat, scene: DiscoveryScene, names: Counter[str]) -> tuple[str, ...]:
        """The closed list."""
        rows = [{"name": name, "times": n} for name, n in sorted(names.items(), key=lambda row: (-row[1], row[0]))]
        prompt = render(
            "teachers.discovery:group.j2",
            stream(scene.seed, "discover groups"),
            names=rows[: self.names],
            items=len(scene.items),
            most=self.skills,
        )
        for sample in range(self.tries):
            reply = chat.ask(Ask(prompt, _catalogue(self.skills), sample))
            skills = tuple(dict.fromkeys(filter(None, map(_tidy, reply.value.skills)))) if reply.ok else ()
            if len(skills) >= 2:
                return skills
        raise _useless(chat, f"{len(names)} names could not be grouped into two skills or more")

    def _labelled(self, chat: Chat, scene: DiscoveryScene, skills: Sequence[str]) -> list[list[int]]:
        """The skills of each item, as rows; an unusable reply is asked for again, ``tries`` times in all."""
        many, seed = self.several > 1, scene.seed
        template = f"teachers.discovery:{'labels' if many else 'label'}.j2"
        schema: type[Label | Labels] = _labels(skills, self.several) if many else _label(skills)
        # One nonce for all, and the problem last: what comes before it is read once by servers that keep prefixes.
        prompts = [
            render(template, stream(seed, "discover labels"), problem=_shown(item), skills=skills, most=self.several)
            for item in scene.items
        ]
        labels: list[list[int]] = [[] for _ in prompts]
        for sample in range(self.tries):
            open_ = [i for i, rows in enumerate(labels) if not rows]
            for i, reply in zip(open_, chat.ask_many([Ask(prompts[i], schema, sample) for i in open_]), strict=True):
                names = () if not reply.ok else reply.value.skills if many else (reply.value.skill,)
                labels[i] = [skills.index(name) for name in dict.fromkeys(names)]
        return labels


class Named(Record):
    """The reply that names an item's skill."""

    skill: Name


class Catalogue(Record):
    """The reply that groups names, without how many there may be."""

    skills: tuple[Name, ...]


class Label(Record):
    """The reply that labels an item, without its closed list."""

    skill: str


class Labels(Record):
    """The reply that labels an item with several skills, without its closed list."""

    skills: tuple[str, ...]


def _catalogue(most: int) -> type[Catalogue]:
    skills: Any = Annotated[tuple[Name, ...], Field(min_length=2, max_length=most)]
    return create_model("Catalogue", __base__=Catalogue, skills=(skills, ...))


def _label(skills: Sequence[str]) -> type[Label]:
    closed: Any = Literal[tuple(skills)]
    return create_model("Label", __base__=Label, skill=(closed, ...))


def _labels(skills: Sequence[str], most: int) -> type[Labels]:
    name: Any = Literal[tuple(skills)]
    closed: Any = Annotated[tuple[name, ...], Field(min_length=1, max_length=most)]
    return create_model("Labels", __base__=Labels, skills=(closed, ...))


def _shown(item: Example) -> dict[str, str]:
    return {"problem": item.prompt, "answer": item.response}


def _tidy(name: str) -> str:
    """A name in one line and lower case; empty if nothing is left."""
    text = " ".join(cleaned(name, LONGEST_NAME).split()).lower()
    return "".join(c for c in text if c.isprintable())[:LONGEST_NAME].strip()


def _useless(chat: Chat, what: str) -> SettingError:
    outcomes = ", ".join(f"{outcome} {n}" for outcome, n in chat.counts.most_common())
    return SettingError(f"discoverer 'chat': {what} (replies: {outcomes}); see docs/chat.md, or give another model")
