"""Which skills a wrong program lacks: from what it gives on the inputs that it fails, and from its syntax tree.

First what it computes is compared with the description without one of its steps: where it gives the same as that, this
step is what it lacks. Else its tree is searched for each step's own part of the reference program. A program that has
all parts and is wrong lacks the skill that puts them together. (Compare STAT's missing-skill profile, section 3, which
asks a language model.)
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tasks.programs.checking import Verdict, hidden
from tasks.programs.derivation import FAULTS, Derivation, Step
from tasks.programs.responses import UNREADABLE, parsed, read_program
from tasks.sandbox import same_value


def diagnose(skills: tuple[str, ...], asked: Derivation | None, response: str, verdict: Verdict) -> tuple[str, ...]:
    """The missing skills of a wrong response, most basic first.

    Args:
        skills: Of the problem, the primary one first.
        asked: What was asked.
        response: What was answered.
        verdict: On the response.
    """
    basic_first = skills[1:] + skills[:1]
    program = read_program(response, asked.letter) if asked is not None else None
    if asked is None or program is None or len(skills) == 1:
        return basic_first
    left_out = [step for step in asked.steps if len(asked.steps) > 1 and _gives(_without(asked, step), asked, verdict)]
    missing = _skills(left_out, skills) or _skills(_not_in(program.code, asked.steps), skills)
    return missing or skills[:1]


def _skills(steps: Iterable[Step], skills: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.form.skill for step in steps if step.form.skill in skills))


def _without(asked: Derivation, step: Step) -> Derivation:
    return replace(asked, steps=tuple(other for other in asked.steps if other is not step), shown=())


def _gives(other: Derivation, asked: Derivation, verdict: Verdict) -> bool:
    """Whether a response gave on each hidden input what another derivation gives, where it fails on some."""
    inputs = [given for given, _ in hidden(asked)]
    if len(verdict.values) < len(inputs):
        return False
    try:
        return all(same_value(got, other.value(given)) for given, got in zip(inputs, verdict.values, strict=True))
    except FAULTS:
        return False


def _not_in(code: str, steps: Sequence[Step]) -> list[Step]:
    """The steps whose own part of the reference program is nowhere in a program."""
    try:
        there = {_form(node) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.expr)}
        return [step for step in steps if not _parts(step) <= there]
    except UNREADABLE:
        return list(steps)


def _parts(step: Step) -> set[str]:
    """What a step's code must hold: its expression, or of a whole form what stands around the value it works on."""
    fragment = step.fragment().replace("{v}", "_")
    return {_form(parsed(fragment))}


def _form(node: ast.AST) -> str:
    """A tree without the value that it works on: what is sliced, called on, looped over or calculated with first."""
    match node:
        case ast.Subscript(slice=part):
            return f"subscript {ast.dump(part)}"
        case ast.Call(func=ast.Attribute(attr=name), args=arguments):
            return f"method {name} {[ast.dump(a) for a in arguments]}"
        case ast.Call(func=ast.Name(id=name), keywords=keywords):
            return f"call {name} {[ast.dump(k) for k in keywords]}"
        case ast.BinOp(op=op, right=right) if isinstance(right, ast.Constant):
            return f"operation {type(op).__name__} {right.value!r}"
        case ast.ListComp(elt=element, generators=loops) | ast.DictComp(value=element, generators=loops):
            return f"loop {ast.dump(element)} {[ast.dump(c) for loop in loops for c in loop.ifs]}"
        case ast.Name(id=name):
            return f"name {name}"
    return ast.dump(node)
