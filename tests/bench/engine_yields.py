"""What comes of each stage of the engine that writes, and how much is right before and after its filter.

The writer is scripted: it varies the digits of its references, and is wrong as often as it is told to be. So the table
says what the *filters* do at a known rate of errors, and nothing about any language model; for that see
``bench_local_llm.py``. What is right is said by the task's own judge.

    nice -n 5 python tests/bench/engine_yields.py --each 20
"""

from __future__ import annotations

import argparse
import json
import zlib
from typing import Any

from common import machine
from leak_catch_rates import rate, table

from dataenv.checks.teacher import QUICK
from dataenv.environment.env import TeachingEnv
from dataenv.episode.context import Context
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.lessons.engines import Request
from tasks.arithmetic import Arithmetic
from tasks.records import Example, stream
from teachers.chat.scripted import Script, ScriptedTurn, Server, serving
from teachers.chat.tutor import _solve, _vary, blocks, tutor
from teachers.engines.signature import signature
from teachers.engines.writer import Writer, engine_spec

TASK = Arithmetic()


def stubborn(share: float) -> Script:
    """Always wrong in the same way about the same share of the questions: a misconception, and no slip."""
    right = tutor(_solve, _vary, wrong=0.0)

    def script(turn: ScriptedTurn) -> str:
        if (turn.schema or {}).get("title") == "Solution":
            question = blocks(turn.messages[0]["content"])["question"]
            if zlib.crc32(question.encode()) % 1000 < 1000 * share:
                return json.dumps({"solution": "000", "answer": "000"})
        return right(turn)

    return script


def written(script: Script, each: int, **fields: Any) -> tuple[Writer, list[Example]]:
    """What an engine over a script makes, ``each`` of every skill."""
    with serving(Server(script)) as server:
        env = TeachingEnv("open-ended", runner=Runner(Store()), **QUICK)
        env.reset(seed=0)
        spec = engine_spec({"base_url": server.base_url, "model": "scripted"}, fields)
        pen = Writer(Context(env), spec, "pen")
        made = pen.make([Request(skill, each) for skill in TASK.skills])
    return pen, [example for examples in made for example in examples]


def before(pen: Writer) -> str:
    """How many of all solutions are right."""
    right = n = 0
    for row in pen.chat.used.values():
        prompt = row["request"]["messages"][0]["content"]
        if prompt.startswith("Solve"):
            example = Example(prompt=blocks(prompt)["question"], response=json.loads(row["text"])["solution"])
            right, n = right + bool(TASK.judge(example)), n + 1
    return rate(right, n)


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=20, help="examples of each skill")
    each = parser.parse_args().each
    print(machine())
    writers: list[tuple[str, Script, dict[str, Any]]] = [
        (f"slips, {wrong:.0%}", tutor(_solve, _vary, wrong=wrong), {}) for wrong in (0.0, 0.2, 0.4, 0.6)
    ]
    writers += [
        ("slips, 40%, 1 of 1", tutor(_solve, _vary, wrong=0.4), {"solutions": 1, "agree": 1}),
        ("slips, 60%, 3 of 5", tutor(_solve, _vary, wrong=0.6), {"solutions": 5, "agree": 3}),
        ("misconception, 20%", stubborn(0.2), {}),
    ]
    rows = []
    for name, script, fields in writers:
        pen, made = written(script, each, **fields)
        y, right = pen.yields, sum(bool(TASK.judge(e)) for e in made)
        share = f"{y['consistent']}/{y['questions']} = {y['consistent'] / y['questions']:.0%}"
        calls = f"{len(pen.chat.used) / len(made):.1f}"
        rows.append((name, f"{y['examples']}/{y['wanted']}", share, before(pen), rate(right, len(made)), calls))
    table(("writer", "made", "consistent", "right, all solutions", "right, what is kept", "requests each"), rows)
    fresh = {e.prompt: e for s in TASK.skills for e in TASK.generate(s, 400, stream(0, "signatures"))}
    names = {signature(e.skills[:1], e.prompt, e.response) for e in fresh.values()}
    print("\ndistinct prompts of the generator that the signature takes for one made before:")
    print(rate(len(fresh) - len(names), len(fresh)))


if __name__ == "__main__":
    main()
