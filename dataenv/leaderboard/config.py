"""What a board compares: a TOML file, read strictly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from dataenv import registry
from dataenv.episode.teacher import TeacherLike, build_teacher
from dataenv.errors import SettingError, did_you_mean, nearest
from dataenv.leaderboard.files import NAME
from dataenv.leaderboard.metric import metric_of
from dataenv.leaderboard.references import reference_class
from dataenv.levels import make_level
from dataenv.setting import Phases, Setting
from dataenv.validation import all_faults, assigned, explain
from dataenv.wrappers.mask import masked_fields
from tasks.records import Record, stream

Seed = Annotated[int, Field(ge=0, lt=2**31)]
BASELINE, UNTAUGHT, STATIC = "stratified", "nothing", "static-best"
"""Names of the teachers that a board's comparisons rest on."""


class Entry(Record):
    """A teacher on the board.

    Attributes:
        name: A registered teacher, or ``module:Name``.
        args: Its arguments.
        label: What the board calls it; the name, where empty, or the ``Name`` of ``module:Name``.
        mask: Fields of the observation that it is not shown; ``state`` for all that tell of the student. See
            ``dataenv.wrappers.mask``.
        finish: What comes after its last lesson, paid from the same purse; without, that of the Setting.
        engine: What makes its examples; empty for that of the Setting. A policy can so be paired with any engine.
        engine_args: Of that engine.
    """

    name: str
    args: dict[str, Any] = {}
    label: str = ""
    mask: tuple[str, ...] = ()
    finish: Phases = Field(default=(), exclude_if=not_)
    engine: str = Field(default="", exclude_if=not_)
    engine_args: dict[str, Any] = Field(default={}, exclude_if=not_)

    def within(self, setting: Setting) -> Setting:
        """What it teaches in: the Setting of the board, with its own finish and engine if it has any."""
        own: dict[str, Any] = {"finish": self.finish} if self.finish else {}
        own |= {"engine": self.engine, "engine_args": self.engine_args} if self.engine else {}
        return setting.changed(**own) if own else setting

    @model_validator(mode="after")
    def _paired(self) -> Entry:
        if self.engine_args and not self.engine:
            raise ValueError("engine_args is given and engine is not; name the engine too")
        return self

    @property
    def shown(self) -> str:
        """What the board calls it."""
        head, _, rest = self.name.partition(":")
        named = head not in registry.names("teacher") and all(part.isidentifier() for part in rest.split("."))
        return self.label or (rest if named else head)


class Mixtures(Record):
    """The fixed mixtures among which ``static-best`` is the best in hindsight.

    Attributes:
        seeds: Seeds on which the best is chosen: never those of the board.
        weights: The mixtures by name. A skill that a mixture does not name weighs 1.
    """

    seeds: tuple[Seed, ...] = (100, 101)
    weights: dict[str, dict[str, float]] = {}


class Tuning(Record):
    """Learning rates among which that of each teacher is chosen; see ``dataenv.leaderboard.tuning``.

    Attributes:
        rates: Peak rates of AdamW, each once.
        seeds: Seeds on which they are chosen: never those of the board.
    """

    rates: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=2, max_length=64)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (100, 101)

    @model_validator(mode="after")
    def _once(self) -> Tuning:
        for field in ("rates", "seeds"):
            if len(set(getattr(self, field))) != len(getattr(self, field)):
                raise ValueError(f"{field} hold one value twice; give each once")
        return self


class Until(Record):
    """When a board that adds seeds until its teachers are decided looks at them, and when it stops.

    Attributes:
        first: Seeds before the first look.
        group: Seeds that are added between two looks.
        most: Seeds at the last look; who is not decided by then stays so.
        effect: The difference worth finding, in points. A teacher stops as *futile* where a gain of that size is
            excluded at 90 %.
        worse: Whether a teacher that seems worse goes on until that is certain, or until a loss of that size is
            excluded too. Without, it stops as soon as it cannot be better, and seldom gets the verdict *worse*.
    """

    first: Annotated[int, Field(ge=3, le=1000)] = 3
    group: Annotated[int, Field(ge=1, le=1000)] = 3
    most: Annotated[int, Field(ge=3, le=1000)] = 24
    effect: Annotated[float, Field(gt=0, le=100)] = 3.0
    worse: bool = False

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds at each look."""
        return (*range(self.first, self.most, self.group), self.most)

    @model_validator(mode="after")
    def _in_order(self) -> Until:
        if self.first > self.most:
            raise ValueError(f"first is {self.first} and most is {self.most}; give at most as many first seeds")
        if len(self.looks) > LOOKS:
            raise ValueError(f"there are {len(self.looks)} looks; give a larger group, for at most {LOOKS} looks")
        return self


LOOKS = 50
"""Most looks of a board; each is one more chance to err, which the others pay for."""


class Board(Record):
    """A board.

    Attributes:
        name: Names the folder of its results.
        seeds: One run of each teacher for each; teachers are paired by seed.
        teachers: Who is compared, ``stratified`` among them: the others are measured against it.
        references: Registered references: what is shown beside them, unranked.
        metrics: Registered metrics: further columns of the board. They decide nothing that is computed.
        primary: What teachers are ranked by, and all that is tested, on the test split: ``final``, the accuracy of the
            selected student; or ``area``, the area under the learning curve over the purse.
        curve_points: Parts that ``area`` divides the purse into: at the ends of these parts, and at the beginning, the
            nearest student's test exam is opened when its run has ended.
        mixtures: Where ``static-best`` comes from.
        tune: How the learning rate of each teacher is chosen; without, all have that of the Setting.
        setting: What all of them share.
        until: How seeds are added until teachers are decided; used by ``--until-decided`` alone. See ``until_decided``.
    """

    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    teachers: Annotated[tuple[Entry, ...], Field(min_length=1)]
    references: tuple[str, ...] = ("nothing", "format-only", "joint", "joint-x4", "static-best")
    metrics: tuple[str, ...] = Field(default=(), exclude_if=not_)
    primary: Literal["final", "area"] = Field(default="final", exclude_if="final".__eq__)
    curve_points: Annotated[int, Field(ge=1, le=64)] = Field(default=4, exclude_if=(4).__eq__)
    mixtures: Mixtures = Mixtures()
    setting: Setting = Setting()
    tune: Tuning | None = Field(default=None, exclude_if=lambda value: value is None)
    until: Until | None = Field(default=None, exclude_if=lambda value: value is None)

    @field_validator("teachers", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """A teacher without arguments may be given by its name alone."""
        if isinstance(value, list | tuple):
            return [{"name": entry} if isinstance(entry, str) else entry for entry in value]
        return value

    @model_validator(mode="after")
    def _sound(self) -> Board:
        """Raise all that does not fit together at once, a line each."""
        found = [*self._of_teachers(), *self._all_registered(), *self._of_references()]
        if len(set(self.seeds)) != len(self.seeds):
            found.append("seeds hold one seed twice; a seed is one run")
        if "curve_points" in self.model_fields_set and self.primary != "area":
            found.append("curve_points is given, and primary is 'final'; give primary = 'area', or leave it out")
        if found:
            raise ValueError("\n".join(found))
        return self

    def _of_teachers(self) -> Iterator[str]:
        """Labels are names, each once; the baseline is there; and each finish fits."""
        shown = [entry.shown for entry in self.teachers]
        for label in shown:
            if not re.fullmatch(NAME, label):
                yield f"teacher label {label!r} is no name; use letters, digits, '.', '_' and '-'"
        for label in sorted({label for label in shown if shown.count(label) > 1} | (set(shown) & set(self.references))):
            yield f"teachers name {label!r} twice; give one of them another label"
        if BASELINE not in shown:
            yield f"teachers lack {BASELINE!r}, which the others are measured against; add it"
        if self.setting.budget.examples is not None and any(entry.finish for entry in self.teachers):
            yield "teachers have a finish, which setting.budget.examples would cap; leave one out"
        for i, entry in enumerate(self.teachers):
            if sum(phase.share for phase in entry.finish) > 1:
                yield f"teachers[{i}].finish sets more than the purse aside; give shares that sum to at most 1"

    def _all_registered(self) -> Iterator[str]:
        """References and metrics are there, each once."""
        kinds: tuple[tuple[registry.Kind, tuple[str, ...]], ...]
        kinds = (("reference", self.references), ("metric", self.metrics))
        for kind, given in kinds:
            for name in given:
                try:
                    registry.must_know(kind, name)
                except SettingError as error:
                    yield str(error)
            if len(set(given)) != len(given):
                yield f"{kind}s hold one name twice; give each once"

    def _of_references(self) -> Iterator[str]:
        """Those are there that the board rests on, and what they are made of."""
        if UNTAUGHT not in self.references:
            yield f"references lack {UNTAUGHT!r}, as which a failed run is scored; add it"
        if STATIC in self.references and not self.mixtures.weights:
            how = (
                "references hold" if "references" in self.model_fields_set else "references are not given, so they hold"
            )
            yield f"{how} {STATIC!r}, and mixtures.weights is empty; give mixtures, or references = [{UNTAUGHT!r}]"
        if STATIC in self.references and set(self.mixtures.seeds) & set(self.seeds):
            yield "mixtures.seeds and seeds overlap; choose the best mixture on other seeds"
        if self.tune is not None and set(self.tune.seeds) & set(self.seeds):
            yield "tune.seeds and seeds overlap; choose learning rates on other seeds"


STAND_IN: Mapping[str, Any] = {"name": "board", "seeds": [0], "teachers": [BASELINE], "references": [UNTAUGHT]}
"""What is looked at in place of required fields that are wrong, so that the others' faults are found too."""


def built_in() -> dict[str, Path]:
    """The boards that ship with the package, by name."""
    folder = Path(str(resources.files("dataenv.leaderboard"))) / "boards"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(which: str, changes: Mapping[str, Any] | None = None) -> Board:
    """A board by its name, or from a TOML file.

    Args:
        which: A built-in board or the path of a TOML file.
        changes: Values by dotted path that take the place of those in the file; see ``changed``.

    Raises:
        SettingError: If there is none, it is no TOML, or a field is wrong: every such field by name.
    """
    path, fields = read(which)
    where = f"board file {path}"
    if changes:
        where, fields = f"board {which} as changed", changed(fields, changes)
    board, found = all_faults(Board, fields, STAND_IN)
    if found or board is None:
        raise SettingError(f"{where}: {found[0]}" if len(found) == 1 else "\n  ".join([f"{where}:", *found]))
    for entry in board.teachers:
        check_mask(entry, build_teacher(entry.name, entry.args), board.setting)
    for name in board.references:
        reference_class(name)
    for name in board.metrics:
        metric_of(name)
    unknown = unknown_skills(board)
    if unknown:
        raise SettingError(f"{where}: {'; '.join(unknown)}")
    return board


def changed(fields: Mapping[str, Any], changes: Mapping[str, Any], where: str = "-s") -> dict[str, Any]:
    """The fields of a board's file with some of them changed.

    Args:
        fields: As they stand in the file.
        changes: Values by dotted path, such as ``seeds`` or ``setting.recipe.rate``. A field of the Setting may be
            named without ``setting.``, for no field of a board has the name of one.
        where: Begins the sentence of what is refused.

    Raises:
        SettingError: If a path leads to no field, with the nearest name.
    """
    out = dict(fields)
    for path, value in changes.items():
        head, known = path.partition(".")[0], {*Board.model_fields, *Setting.model_fields}
        if head not in known:
            raise SettingError(
                f"{where}: {head} is a field neither of a board nor of its Setting; {did_you_mean(head, sorted(known))}"
            )
        out = assigned(out, path if head in Board.model_fields else f"setting.{path}", value, Board, where)
    return out


def joined(board: Board, more: Sequence[Entry]) -> Board:
    """A board with more teachers; one that is on it already, the very same, is not added twice.

    Raises:
        SettingError: If two would have one label, or a mask does not fit.
    """
    fresh = [entry for entry in more if entry not in board.teachers]
    try:
        out = Board.model_validate(board.model_dump(exclude_unset=True) | {"teachers": (*board.teachers, *fresh)})
    except ValidationError as error:
        raise SettingError(f"with {', '.join(entry.shown for entry in more)} added: {explain(error, Board)}") from None
    for entry in fresh:
        check_mask(entry, build_teacher(entry.name, entry.args), out.setting)
    return out


def until_decided(board: Board) -> Board:
    """A board as it is played until its teachers are decided: with its rule, and with the seeds that it declares.

    The seeds follow from the Setting alone, in one order, so that nobody picks them; a larger ``most`` adds some behind
    the others. They lie far above those that people write into files, which may have been looked at before.
    """
    until, seeds = board.until or Until(), dict[int, None]()
    rng = stream(0, f"until decided/{board.setting.digest}")
    while len(seeds) < until.most:
        seed = int(rng.integers(10**8, 10**9))
        if seed not in {*board.mixtures.seeds, *(board.tune.seeds if board.tune else ())}:
            seeds[seed] = None
    return board.model_copy(update={"until": until, "seeds": tuple(seeds)})


def folder_name(board: Board) -> str:
    """The name of the folder of its results: one of its own for a board that is played until it is decided."""
    return board.name if board.until is None else f"{board.name}-until"


def check_mask(entry: Entry, teacher: TeacherLike, setting: Setting) -> None:
    """Refuse a mask that names what the teacher's level does not show.

    Raises:
        SettingError: If it does.
    """
    if entry.mask:
        masked_fields(make_level(teacher.level, setting), entry.mask)


def read(which: str) -> tuple[Path, dict[str, Any]]:
    """The file of a board and the fields in it, as they stand there.

    ``like`` names a board that ships with the package: primary outcome and Setting are that one's, with what stands in
    the file itself.

    Raises:
        SettingError: If there is none, it is no TOML, or ``like`` names no board.
    """
    shipped = built_in()
    path = shipped.get(which, Path(which))
    if which not in shipped and path.suffix != ".toml":
        otherwise = f"give {', '.join(shipped)} or the path of a .toml file"
        raise SettingError(f"board {which!r} is unknown; {did_you_mean(which, shipped, otherwise)}")
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return path, _like(fields, path) if "like" in fields else fields
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"board file {path} cannot be read ({error}); give the path of a .toml file") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"board file {path} is no TOML: {error}") from None


def _like(fields: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields of a board that is like another, with that one's primary outcome and Setting in place of its name."""
    other, rest = fields["like"], {name: value for name, value in fields.items() if name != "like"}
    shipped = built_in()
    if other not in shipped or shipped[other] == path:
        near = did_you_mean(other, shipped) if isinstance(other, str) else f"give one of {', '.join(shipped)}"
        raise SettingError(f"board file {path}: like is {other!r}, which is no other board of this package; {near}")
    taken = {name: value for name, value in read(other)[1].items() if name in ("primary", "curve_points", "setting")}
    return dict(_over(taken, rest))


def _over(under: Mapping[str, Any], given: Any) -> Any:
    """Plain values with some of them changed, within mappings too."""
    if not isinstance(given, Mapping):
        return given
    nested = {name: _over(under[name], value) for name, value in given.items() if isinstance(under.get(name), Mapping)}
    return {**under, **given, **nested}


def unknown_skills(board: Board) -> list[str]:
    """Skills of mixtures that the task does not have, one part each."""
    skills, parts = board.setting.built_task.skills, []
    for name, weights in board.mixtures.weights.items():
        for skill in weights:
            if skill not in skills:
                near = nearest(skill, skills)
                hint = f"did you mean {near}?" if near else f"the task has {', '.join(skills)}"
                parts.append(f"mixtures.weights.{name}.{skill} is no skill; {hint}")
    return parts
