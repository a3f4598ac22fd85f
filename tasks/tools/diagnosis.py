"""Which tool or argument a wrong plan lacks, and which skills that are (a missing-skill profile, STAT section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.tools.checking import judge_plan, matched
from tasks.tools.plan import Argument, Call, Plan, Refusal, ResultOf, read_plan


@dataclass(frozen=True)
class PlanFault:
    """One thing that is wrong with a plan.

    Attributes:
        tool: Whose call it is; empty where the plan could not be read.
        argument: The wrong argument; empty where it is the call itself.
        sentence: For a person.
    """

    tool: str
    argument: str
    sentence: str


def missing_skills(skills: tuple[str, ...], gold: Plan, response: str) -> tuple[str, ...]:
    """The skills that a wrong plan lacks, most basic first; none where it is right.

    A gold call that the response does not make, whatever its references, blames the skill of its tool. Where all are
    made, what was wrong is how they go together, and that is the composition. A plan that cannot be read lacks all.

    Args:
        skills: Of the problem, the primary one first.
        gold: The gold plan.
        response: What the student wrote.
    """
    if judge_plan(gold, response).right:
        return ()
    plan = read_plan(response.strip())
    if isinstance(plan, Refusal):
        return (*skills[1:], skills[0])
    made, _ = matched(_unlinked(gold), _unlinked(plan))
    blamed = dict.fromkeys(call.tool for call, there in zip(gold, made, strict=True) if not there)
    return tuple(tool for tool in blamed if tool in skills) or skills[:1]


def explain(gold: Plan, response: str) -> tuple[PlanFault, ...]:
    """What is wrong with a plan, call by call: which tool is missing, needless or has which argument wrong."""
    verdict = judge_plan(gold, response)
    plan = read_plan(response.strip())
    if isinstance(plan, Refusal):
        return (PlanFault("", "", plan.sentence),)
    if verdict.reached:
        spare = (call for call, needed in zip(plan, verdict.given, strict=True) if not needed)
        return tuple(PlanFault(call.tool, "", f"{call.tool} is needless") for call in spare)
    wrong = [call for call, fine in zip(plan, verdict.given, strict=True) if not fine]
    found: list[PlanFault] = []
    for wanted in (call for call, there in zip(gold, verdict.wanted, strict=True) if not there):
        other = next((call for call in wrong if call.tool == wanted.tool), None)
        if other is None:
            found.append(PlanFault(wanted.tool, "", f"{wanted.tool} is missing"))
        else:
            wrong.remove(other)
            found.extend(_arguments(wanted, other))
    found.extend(PlanFault(call.tool, "", f"{call.tool} was not wanted with these arguments") for call in wrong)
    if verdict.refusal is not None:
        found.append(PlanFault("", "", verdict.refusal.sentence))
    return tuple(found) or (PlanFault("", "", "the calls are those that were wanted, in an order that does not fit"),)


def _arguments(wanted: Call, made: Call) -> list[PlanFault]:
    return [
        PlanFault(wanted.tool, name, f"{wanted.tool}: argument {name!r} is {_shown(was)}, and {_shown(arg)} was wanted")
        for (name, arg), (_, was) in zip(wanted.args, made.args, strict=True)
        if arg != was
    ]


def _shown(arg: Argument) -> str:
    if isinstance(arg, ResultOf):
        return f"the result of call {arg.call + 1}"
    said = str(arg)
    return f"{said:.40}" if said.isprintable() else f"{said!a:.40}"


def _unlinked(plan: Sequence[Call]) -> Plan:
    """A plan whose references all are the same text, so that calls are compared by what is written in them alone."""
    return tuple(Call(c.tool, tuple((n, "$" if isinstance(a, ResultOf) else a) for n, a in c.args)) for c in plan)
