"""``check_engine``: what was asked for, equal for an equal generator, and nothing kept from one lesson to the next."""

from __future__ import annotations

from typing import Any

from dataenv.checks.common import SEALED, ContractError, demand, made_of, own_randomness, short
from dataenv.checks.teacher import QUICK
from dataenv.errors import SettingError
from dataenv.lessons.engines import Engine, Request, engine_of
from dataenv.lessons.leaks import guard_of
from dataenv.lessons.scene import Scene
from dataenv.setting import Setting, make_setting
from dataenv.snapshot import Snapshot
from tasks.columns import ExampleColumns
from tasks.errors import UnsupportedError
from tasks.records import Example, stream

EACH = 5


def check_engine(
    engine: str | Engine | type[Engine], args: dict[str, Any] | None = None, setting: Setting | None = None
) -> None:
    """Check an engine against ``dataenv.lessons.engines.Engine``.

    Args:
        engine: A registered name, ``module:Class``, or an engine.
        args: Its arguments, with a name.
        setting: Whose task it draws from; by default a very small one on ``arithmetic``.

    Raises:
        ContractError: With the first rule that is broken.
    """
    setting = setting or make_setting(QUICK)
    made = _built(engine, args or {}, setting) if isinstance(engine, str) else made_of("engine", engine, Engine)
    name = getattr(made, "name", None)
    demand(isinstance(name, str) and bool(name), f"name is {name!r}; set it to a word on the class")
    try:
        made.check(setting.built_task)
    except UnsupportedError as error:
        raise ContractError(f"engine {name!r} cannot draw from task {setting.task!r} ({error}); give another") from None
    skills = setting.built_task.skills
    asked = [Request(skill, EACH) for skill in skills]
    whole = _made(made, asked, setting, step=0)
    demand(len(whole) == len(asked), f"make() gives {len(whole)} lists for {len(asked)} requests; give one for each")
    for request, examples in zip(asked, whole, strict=True):
        _sound(request, examples, setting)
    demand(any(whole), f"make() gives nothing for {EACH} of each skill; give examples")
    demand(whole == _made(made, asked, setting, step=0), "make() differs for an equal rng and scene; draw from rng")
    few = _made(made, asked[:1], setting, step=1)
    again = _made(made, asked[:1], setting, step=1)
    demand(few == again, "make() depends on what was made before; keep nothing, the scene says what was taught")
    demand(_made(made, [], setting, step=0) == [], "make() of no requests is not empty; give []")
    if made.divides:
        _divides(made, setting)


def _divides(engine: Engine, setting: Setting) -> None:
    """Data of a subskill is made for it, and says so."""
    task = setting.built_task
    parts = [(skill, part) for skill in task.skills for part in task.subskills(skill)[:1]]
    asked = [Request(skill, EACH, subskill=part) for skill, part in parts]
    for request, examples in zip(asked, _made(engine, asked, setting, step=2), strict=True):
        _sound(request, examples, setting)
        said = all(e.origin.endswith(f"/{request.subskill}") for e in examples)
        demand(
            said, f"make() of subskill {request.subskill!r} gives another origin; end origin in '/{request.subskill}'"
        )


def _built(name: str, args: dict[str, Any], setting: Setting) -> Engine:
    try:
        return engine_of(setting.changed(engine=name, engine_args=args))
    except SettingError as error:
        raise ContractError(str(error)) from error


def _made(engine: Engine, asked: list[Request], setting: Setting, step: int) -> list[list[Example]]:
    """What comes of some requests, as plain lists of objects."""
    scene = Scene(setting, Snapshot(setting=setting.digest, level="skill-list", seed=0, student_seed=0, step=step))
    with own_randomness("make()"):
        made = engine.make(asked, stream(0, "check", step), scene)
    fine = isinstance(made, list) and all(isinstance(examples, list | ExampleColumns) for examples in made)
    demand(fine, f"make() gives {made!r:.60}; give a list of examples for each request")
    return [list(examples) for examples in made]


def _sound(request: Request, examples: list[Example], setting: Setting) -> None:
    """What is made of one request: examples of its skill, no more than were asked, none of them sealed."""
    call, task = f"make() of {request.n} of {request.skill!r}", setting.built_task
    demand(len(examples) <= request.n, f"{call} gives {len(examples)}; give at most as many as were asked")
    for example in examples:
        demand(type(example) is Example, f"{call} gives a {type(example).__name__}; give Examples")
        demand(bool(example.prompt and example.response), f"{call} gives an empty prompt or response; give both")
        demand(
            example.skills[:1] == (request.skill,), f"{call} gives skills {example.skills}; put the one asked for first"
        )
        hit = guard_of(task).find(example)
        sealed = hit is not None and hit.how in SEALED
        demand(not sealed, f"{call} gives {short(example.prompt)}, which a sealed split asks; draw again")
