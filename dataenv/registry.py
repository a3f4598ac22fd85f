"""Tasks, students, teachers, discoverers by name: ``name -> "module:Class"``, so nothing is imported before it is used.

A new one inside this project is one line here. Other packages register theirs under the entry-point groups
``dataenv.tasks``, ``dataenv.students``, ``dataenv.teachers`` and ``dataenv.discoverers``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Literal

from dataenv.errors import SettingError
from students import methods

Kind = Literal["task", "student", "teacher", "discoverer", "method"]

TASKS = {
    "arithmetic": "tasks.arithmetic:Arithmetic",
    "jsonl": "tasks.jsonl:Jsonl",
    "lego": "tasks.lego:Lego",
    "reasoning": "tasks.reasoning:Reasoning",
}
STUDENTS = {
    "causal-lm": "students.causal_lm:CausalLM",
    "pocket": "students.pocket:Pocket",
    "simulated": "students.simulated:Simulated",
}
TEACHERS = {
    "random": "teachers.random_mixture:RandomMixture",
    "stratified": "teachers.stratified:Stratified",
    "static": "teachers.stratified:Static",
    "failure": "teachers.failure:Failure",
    "stat-sel": "teachers.stat_sel:StatSel",
    "con-sel": "teachers.stat_sel:ConSel",
    "stat-sel-pool": "teachers.stat_sel:StatSelPool",
    "stat-syn": "teachers.llm.stat_syn:StatSyn",
    "embed-sel": "teachers.embed_sel:EmbedSel",
    "embed-syn": "teachers.llm.embed_syn:EmbedSyn",
    "hard-only": "teachers.hard_only:HardOnly",
    "variants": "teachers.variants:Variants",
    "augment": "teachers.llm.augment:Augment",
    "genqa": "teachers.llm.genqa:GenQA",
    "evol-instruct": "teachers.llm.evol_instruct:EvolInstruct",
    "skill-mix": "teachers.llm.skill_mix:SkillMix",
    "reflection": "teachers.llm.reflection:Reflection",
    "learning-progress": "teachers.progress:LearningProgress",
    "frontier": "teachers.frontier:Frontier",
    "deliberate-practice": "teachers.practice:DeliberatePractice",
    "skill-it": "teachers.skill_it:SkillIt",
    "curriculum": "teachers.curriculum:Curriculum",
    "skill-curriculum": "teachers.curriculum:SkillCurriculum",
    "cyclical": "teachers.curriculum:Cyclical",
    "easy-to-hard": "teachers.curriculum:EasyToHard",
    "llm2llm": "teachers.llm2llm:Llm2Llm",
    "accel": "teachers.accel:Accel",
    "self-improve": "teachers.self_improve:SelfImprove",
    "influence": "teachers.influence:Influence",
    "best-of": "teachers.best_of:BestOf",
    "open-ended": "teachers.llm.open_ended:OpenEndedPolicy",
    "skill-list": "teachers.llm.skill_list:SkillListPolicy",
    "skill-tree": "teachers.llm.skill_tree:SkillTreePolicy",
    "even-forest": "teachers.forest:EvenForest",
    "alternating": "teachers.forest:Alternating",
    "fill-balanced": "teachers.forest:FillBalanced",
    "threshold": "teachers.forest:Threshold",
    "ucb": "teachers.forest_bandits:Ucb",
    "thompson": "teachers.forest_bandits:Thompson",
    "exp3": "teachers.forest_bandits:Exp3",
    "forest-progress": "teachers.forest_bandits:ForestProgress",
    "lookahead": "teachers.lookahead:Lookahead",
    "learned": "teachers.learned:Learned",
}
DISCOVERERS = {
    "chat": "teachers.discovery.chat:ByChat",
    "loss": "teachers.discovery.loss:ByLoss",
    "text": "teachers.discovery.text:ByText",
}
_BUILT_IN: dict[Kind, dict[str, str]] = {
    "task": TASKS,
    "student": STUDENTS,
    "teacher": TEACHERS,
    "discoverer": DISCOVERERS,
    "method": methods.BUILT_IN,
}
LEVEL_IDS = {
    "open-ended": "dataenv/OpenEnded-v0",
    "skill-list": "dataenv/SkillList-v0",
    "skill-tree": "dataenv/SkillTree-v0",
}
"""The ids that Gymnasium knows the levels by."""


def names(kind: Kind) -> dict[str, str]:
    """Every registered name of a kind and where its class is; built-in names win over entry points."""
    return dict(sorted((_outside(kind) | _BUILT_IN[kind]).items()))


@lru_cache(maxsize=8)
def _outside(kind: Kind) -> dict[str, str]:
    """The entry points of a kind: scanning them takes milliseconds, and they do not change while a process runs."""
    return {point.name: point.value for point in entry_points(group=f"dataenv.{kind}s")}


def shared(kind: Kind, name: str, args: str) -> Any:
    """``build``, once a process for each name, arguments (JSON) and files they name: for what keeps nothing."""
    return _shared(kind, name, names(kind).get(name), args, _files(name, args))


@lru_cache(maxsize=32)
def _shared(kind: Kind, name: str, where: str | None, args: str, files: tuple[tuple[str, int, int], ...]) -> Any:
    return build(kind, name, json.loads(args))


def _files(name: str, args: str) -> tuple[tuple[str, int, int], ...]:
    """The files that arguments name, as they are now: what was made of one is made anew when it has changed."""
    found = []
    for value in (name.partition(":")[2], *json.loads(args).values()):
        if isinstance(value, str) and value and os.path.exists(value):
            stat = os.stat(value)
            found.append((os.path.abspath(value), stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def must_know(kind: Kind, name: str) -> None:
    """Refuse a name that is not registered.

    Raises:
        SettingError: With the nearest one that is.
    """
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
        raise SettingError(f"{kind} {name!r} is not registered; {hint}")


def build(kind: Kind, name: str, args: Mapping[str, Any] | None = None) -> Any:
    """Make a task, student, teacher or discoverer by name.

    Args:
        kind: What it is.
        name: As registered; ``name:path`` is short for the argument ``path``, as in ``jsonl:eval.jsonl``.
        args: Its arguments.

    Raises:
        SettingError: If the name is unknown (with the nearest one that exists) or the arguments do not fit.
    """
    known = names(kind)
    if name not in known and ":" in name:
        name, _, path = name.partition(":")
        if "path" in (args or {}):
            raise SettingError(f"{kind} {name!r} is given a path twice; leave out {kind}_args.path or {path!r}")
        args = {**(args or {}), "path": path}
    must_know(kind, name)
    module, _, attribute = known[name].partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingError(
            f"{kind} {name!r} is registered as {known[name]!r}, which cannot be loaded: {error}"
        ) from error
    try:
        inspect.signature(factory).bind(**(args or {}))
    except TypeError as error:
        raise SettingError(f"{kind}_args of {kind} {name!r} do not fit: {error}") from error
    try:
        return factory(**(args or {}))
    except (TypeError, ValueError) as error:
        raise SettingError(f"{kind}_args of {kind} {name!r} are refused: {error}") from error
