"""``train-teacher``: a policy, trained on simulated students or on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataenv.cli.common import SKILLS, Voice, command, make_runner, takes_executor
from dataenv.cli.given import json_object, setting_fields
from dataenv.cli.options import DEFAULT_STORE, OUTPUT, WITHIN, Json, Quiet, SetField, SettingFields, Store

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

    from dataenv.execution.runner import Runner
    from dataenv.learning.policy import Card, TeacherPolicy
    from dataenv.learning.rollouts import PolicyPlan
    from dataenv.learning.training import TrainedPolicy
    from dataenv.setting import Setting
    from dataenv.vector.variation import Variation

HELD_OUT = range(1_000_000, 1_000_006)
"""Seeds of the simulated students that the regret is of; training draws others."""


PLAN = "Training"
"""The heading of the options of the training itself."""


@command("train-teacher", SKILLS)
@takes_executor
def train_teacher(
    spec: dict[str, Any],
    algorithm: Annotated[str, typer.Option(metavar="NAME", rich_help_panel=PLAN, help="ppo, reinforce or es.")] = "ppo",
    start: Annotated[
        Path | None, typer.Option(metavar="FOLDER", rich_help_panel=PLAN, help="Of a policy to go on from.")
    ] = None,
    envs: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=PLAN, help="Episodes before each update.")
    ] = 128,
    plan: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            rich_help_panel=PLAN,
            help="Fields of dataenv.learning.rollouts.PolicyPlan: iterations, rate, …",
        ),
    ] = "{}",
    vary: Annotated[
        str,
        typer.Option(metavar="JSON", rich_help_panel=PLAN, help="Fields of dataenv.vector.variation.Variation."),
    ] = "{}",
    student: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=WITHIN, help="simulated, or a real one.")
    ] = "simulated",
    set_: SetField = None,
    setting: SettingFields = "{}",
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="For the policy; that of another is written over."),
    ] = Path("runs/teachers/ppo"),
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a teacher, show how its return grows, and write the policy: --teacher learned -t path=…."""
    from dataenv.learning.policy import save
    from dataenv.learning.training import train
    from dataenv.setting import make_setting

    voice = Voice(as_json, quiet)
    within = make_setting(setting_fields(setting, set_, student=student))
    made, varied = _planned(algorithm, plan, vary)
    begun, card = _begun(start, within) if start else (None, None)
    simulated = within.student == "simulated"
    runner = make_runner("off" if simulated else store or DEFAULT_STORE, spec)
    try:
        done = train(_vector(envs, within, varied, runner), made, begun, _teller(made.iterations, voice))
    finally:
        runner.executor.close()
    said = {"plan": made.model_dump(mode="json"), "envs": envs, "setting": within.digest, "student": within.student}
    said |= {"task": within.task, "skills": within.built_task.skills}
    said |= {"vary": varied.model_dump()} if simulated else {}
    written = save(done.policy, _card_fields(made.algorithm, within, done, card, said), out)
    value = {"policy": done.policy.identity, "folder": str(out), "prior": written.prior, "curve": done.curve}
    if simulated and not quiet:
        value |= _told_regret(done.policy, within, voice)
    voice.result(value, f"policy {done.policy.identity[:12]} in {out}; prior compute {written.prior:,} student tokens")


def _told_regret(policy: TeacherPolicy, setting: Setting, voice: Voice) -> dict[str, float]:
    """How a frozen policy does on simulated students of other seeds, said and as fields of the result."""
    mean, behind = _regret(policy, setting)
    voice.say(
        f"frozen, on {len(HELD_OUT)} simulated students of other seeds, not varied: expected accuracy "
        f"{100 * mean:.1f} %, at least {100 * behind:.1f} points behind the best schedule"
    )
    return {"expected_accuracy": mean, "regret": behind}


def _planned(algorithm: str, plan: str, vary: str) -> tuple[PolicyPlan, Variation]:
    """The fields of ``--plan`` and ``--vary``."""
    from dataenv.errors import SettingError
    from dataenv.learning.rollouts import PolicyPlan
    from dataenv.validation import validated
    from dataenv.vector.variation import Variation

    made = validated(PolicyPlan, {"algorithm": algorithm} | json_object("--plan", plan), "--plan", SettingError)
    return made, validated(Variation, json_object("--vary", vary), "--vary", SettingError)


def _begun(start: Path, setting: Setting) -> tuple[TeacherPolicy, Card]:
    """The policy to go on from, and its card."""
    from dataenv.errors import SettingError
    from dataenv.learning.policy import load

    policy, card = load(start)
    if card.skills not in ((), setting.built_task.skills):
        raise SettingError(f"--start {start} knows skills by name, and not those of {setting.task}; start from another")
    return policy, card


def _card_fields(
    algorithm: str, setting: Setting, done: TrainedPolicy, before: Card | None, said: dict[str, Any]
) -> dict[str, Any]:
    """The fields of a trained policy's card; ``before`` is the card of the policy it went on from."""
    from dataenv.learning.policy import SKILLS

    return {
        "algorithm": algorithm,
        "prior": (before.prior if before else 0) + _owed(setting, done.tokens, before is not None),
        "trained": (*(before.trained if before else ()), said),
        "curve": done.curve,
        "skills": setting.built_task.skills if SKILLS in done.policy.weights else (),
    }


def _vector(envs: int, setting: Setting, varied: Variation, runner: Runner) -> VectorEnv[Any, Any, Any]:
    """The students to train on; those that reset themselves within a step share one warm start."""
    from dataenv.vector.simulated import SimulatedVectorEnv
    from dataenv.vector.vector_env import TeachingVectorEnv

    if setting.student == "simulated":
        return SimulatedVectorEnv(envs, autoreset_mode="SameStep", vary=varied, setting=setting)
    one = setting.changed(warm_starts=1)
    return TeachingVectorEnv(envs, runner=runner, settings=[one] * envs, autoreset_mode="SameStep")


def _owed(setting: Setting, tokens: int, goes_on: bool) -> int:
    """Real student tokens of a training: the tokens spent, or those that it took to measure the simulated curves."""
    from students.simulated.model import fitted

    if setting.student != "simulated":
        return tokens
    return 0 if goes_on else fitted().tokens


def _teller(iterations: int, voice: Voice) -> Callable[[int, float], None]:
    """Tells the mean return of twenty stretches of a training."""
    found: list[float] = []
    every = max(1, iterations // 20)

    def say(iteration: int, mean: float) -> None:
        found.append(mean)
        if (iteration + 1) % every == 0 or iteration + 1 == iterations:
            voice.say(f"iteration {iteration + 1:>4} of {iterations}: mean return {sum(found) / len(found):+.3f}")
            found.clear()

    return say


def _regret(policy: TeacherPolicy, setting: Setting) -> tuple[float, float]:
    """Expected accuracy of a frozen policy on simulated students, and how far it is behind the best schedule."""
    from dataenv.learning.oracle import regrets

    values, regret = regrets(policy, setting, HELD_OUT)
    return float(values.mean()), float(regret.mean())
