"""Everything that has a name: ``name -> "module:Class"``, so nothing is imported before it is used.

A new one inside this project is one file, one class and one line here. Other packages register theirs under the
entry-point group ``dataenv.KINDs`` (``dataenv.tasks``, ``dataenv.engines`` …), and a script of one's own by
``dataenv.register``. Wherever a name is taken, ``module:Class`` is taken too.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import islice
from typing import Any, Literal, get_args

from dataenv.errors import DataenvError, SettingError, did_you_mean
from dataenv.validation import refuse_keys
from students.training import methods

Kind = Literal[
    "task", "student", "teacher", "discoverer", "engine", "level", "method", "probe", "reference", "metric", "tracker",
    "executor",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

TASKS = {
    "arithmetic": "tasks.arithmetic:Arithmetic",
    "jsonl": "tasks.jsonl:Jsonl",
    "digits": "tasks.images:Digits",
    "image-classes": "tasks.images:ImageCollection",
    "lego": "tasks.lego:Lego",
    "programs": "tasks.programs:Programs",
    "reasoning": "tasks.reasoning:Reasoning",
    "scenes": "tasks.scenes:Scenes",
    "tools": "tasks.tools:Tools",
    "vqa": "tasks.vqa:Vqa",
    "words": "tasks.words:Words",
}
STUDENTS = {
    "causal-lm": "students.causal_lm.student:CausalLM",
    "image-cnn": "students.vision.classifier:ImageCnn",
    "image-mlp": "students.vision.classifier:ImageMlp",
    "piece-pocket": "students.pocket.pieces:PiecePocket",
    "pocket": "students.pocket.student:Pocket",
    "pocket-stacked": "students.pocket.stacked_student:PocketStacked",
    "pocket-vlm": "students.pocket_vlm.student:PocketVlm",
    "simulated": "students.simulated:Simulated",
    "tinker": "students.remote.tinker:Tinker",
    "word-lm": "students.word_lm.student:WordLm",
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
ENGINES = {
    "procedural": "dataenv.lessons.engines:Procedural",
    "pool": "dataenv.lessons.engines:Pool",
    "llm": "teachers.engines.llm:LlmEngine",
}
LEVELS = {
    "open-ended": "dataenv.levels.open_ended:OpenEnded",
    "skill-list": "dataenv.levels.skill_list:SkillList",
    "skill-tree": "dataenv.levels.skill_tree:SkillTree",
}
PROBES = {
    "loss": "dataenv.episode.probe:LossProbe",
    "entropy": "dataenv.episode.probe:EntropyProbe",
    "accuracy": "dataenv.episode.probe:AccuracyProbe",
}
REFERENCES = {
    "nothing": "dataenv.leaderboard.references:Nothing",
    "format-only": "dataenv.leaderboard.references:FormatOnly",
    "joint": "dataenv.leaderboard.references:Joint",
    "joint-x4": "dataenv.leaderboard.references:JointX4",
    "question-only": "dataenv.leaderboard.references:QuestionOnly",
    "static-best": "dataenv.leaderboard.references:StaticBest",
}
METRICS = {
    "transfer": "dataenv.leaderboard.statistics.metrics:TransferAccuracy",
    "worst-skill": "dataenv.leaderboard.statistics.metrics:WorstSkill",
    "forgotten": "dataenv.leaderboard.statistics.metrics:Forgotten",
    "call-f1": "dataenv.leaderboard.statistics.metrics:CallF1",
    "transfer-call-f1": "dataenv.leaderboard.statistics.metrics:TransferCallF1",
    "kept-share": "dataenv.leaderboard.statistics.metrics:KeptShare",
    "teacher-tokens": "dataenv.leaderboard.statistics.metrics:TeacherTokens",
}
TRACKERS = {"terminal": "dataenv.leaderboard.progress:Terminal", "jsonl": "dataenv.leaderboard.trackers:JsonlTracker"}
EXECUTORS = {
    "inline": "dataenv.execution.inline:Inline",
    "processes": "dataenv.execution.executors.local:Processes",
    "pool": "dataenv.execution.executors.pool:JobPool",
    "ray": "dataenv.execution.executors.ray_tasks:RayTasks",
}
_BUILT_IN: dict[Kind, dict[str, str]] = {
    "task": TASKS,
    "student": STUDENTS,
    "teacher": TEACHERS,
    "discoverer": DISCOVERERS,
    "engine": ENGINES,
    "level": LEVELS,
    "method": methods.BUILT_IN,
    "probe": PROBES,
    "reference": REFERENCES,
    "metric": METRICS,
    "tracker": TRACKERS,
    "executor": EXECUTORS,
}
LEVEL_IDS = {name: f"dataenv/{name.title().replace('-', '')}-v0" for name in LEVELS}
"""The ids that Gymnasium knows the levels by."""
IN_WORKERS = ("task", "student", "method")
"""Kinds that a worker process looks up by name."""
VARIABLE = "DATAENV_REGISTERED"
"""The environment variable that tells workers of this process what it has registered."""
NAMEABLE: dict[Kind, tuple[str, str]] = {
    "task": ("grade", "tasks.base.Task"),
    "student": ("answer", "students.base.Student"),
    "teacher": ("act", "teachers.base.Teacher"),
    "engine": ("make", "dataenv.lessons.engines.Engine"),
    "discoverer": ("discover", "dataenv.discovery.discover.Discoverer"),
}
"""What a class has that a file may name by ``module:Class``, with arguments of that file's; and one that has it."""
MOST_FILES = 1000
"""Files of a folder that are looked at for changes."""
_HERE: dict[Kind, dict[str, Any]] = {kind: {} for kind in KINDS}


def _told() -> dict[str, dict[str, str]]:
    """What the process that started this one has registered, by kind."""
    text = os.environ.get(VARIABLE, "{}")
    try:
        told = json.loads(text)
        sound = all(isinstance(where, str) for kind in IN_WORKERS for where in dict(told.get(kind, {})).values())
    except (ValueError, AttributeError, TypeError):
        sound = False
    if not sound:
        raise SettingError(f"{VARIABLE} is {text[:60]!r}, which dataenv did not write; unset it")
    return {kind: dict(told.get(kind, {})) for kind in IN_WORKERS}


methods.HERE.update(_told()["method"])


def register(kind: Kind, name: str, thing: Any) -> None:
    """Give something a name in this process, such as ``register("teacher", "mine", mine)``.

    Args:
        kind: What it is; see ``dataenv list``.
        name: By which it is asked for; it takes the place of a name that is there.
        thing: The class, a function that makes one, or ``"module:Class"``; of a teacher also the function
            observation -> action itself.

    Raises:
        SettingError: If there is no such kind, the name is none, or a worker could not find the thing.
    """
    if kind not in KINDS:
        raise SettingError(f"kind is {kind!r}; {did_you_mean(str(kind), KINDS)}")
    if not isinstance(name, str) or not name or ":" in name:
        raise SettingError(f"name is {name!r}; give a word without ':'")
    if not (callable(thing) or (isinstance(thing, str) and ":" in thing)):
        raise SettingError(f"{kind} {name!r} is a {type(thing).__name__}; give a class, a function or 'module:Class'")
    if kind == "method" and name in methods.BUILT_IN:
        raise SettingError(f"method {name!r} comes along, and its code is in every student's name; give another name")
    if kind in IN_WORKERS:
        _tell(kind, name, thing)
    if kind == "method":
        methods.HERE[name] = thing
    _HERE[kind][name] = thing
    _shared.cache_clear()


def _tell(kind: Kind, name: str, thing: Any) -> None:
    """Tell the workers that this process will start."""
    where = _where(thing)
    if not isinstance(thing, str):
        module, _, path = where.partition(":")
        found: Any = sys.modules.get(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        if found is not thing:
            raise SettingError(
                f"{kind} {name!r} is {where!r}, which no worker can find; define it in a module, by name"
            )
    told = _told()
    told[kind][name] = where
    os.environ[VARIABLE] = json.dumps(told)


def _where(thing: Any) -> str:
    if isinstance(thing, str):
        return thing
    module = getattr(thing, "__module__", type(thing).__module__)
    return f"{module}:{getattr(thing, '__qualname__', type(thing).__name__)}"


def names(kind: Kind) -> dict[str, str]:
    """Every registered name of a kind and where its class is.

    What this process has registered wins over the names of this project, and these over entry points.
    """
    here = {name: _where(thing) for name, thing in _HERE[kind].items()}
    told = _told()[kind] if kind in IN_WORKERS else {}
    return dict(sorted((_outside(kind) | _BUILT_IN[kind] | told | here).items()))


@lru_cache(maxsize=len(KINDS))
def _outside(kind: Kind) -> dict[str, str]:
    """The entry points of a kind: scanning them takes milliseconds, and they do not change while a process runs."""
    return {point.name: point.value for point in entry_points(group=f"dataenv.{kind}s")}


def must_know(kind: Kind, name: str) -> None:
    """Refuse a name that is neither registered nor ``module:Class``.

    Raises:
        SettingError: With the nearest name that is registered.
    """
    known = names(kind)
    if name in known or (_is_path(name) and not _meant(name, known)):
        return
    head = name.partition(":")[0]
    near = did_you_mean(head, known)
    hint = near if near.startswith("did you mean") else f"{near.removesuffix('.')}; or give module:Name."
    raise SettingError(f"{kind} {head!r} is not registered; {hint}")


def _is_path(name: str) -> bool:
    """Whether a name is ``module:Class``."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def _meant(name: str, known: Mapping[str, str]) -> bool:
    """Whether ``word:word`` is a misspelt name with a path, and no module that is there."""
    head = name.partition(":")[0]
    return "." not in head and did_you_mean(head, known).startswith("did you mean") and find_spec(head) is None


def find(kind: Kind, name: str) -> Any:
    """The class (or the function that makes one) behind a name.

    Raises:
        SettingError: If the name is unknown (with the nearest one), or what it names cannot be loaded.
    """
    must_know(kind, name)
    thing = _HERE[kind].get(name)
    if thing is not None and not isinstance(thing, str):
        return thing
    where = names(kind).get(name, name)
    module, _, attribute = where.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported: said
        raise SettingError(_unloadable(kind, name, where, error)) from error
    return found


def _unloadable(kind: Kind, name: str, where: str, error: BaseException) -> str:
    """Why something cannot be loaded; of a name that a module has not, the nearest one that it has."""
    module, _, attribute = where.partition(":")
    there = sys.modules.get(module)
    alias = "" if name == where else f" is {where!r}, which"
    said = f"{kind} {name!r}{alias} cannot be loaded ({type(error).__name__}: {error})"
    if isinstance(error, AttributeError) and there is not None and not hasattr(there, attribute.partition(".")[0]):
        public = [other for other in vars(there) if not other.startswith("_")]
        return f"{said}; {did_you_mean(attribute, public)}"
    return f"{said}; mend that module"


def find_class(kind: Kind, name: str, base: type[Any]) -> Any:
    """``find``, for kinds whose classes derive from one that this project gives.

    Raises:
        SettingError: As ``find`` does, or if what is found does not derive from ``base``.
    """
    found = find(kind, name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SettingError(
            f"{kind} {name!r} is {_where(found)!r}, which is no subclass of {base.__module__}.{base.__name__}; derive "
            "it from that"
        )
    lacking = sorted(getattr(found, "__abstractmethods__", ()))
    if lacking:
        raise SettingError(f"{kind} {name!r} lacks {', '.join(lacking)}; see {base.__module__}.{base.__name__}")
    return found


def sentence(kind: Kind, name: str) -> str:
    """The first sentence that something says of itself, without its full stop.

    Raises:
        SettingError: If it cannot be loaded.
    """
    said = inspect.getdoc(find(kind, name)) or ""
    first = " ".join(said.partition("\n\n")[0].split()).replace("``", "")
    return re.split(r"(?<!\bDr)\. ", first)[0].removesuffix(".")


def build(kind: Kind, name: str, args: Mapping[str, Any] | None = None) -> Any:
    """Make a thing by name.

    Args:
        kind: What it is.
        name: As registered, or ``module:Class``; ``name:path`` is short for the argument ``path``, as in
            ``jsonl:eval.jsonl``.
        args: Its arguments.

    Raises:
        SettingError: If the name is unknown (with the nearest one that exists) or the arguments do not fit.
    """
    known, given = names(kind), dict(args or {})
    head, colon, path = name.partition(":")
    if name not in known and colon and head in known:
        if "path" in given:
            raise SettingError(f"{kind} {head!r} is given a path twice; leave out {kind}_args.path or {path!r}")
        name, given = head, {**given, "path": path}
    refuse_keys(f"{kind}_args", f"{kind} {name!r}", given)
    factory = find(kind, name)
    if kind == "teacher" and _acts(factory):
        if given:
            what = f"teacher {name!r} is a function of the observation, which takes no arguments of its own"
            raise SettingError(f"{what}; leave out {', '.join(given)}, or give a class")
        return factory
    if name not in known:
        _must_be_class(kind, name, factory)
    try:
        inspect.signature(factory).bind(**given)
    except (TypeError, ValueError) as error:  # a class of Python's own may have no signature
        raise SettingError(f"{kind}_args of {kind} {name!r} do not fit: {error}") from error
    try:
        return factory(**given)
    except DataenvError as error:
        raise error if isinstance(error, SettingError) else SettingError(f"{kind} {name!r}: {error}") from error
    except (Exception, SystemExit, GeneratorExit) as error:  # somebody's own code, which may raise what it likes: said
        kept = isinstance(error, TypeError | ValueError)
        said = str(error) if kept else f"{type(error).__name__}: {error}"
        raise SettingError(f"{kind}_args of {kind} {name!r} are refused: {said}") from error


def is_object(kind: Kind, name: str) -> bool:
    """Whether a name is that of something which this process itself has registered, and not that of a module."""
    return not isinstance(_HERE[kind].get(name, ""), str)


def _must_be_class(kind: Kind, name: str, factory: Any) -> None:
    """Refuse to call what is no class of a kind: a file that names ``os:system`` and a command would have it run."""
    method, base = NAMEABLE.get(kind, ("", ""))
    if method and not (isinstance(factory, type) and callable(getattr(factory, method, None))):
        raise SettingError(
            f"{kind} {name!r} is no class with {method}(); derive it from {base}, or register() a function that makes "
            "one"
        )


def _acts(factory: Callable[..., Any]) -> bool:
    """Whether a function is a teacher itself (observation -> action) and makes none."""
    if not inspect.isfunction(factory):
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in places and p.default is p.empty for p in inspect.signature(factory).parameters.values())


def shared(kind: Kind, name: str, args: str) -> Any:
    """``build``, once a process for each name, arguments (JSON) and files they name: for what keeps nothing."""
    return _shared(kind, name, names(kind).get(name), args, _files(name, args))


@lru_cache(maxsize=32)
def _shared(kind: Kind, name: str, where: str | None, args: str, files: tuple[tuple[str, int, int], ...]) -> Any:
    return build(kind, name, json.loads(args))


def _files(name: str, args: str) -> tuple[tuple[str, int, int], ...]:
    """The files that arguments name, as they are now: what was made of one is made anew when it has changed.

    A name may stand anywhere in the arguments, and between colons, as in ``datasets:eval.jsonl``. Of a folder, all
    files in it count.
    """
    texts = {part for text in (name, *_texts(json.loads(args))) for part in (text, *text.split(":")) if part}
    found = [path for text in sorted(texts) if os.path.exists(text) for path in _within(text)]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path in found for stat in (os.stat(path),))


def _texts(value: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _within(path: str) -> list[str]:
    """A file, or a folder and what is in it."""
    below = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in sorted(names))
    return [os.path.abspath(path), *(os.path.abspath(one) for one in islice(below, MOST_FILES) if os.path.exists(one))]
