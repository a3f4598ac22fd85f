"""What the local language model writes: the yield of every stage, and what is right before and after the filter.

For each skill of ``arithmetic`` the model is shown five solved problems and asked for one more with its answer, many
times. What is a question of the task's grammar, not in the pool, not sealed and not there twice, is solved twice more
and kept where two of the three answers agree. What is right is said by the task's own judge. Replies are kept in a
store: what was asked is not asked again.

    nice -n 5 python tests/bench/bench_local_llm.py --store runs/.local --each 19

``--chat URL --model NAME --key-env VARIABLE`` measures another model in the same way.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import machine, table
from leak_catch_rates import rate

from dataenv.execution.store import Store
from students import keys
from tasks.arithmetic import Arithmetic
from tasks.arithmetic.grammar import read
from tasks.base import Task
from tasks.records import Example, Record
from teachers.chat import Ask, Chat, make_spec
from teachers.chat.local import LocalServer
from teachers.chat.spec import LOCAL, LOCAL_CHAT
from teachers.chat.synthesis import Solution, agreeing

SHOWN, BLOCK, MORE, AGREE = 5, 10, 2, 2


class Item(Record):
    """What a proposal is."""

    question: str
    answer: str


class Answer(Record):
    """What a solution is."""

    answer: str


@dataclass
class Written:
    """One item and what became of it."""

    skill: str
    outcome: str
    question: str = ""
    answers: list[str] = field(default_factory=list)
    usable: bool = False
    kind: bool = False
    new: bool = False


def proposal(shown: Sequence[Example]) -> str:
    lines = "\n".join(json.dumps({"question": e.prompt, "answer": e.response}) for e in shown)
    return f"These are solved problems:\n{lines}\nWrite one new problem of this kind and its answer, in the same form."


def solution(shown: Sequence[Example], question: str) -> str:
    lines = "\n".join(f"{e.prompt} {json.dumps({'answer': e.response})}" for e in shown)
    return f"These are solved problems:\n{lines}\nSolve this one in the same form:\n{question}"


def propose(task: Task, chat: Chat, each: int) -> list[Written]:
    """``each`` items a skill. A skill's prompt is the same for all its items, which a server's cache likes."""
    made, seen = [], {task.identity(e.prompt) for e in task.pool()}
    for start in range(0, each, BLOCK):
        for skill in task.skills:
            samples = range(start, min(each, start + BLOCK))
            replies = chat.ask_many([Ask(proposal(shown(task, skill)), Item, sample) for sample in samples])
            for reply in replies:
                item = Written(skill, reply.outcome)
                if reply.ok:
                    item.question, item.answers = reply.value.question, [reply.value.answer]
                    parsed = read(item.question)
                    item.usable = parsed is not None
                    item.kind = parsed is not None and parsed.operators in forms(task, skill)
                    item.new = item.usable and task.identity(item.question) not in seen | task.sealed
                    seen.add(task.identity(item.question))
                made.append(item)
            print(f"  {skill}: {sum(reply.ok for reply in replies)} of {len(replies)}", flush=True)
    return made


def shown(task: Task, skill: str) -> list[Example]:
    return [e for e in task.pool() if e.skills[0] == skill][:SHOWN]


def forms(task: Task, skill: str) -> set[tuple[str, ...]]:
    found = [read(e.prompt) for e in task.pool() if e.skills[0] == skill]
    return {question.operators for question in found if question is not None}


def solve(task: Task, chat: Chat, items: Sequence[Written]) -> None:
    for item in items:
        prompt = solution(shown(task, item.skill), item.question)
        replies = chat.ask_many([Ask(prompt, Answer, sample) for sample in range(MORE)])
        item.answers += [reply.value.answer for reply in replies if reply.ok]


def right(task: Task, item: Written, answer: str) -> bool:
    return bool(task.judge(Example(prompt=item.question, response=answer)))


def kept(item: Written) -> str | None:
    """The answer that two or more give, as ``stat-syn`` keeps it."""
    agreed = agreeing([Solution(solution=a, answer=a) for a in item.answers], AGREE)
    return agreed[0].answer if agreed else None


def rows(task: Task, items: Sequence[Written]) -> tuple[list[list[object]], list[list[object]]]:
    def line(name: str, of: Iterable[bool]) -> list[object]:
        flags = list(of)
        return [name, rate(sum(flags), len(flags)) if flags else "0/0"]

    said = [item for item in items if item.outcome == "ok"]
    new = [item for item in items if item.new]
    agreed = [(item, answer) for item in new if (answer := kept(item)) is not None]
    stages = [
        line("valid JSON, of what was asked", (item.outcome == "ok" for item in items)),
        line("in the task's grammar, of those", (item.usable for item in said)),
        line("of the skill asked for, of the same", (item.kind for item in said)),
        line("new and in the grammar, of the same", (item.new for item in said)),
        line("with three answers, of the new", (len(item.answers) == 1 + MORE for item in new)),
        line("two of three agree, of the new", (kept(item) is not None for item in new)),
        line("kept, of what was asked", (item.new and kept(item) is not None for item in items)),
    ]
    precision = [
        line("the proposal's own answer", (right(task, item, item.answers[0]) for item in new)),
        line("each answer", (right(task, item, answer) for item in new for answer in item.answers)),
        line("what two of three agree on", (right(task, item, answer) for item, answer in agreed)),
    ]
    return stages, precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=19, help="items of each of the 16 skills")
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--chat", default=LOCAL)
    parser.add_argument("--model", default=LOCAL_CHAT["model"])
    parser.add_argument("--key-env", default="")
    parser.add_argument("--offline", action="store_true", help="tell what is stored, and ask nothing")
    given = parser.parse_args()
    task, server, url = Arithmetic(), None, given.chat
    if given.chat == LOCAL and not given.offline:
        server = LocalServer(threads=1)
        url = server.base_url
    if given.key_env:
        keys.allow_for(given.key_env, url)
    fields = {"base_url": url, "model": given.model, "key_env": given.key_env}
    limits = {"max_tokens": 48, "concurrency": 2, "deadline": 600.0, "retries": 0}
    chat = Chat(make_spec(fields | limits), Store(given.store).table("chats"), offline=given.offline)
    began = time.monotonic()
    items = propose(task, chat, given.each)
    solve(task, chat, [item for item in items if item.new])
    seconds = time.monotonic() - began
    stages, precision = rows(task, items)
    print(machine("xllamacpp"))
    table("Yield", ["stage", "k/n [95 %]"], stages)
    table("Precision of answers to new questions", ["answers", "k/n [95 %]"], precision)
    spent = chat.purse.spent
    print(f"\n{spent.tokens_in:,} tokens in, {spent.tokens_out:,} out, {dict(chat.counts)}")
    print(f"{seconds:.0f} s, {seconds / len(items):.2f} s an item" + (f"; {cpu(server)}" if server else ""))


def cpu(server: LocalServer) -> str:
    """Processor seconds of the server (Linux)."""
    parts = Path(f"/proc/{server._child.pid}/stat").read_text().rpartition(")")[2].split()
    return f"{(int(parts[11]) + int(parts[12])) / 100:.0f} s of one core in the server"


if __name__ == "__main__":
    main()
