"""Skill discovery: what items of a task's pool have in common, found before the environment is made.

A discoverer looks at a sample of the pool, without the task's own skills, and says which skill each item is of. What is
here draws the sample, drops skills that could not be measured, and says how far the rest agrees with the task's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dataenv import registry
from dataenv.discovery.agreement import adjusted_mutual_information
from dataenv.errors import SettingError
from tasks.base import Task
from tasks.discovered import Discovery, Quality, TextRule, item_key, primary
from tasks.proposed import Proposal
from tasks.records import Example, Record, Split, stream

if TYPE_CHECKING:
    from dataenv.execution.runner import Runner
    from dataenv.setting import Setting

SHOWN = 5
"""Prompts of a skill that the file holds to read."""
MEASURED: tuple[Split, ...] = ("feedback", "selection", "test")
"""The splits in which every skill has a row."""


@dataclass(frozen=True)
class DiscoveryScene:
    """What a discoverer is given. No example in it says what skill it is of.

    Attributes:
        items: The examples to label, no two of which ask the same.
        others: The rest of the pool, which a student may be trained on.
        setting: Task, student and recipe.
        runner: Store and executor; ``runner.chats`` keeps what language models said.
        seed: Of every draw.
    """

    items: tuple[Example, ...]
    others: tuple[Example, ...]
    setting: Setting
    runner: Runner
    seed: int


class Found(Record):
    """What a discoverer found.

    Attributes:
        skills: Their names.
        labels: The row of each item's skill, the one that it needs most; ``None`` for one that has none.
        further: The rows of the other skills of each item; empty where no item has any.
        cost: Student tokens, teacher tokens and money that it took.
        counts: Items, replies and so on by outcome.
    """

    skills: tuple[str, ...]
    labels: tuple[int | None, ...]
    further: tuple[tuple[int, ...], ...] = ()
    cost: dict[str, float] = {}
    counts: dict[str, int] = {}


class Discoverer(Protocol):
    """What is registered as a ``discoverer``."""

    name: str

    def discover(self, scene: DiscoveryScene) -> Found:
        """Label the items of a scene."""


def discover(
    setting: Setting,
    by: str,
    args: Mapping[str, Any],
    runner: Runner,
    items: int = 400,
    least: int = 10,
    seed: int = 0,
) -> Discovery:
    """Discover the skills of a task.

    Args:
        setting: Of the task, with no discovered skills; the discoverer may train its student.
        by: A registered discoverer, with ``args``.
        args: Its arguments.
        runner: Store and executor.
        items: How many items of the pool are looked at, drawn evenly.
        least: A skill of which the rule finds fewer problems than this in the feedback, selection or test split, or
            that has fewer items than 2, is dropped, and its items have none.
        seed: Of every draw.

    Raises:
        SettingError: If fewer than two skills are left.
        tasks.errors.UnsupportedError: If the task has no pool.
    """
    if setting.skills:
        raise SettingError(f"skills is {setting.skills!r}; leave it out to discover others")
    for field, value in (("items", items), ("least", least)):
        if value < 2:
            raise SettingError(f"{field} is {value}; give 2 or more")
    task, who = setting.built_task, registry.build("discoverer", by, args)
    chosen, rest = _sampled(task, items, seed)
    bare = [tuple(e.model_copy(update={"skills": ()}) for e in part) for part in (chosen, rest)]
    found: Found = who.discover(DiscoveryScene(bare[0], bare[1], setting, runner, seed))
    labelled = {i: label for i, label in enumerate(found.labels) if label is not None}
    kept, rule = _measurable(task, chosen, labelled, found.skills, least)
    skills = tuple(skill for i, skill in enumerate(found.skills) if i in kept)
    labels = {i: found.skills[label] for i, label in labelled.items() if label in kept}
    others = {i: tuple(found.skills[row] for row in rows if row in kept) for i, rows in enumerate(found.further)}
    dropped = len(found.skills) - len(skills)
    return Discovery(
        task=task.name,
        method=by,
        made_with={"args": dict(args), "items": items, "least": least, "seed": seed, "student": setting.student},
        cost=found.cost,
        counts={"items": len(chosen), "labelled": len(labels), "skills dropped": dropped, **found.counts},
        quality=_quality(task, [chosen[i] for i in labels], list(labels.values()), rule),
        skills=skills,
        examples={s: tuple(chosen[i].prompt for i in labels if labels[i] == s)[:SHOWN] for s in skills},
        items={item_key(task, chosen[i].prompt): skill for i, skill in labels.items()},
        further={item_key(task, chosen[i].prompt): others[i] for i in labels if others.get(i)},
    )


def _sampled(task: Task, n: int, seed: int) -> tuple[list[Example], list[Example]]:
    """``n`` items of the pool, no two of which ask the same, and those that ask something else."""
    pool, chosen = task.pool(), dict[str, Example]()
    order = stream(seed, "discover items").permutation(len(pool)).tolist()
    keys = [item_key(task, e.prompt) for e in pool]
    for i in order:
        if len(chosen) < n:
            chosen.setdefault(keys[i], pool[i])
    return list(chosen.values()), [pool[i] for i in order if keys[i] not in chosen]


def _measurable(
    task: Task, items: Sequence[Example], labels: Mapping[int, int], skills: Sequence[str], least: int
) -> tuple[set[int], TextRule]:
    """The skills that have enough problems in every split, and the rule that assigns problems to them."""
    # The rarest skill is dropped until every split has enough problems. Sealed prompts are only counted here.
    kept = {label for label, n in Counter(labels.values()).items() if n > 1}
    asked = [[problem.prompt for problem in task.split(split)] for split in MEASURED]
    while len(kept) > 1:
        rows = sorted(kept)
        there = [i for i in labels if labels[i] in kept]
        rule = TextRule([items[i].prompt for i in there], [rows.index(labels[i]) for i in there], len(rows))
        counts = [Counter(rule.labels(prompts)) for prompts in asked]
        fewest, row = min((min(c[row] for c in counts), row) for row in range(len(rows)))
        if fewest >= least:
            return kept, rule
        kept.remove(rows[row])
    raise SettingError(
        f"of {len(skills)} skills that were discovered fewer than two have {least} problems in every split; look at "
        "more --items, ask for other skills, or lower --least"
    )


def _quality(task: Task, items: Sequence[Example], labels: Sequence[str], rule: TextRule) -> dict[str, Quality]:
    """How far the labels, and the rule on feedback problems, agree with the task's own skills, where it has several."""
    if len(task.skills) < 2:
        return {}
    problems = task.split("feedback")
    said = rule.labels([problem.prompt for problem in problems])
    pairs: dict[str, tuple[Sequence[Any], list[str]]] = {
        "labelled": (labels, primary(items)),
        "rule": (said, primary(problems)),
    }
    return {
        name: Quality(ami=round(adjusted_mutual_information(ours, own), 4), n=len(own))
        for name, (ours, own) in pairs.items()
    }


def propose(
    setting: Setting, by: str, args: Mapping[str, Any], runner: Runner, most: int = 4, examples: int = 20, seed: int = 0
) -> Proposal:
    """Subskills of a Setting's task, with examples of each.

    Args:
        setting: Task and student.
        by: A registered discoverer that proposes, with ``args``.
        args: Its arguments.
        runner: Store and executor.
        most: The most subskills of a skill.
        examples: Written of each.
        seed: Of every draw.

    Raises:
        SettingError: If the discoverer proposes nothing that can be used.
    """
    who = registry.build("discoverer", by, args)
    if not hasattr(who, "propose"):
        raise SettingError(f"discoverer {by!r} proposes no subskills; give --by chat")
    if setting.subskills:
        raise SettingError(f"subskills is {setting.subskills!r}; leave it out to propose others")
    found: Proposal = who.propose(setting, runner, most, examples, seed)
    if not found.subskills:
        said = ", ".join(f"{name} {n}" for name, n in found.counts.items())
        raise SettingError(f"discoverer {by!r}: no subskill came with examples ({said}); give another model")
    return found
