"""What a chat template writes around a prompt and its answer.

A template is a program that comes with a model. It is run once, in a child process with limits, on a few chats. What it
put around them is kept as a ``Frame``, and no prompt is ever given to the program itself. A template of which that is
not the whole effect is refused.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

SAME_DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
"""Put before a template, for some print today's date, and what is trained must not depend on a clock."""
PROMPT, ANSWER, SYSTEM = "dataenv-prompt", "dataenv-answer", "dataenv-system"
"""Words that no template writes by itself."""
OTHERS = ("two\n\nlines, <b>&amp;</b> and {{ 7 * 7 }}", " \n spaces around \n ", "x")
"""Further prompts: a template must write the same around these."""
TRIMS = ("", "strip", "lstrip", "rstrip")
"""What a template may do to a prompt: nothing, or one of these methods of ``str``."""
RESERVED = frozenset({"chat_template", "continue_final_message", "conversations", "messages"})
"""Arguments that are not the person's to give."""
SECONDS, MEMORY, LONGEST = 10, 2 << 30, 200_000
"""Limits of a template: processor time for all chats together, bytes, and characters of one chat."""
DEADLINE = 120.0
"""Seconds in which the child must have ended, its start included; a busy machine is slow at that."""
_PROGRAM = Path(__file__).with_name("chat_template_child.py")


class Frame(NamedTuple):
    """What stands around a prompt and its answer.

    Attributes:
        before: Before the prompt.
        after: Between the prompt and its answer.
        behind: Behind the answer.
        trim: What becomes of the spaces around a prompt, one of ``TRIMS``.
        turns: The prompt's turn alone, by the template, with ``PROMPT`` in it.
        own: The whole exchange of ``PROMPT`` and ``ANSWER``, by the template.
    """

    before: str
    after: str
    behind: str
    trim: str = ""
    turns: str = ""
    own: str = ""

    def prompt(self, text: str) -> str:
        """All up to where the answer begins."""
        return self.before + (getattr(text, self.trim)() if self.trim else text) + self.after


def frame_of(template: str, system: str, tokens: Mapping[str, str], args: Mapping[str, Any]) -> Frame:
    """The frame of a template.

    An answer begins where the template's own rendering of an exchange begins it. Where ``args`` are given it begins
    where the template's generation prompt ends, if there is one: so a person can ask for it, for example with
    ``enable_thinking`` or ``add_generation_prompt``.

    Args:
        template: In Jinja.
        system: What the system says; empty for what the template says by itself.
        tokens: The tokenizer's special tokens by name, which templates may use.
        args: Further arguments of the template.

    Raises:
        ValueError: If the template fails, does not end, or is no frame.
    """
    given = dict(args)
    generation = bool(given.pop("add_generation_prompt", True)) and bool(args)
    prompts = (PROMPT, *OTHERS)
    chats = [exchange(system, prompt, ANSWER) for prompt in prompts]
    chats += [exchange(system, prompt) | {"open": True} for prompt in prompts]
    chats += [exchange(system, PROMPT), exchange("" if system else SYSTEM, PROMPT, ANSWER)]
    replies = render(template, chats, {**tokens, **given})
    answered, opened, (turns, otherwise) = replies[: len(prompts)], replies[len(prompts) : -2], replies[-2:]
    own = answered[0].get("text")
    if own is None:
        mend = _PLAIN
        if "error" not in otherwise:
            mend = "leave student_args.system empty" if system else "give student_args.system"
        elif args:
            mend = f"mend student_args.template_args, or {_PLAIN}"
        raise ValueError(f"the chat template cannot be used ({_printable(answered[0]['error'])}); {mend}")
    answerless, behind = _parted(own, ANSWER)
    asks = generation and opened[0].get("text", "") not in ("", turns.get("text"))
    before, after = _parted(opened[0]["text"] if asks else answerless, PROMPT)
    whole, end = (opened, "") if asks else (answered, ANSWER + behind)
    for trim in TRIMS:
        frame = Frame(before, after, behind, trim, turns.get("text", ""), own)
        if all(frame.prompt(p) + end == said.get("text") for p, said in zip(prompts, whole, strict=True)):
            return frame
    raise ValueError(_REWRITES)


_PLAIN = "give student_args.template = 'plain'"
_REWRITES = f"the chat template rewrites what is asked or answered, or does not hold it exactly once; {_PLAIN}"


def exchange(system: str, prompt: str, answer: str | None = None) -> dict[str, Any]:
    """A chat of one prompt, and its answer if there is one."""
    said = [("system", system)] * bool(system) + [("user", prompt)]
    said += [("assistant", answer)] if answer is not None else []
    return {"messages": [{"role": role, "content": content} for role, content in said], "open": False}


def _parted(text: str, word: str) -> tuple[str, str]:
    if text.count(word) != 1:
        raise ValueError(_REWRITES)
    before, _, after = text.partition(word)
    return before, after


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:300]


def render(template: str, chats: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> list[dict[str, str]]:
    """Chats by a template, in order: each ``{"text": …}``, or ``{"error": …}`` where the template fails.

    Raises:
        ValueError: If it does not end within its limits.
    """
    limits = {"seconds": SECONDS, "memory": MEMORY, "longest": LONGEST}
    asked = {"template": SAME_DAY + template, "given": dict(given), "chats": list(chats), **limits}
    replies: list[dict[str, str]] = json.loads(_run(json.dumps(asked)))
    return replies


@lru_cache(maxsize=256)
def _run(asked: str) -> str:
    """A child that answers once; ``-P`` keeps this folder off its path."""
    command = [sys.executable, "-P", str(_PROGRAM)]
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, timeout=DEADLINE, check=False, encoding="utf-8"
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"the chat template does not end within {DEADLINE:g} s; {_END}") from None
    if done.returncode < 0:  # ended by a signal, which is how the limit on processor time ends it
        raise ValueError(f"the chat template takes more than {SECONDS} s of processor time or too much memory; {_END}")
    if done.returncode or not done.stdout:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"the chat template cannot be run ({_printable(last)}); {_PLAIN}")
    return done.stdout


_END = f"give a model whose template is sound, or {_PLAIN}"
