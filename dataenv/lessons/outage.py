"""Outages: a step whose requests all failed on their way to the language model says nothing about its teacher."""

from __future__ import annotations

from collections.abc import Mapping

from dataenv.errors import UnansweredError

MENDS = {
    "no-server": "start the server, or mend base_url",
    "wrong-key": "put the server's key into the variable that key_env names",
    "wrong-model": "mend model, or the path in base_url",
    "context": "give a model, or a server's slot, with a longer context, or show it less",
    "bad-request": "take out what this server refuses (json_mode, limit_name, temperature, seed, extra)",
    "rate-limited": "lower concurrency, or raise longest_wait and retries",
    "quota": "fill up the account, or name another key in key_env",
    "server-error": "look into the server's log",
    "deadline": "raise deadline, or lower max_tokens",
    "dropped": "look at the server and at what is between it and here",
    "garbage": "mend base_url, at which something else answers",
    "oversized": "raise max_bytes, or mend base_url",
    "redirect": "give as base_url where the server redirects to",
}
"""What replies no model had a part in, and the mend of each. The outcomes are those of ``teachers.chat``."""
NOT_SENT = ("budget", "unrecorded")
"""Nobody was to be asked: no outage."""


def require_answer(replies: Mapping[str, int]) -> None:
    """Refuse to go on from replies, by outcome, none of which a model had a part in.

    Raises:
        UnansweredError: If something was sent, and nobody answered any of it.
    """
    sent = {outcome: n for outcome, n in replies.items() if n and outcome not in NOT_SENT}
    if not sent or not sent.keys() <= MENDS.keys():
        return
    said = ", ".join(f"{outcome} {n}" for outcome, n in sent.items())
    most = max(sent, key=lambda outcome: sent[outcome])
    raise UnansweredError(
        f"the teacher's language model answered nothing (replies: {said}); {MENDS[most]}, "
        "and run it again: what was answered is stored (docs/chat.md)"
    )
