"""What runs in the child of ``chat_template``: chat templates, which are programs. It imports nothing of ours.

One JSON object in (``template``, ``given``, ``chats``, ``seconds``, ``memory``, ``longest``), one out: for each chat
its text, or why there is none. Templates run in the sandbox of ``transformers``, within these limits.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def limit(seconds: int, memory: int) -> None:
    """No more processor time and memory from here on than this; the imports are behind us."""
    try:
        import resource
    except ImportError:  # not every system has such limits; the parent still keeps a deadline
        return
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, int(used) + seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def replies(asked: dict[str, Any]) -> list[dict[str, str]]:
    """For each chat ``{"text": …}``, or ``{"error": …}`` where the template fails."""
    from transformers.utils.chat_template_utils import render_jinja_template

    out = []
    for chat in asked["chats"]:
        try:
            (text,), _ = render_jinja_template(
                conversations=[chat["messages"]],
                chat_template=asked["template"],
                add_generation_prompt=chat["open"],
                **asked["given"],
            )
            long = len(text) > asked["longest"]
            out.append({"error": f"it writes {len(text):,} characters around a few words"} if long else {"text": text})
        except MemoryError:
            out.append({"error": f"it needs more than {asked['memory'] >> 20:,} MB of memory"})
        except Exception as error:  # whatever a template, which is a program, raises
            out.append({"error": f"{type(error).__name__}: {error}"[:1000]})
    return out


def main() -> None:
    """Render every chat."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a package prints is not an answer
    import transformers.utils.chat_template_utils  # noqa: F401

    asked = json.load(sys.stdin)
    limit(asked["seconds"], asked["memory"])
    out.write(json.dumps(replies(asked)))
    out.flush()


if __name__ == "__main__":
    main()
