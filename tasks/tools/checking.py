"""What a plan is worth: it is run in every world beside the gold plan, and their calls are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.records import Grade
from tasks.tools.plan import Call, Plan, PlanOutcome, Refusal, ResultOf, read_plan, run_plan
from tasks.tools.world import worlds

STATE, ANSWER, PLAN = "state", "answer", "plan"
WANTED, GIVEN = "wanted", "given"
"""The first word of a part that is a call: of the gold plan, or of the response."""
Written = tuple[object, ...]
"""A call with all that it refers to, so that calls of two plans can be compared."""


@dataclass(frozen=True)
class PlanVerdict:
    """What a response came to.

    Attributes:
        refusal: Why it could not be read or run; ``None`` where it could.
        state: Whether it leaves every world as the gold plan does.
        answer: Whether its answer is the gold plan's in every world; true where none is asked for.
        wanted: Of each call of the gold plan, whether the response makes it.
        given: Of each call of the response, whether it is one that was wanted.
        calls: The tools of the response, in order; empty where it could not be read.
    """

    refusal: Refusal | None
    state: bool
    answer: bool
    wanted: tuple[bool, ...]
    given: tuple[bool, ...]
    calls: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether it comes to what was asked for, maybe with calls that do nothing for it."""
        return self.refusal is None and self.state and self.answer

    @property
    def right(self) -> bool:
        """Whether it comes to what was asked for, and no call is needless."""
        return self.reached and all(self.given)


def outcomes(plan: Plan) -> list[PlanOutcome] | Refusal:
    """What a plan comes to in each world; the first refusal where one refuses it."""
    found: list[PlanOutcome] = []
    for world in worlds():
        outcome = run_plan(plan, world)
        if isinstance(outcome, Refusal):
            return outcome
        found.append(outcome)
    return found


def judge_plan(gold: Plan, response: str) -> PlanVerdict:
    """Compare a response with a gold plan.

    A response with the same result as the gold plan makes all the calls that were wanted, whichever they are. Of its
    calls those are needless without which the result is the same.
    """
    plan = read_plan(response.strip())
    if isinstance(plan, Refusal):
        return PlanVerdict(plan, False, False, (False,) * len(gold), (), ())
    names = tuple(call.tool for call in plan)
    if plan == gold:
        return PlanVerdict(None, True, True, (True,) * len(gold), (True,) * len(gold), names)
    aim, found = aim_of(gold), outcomes(plan)
    wanted, given = matched(gold, plan)
    if isinstance(found, Refusal):
        return PlanVerdict(found, False, False, wanted, given, names)
    state, answer = _states_agree(aim, found), _answers_agree(aim, found)
    if state and answer:
        wanted, given = (True,) * len(gold), tuple(not is_needless(plan, i, aim) for i in range(len(plan)))
    return PlanVerdict(None, state, answer, wanted, given, names)


def grade_of(verdict: PlanVerdict, gold: Plan) -> Grade:
    """The grade of a verdict; ``lenient`` forgives needless calls."""
    parts = {
        f"{WANTED} {i + 1} {call.tool}": made for i, (call, made) in enumerate(zip(gold, verdict.wanted, strict=True))
    }
    made_calls = zip(verdict.calls, verdict.given, strict=True)
    parts |= {f"{GIVEN} {i + 1} {tool}": wanted for i, (tool, wanted) in enumerate(made_calls)}
    if verdict.refusal is not None:
        parts[f"{PLAN}: {verdict.refusal.reason}"] = False
    else:
        parts |= {STATE: verdict.state, ANSWER: verdict.answer}
    return Grade(correct=verdict.right, lenient=verdict.reached, parts=parts)


@dataclass(frozen=True)
class CallScore:
    """How well calls are chosen, over many responses (micro average).

    Attributes:
        precision: Of the calls that were made, the share that was wanted; in [0, 1], 0 where none was made.
        recall: Of the calls that were wanted, the share that was made; in [0, 1].
        f1: Their harmonic mean; in [0, 1].
    """

    precision: float
    recall: float
    f1: float


def call_score(grades: Iterable[Grade]) -> CallScore:
    """Precision, recall and F1 of calls, from the parts of grades."""
    found = Counter((name.split(" ")[0], made) for grade in grades for name, made in (grade.parts or {}).items())
    return score_of_counts(
        {kind: (found[kind, True], found[kind, True] + found[kind, False]) for kind in (WANTED, GIVEN)}
    )


def score_of_counts(counts: Mapping[str, tuple[int, int]]) -> CallScore:
    """Precision, recall and F1 of calls, from how many ``WANTED`` and ``GIVEN`` are right, and of how many."""
    precision, recall = (right / of if of else 0.0 for right, of in (counts[GIVEN], counts[WANTED]))
    both = precision + recall
    return CallScore(precision, recall, 2 * precision * recall / both if both else 0.0)


@lru_cache(maxsize=4096)
def aim_of(gold: Plan) -> tuple[PlanOutcome, ...]:
    """What a gold plan comes to in each world."""
    found = outcomes(gold)
    assert not isinstance(found, Refusal), f"a gold plan is refused: {found.sentence}"
    return tuple(found)


def _states_agree(aim: Sequence[PlanOutcome], found: Sequence[PlanOutcome]) -> bool:
    return all(a.state == b.state for a, b in zip(aim, found, strict=True))


def _answers_agree(aim: Sequence[PlanOutcome], found: Sequence[PlanOutcome]) -> bool:
    return all(a.answer is None or a.answer == b.answer for a, b in zip(aim, found, strict=True))


def is_needless(plan: Plan, at: int, aim: Sequence[PlanOutcome]) -> bool:
    """Whether a plan comes to the aim without one of its calls too."""
    if any(arg == ResultOf(at) for call in plan for _, arg in call.args):
        return False
    found = outcomes(tuple(_moved(call, at) for i, call in enumerate(plan) if i != at))
    return not isinstance(found, Refusal) and _states_agree(aim, found) and _answers_agree(aim, found)


def _moved(call: Call, at: int) -> Call:
    """A call whose references are to the plan without the call ``at``."""
    shifted = (
        (name, ResultOf(arg.call - 1) if isinstance(arg, ResultOf) and arg.call > at else arg)
        for name, arg in call.args
    )
    return Call(call.tool, tuple(shifted))


def matched(gold: Plan, plan: Plan) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Of each call of two plans, whether the other makes it too, each call counted once; in whatever order."""
    return _among(written(gold), written(plan)), _among(written(plan), written(gold))


def _among(calls: Sequence[Written], others: Sequence[Written]) -> tuple[bool, ...]:
    left, found = Counter(others), []
    for call in calls:
        found.append(left[call] > 0)
        left[call] -= 1
    return tuple(found)


def written(plan: Plan) -> list[Written]:
    """Each call with the calls that it refers to in their place; the terms of a sum or product in one order."""
    made: list[Written] = []
    for call in plan:
        values: list[object] = [made[arg.call] if isinstance(arg, ResultOf) else arg for _, arg in call.args]
        if call.tool == "calculate" and dict(call.args)["operation"] in ("plus", "times"):
            values = [values[1], *sorted((values[0], values[2]), key=repr)]
        made.append((call.tool, *values))
    return made
