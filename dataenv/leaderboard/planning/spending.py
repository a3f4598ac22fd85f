"""What a board may spend on language models at the most, before it spends it: requests, teacher tokens, money.

A teacher asks language models where it has an argument ``chat``, the settings of its chat; so has the ``engine`` that
writes for it, and the teacher inside it (``args``). Each chat has a purse of its own, so their caps add up. Caps and
the budget's hold for each run; prices turn a cap on tokens into one on money. A teacher may say how many requests a
lesson takes at the most, by a method ``most_requests(lesson_size)``; ``None`` where its lessons do not bound them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataenv.leaderboard.format import money
from dataenv.leaderboard.runs import Run
from dataenv.lessons.engines import engine_of
from students import keys
from tasks.records import Record


class Asking(Record):
    """What one teacher may spend in all its runs; ``None`` where nothing bounds it.

    Attributes:
        name: On the board.
        runs: Episodes.
        tokens: Teacher tokens, prompts and replies together.
        money: In the currency of its chat's prices.
        requests: Without repair turns and retries; ``None`` where the teacher does not say.
        sends: The keys that its chats name, each with the host that it is sent to.
    """

    name: str
    runs: int
    tokens: int | None
    money: float | None
    requests: int | None
    sends: tuple[str, ...] = ()


def asking(groups: Mapping[str, Sequence[tuple[Run, int]]]) -> tuple[Asking, ...]:
    """The teachers that ask language models, and what that may cost.

    Args:
        groups: The runs of each teacher, each with the lessons that it is expected to give.
    """
    return tuple(_asking(name, runs) for name, runs in groups.items() if runs and _all_chats(runs[0][0]))


def _all_chats(run: Run) -> list[Mapping[str, Any]]:
    """The settings of every chat of a run: the teacher's own, and that of the Setting's engine."""
    # An engine has a chat for each lesson, so its caps bound a lesson and no episode.
    capless = [{**chat, "tokens": None, "money": None} for chat in _chats(run.setting.engine_args)]
    return [*_chats(run.args), *capless]


def _asking(name: str, runs: Sequence[tuple[Run, int]]) -> Asking:
    planned, n = runs[0][0], len(runs)
    chats, budget = _all_chats(planned), planned.setting.budget
    tokens = _least((budget.teacher_tokens, _sum(chat.get("tokens") for chat in chats)))
    within = _at(max(map(_price, chats)), budget.teacher_tokens)
    own = _sum(_least((chat.get("money"), _at(_price(chat), chat.get("tokens")))) for chat in chats)
    paid = _least((budget.money, within, own))
    each = planned.teacher().most_requests(planned.setting.lesson_size)
    engine = engine_of(planned.setting).most_requests(planned.setting.lesson_size)
    if each is None and not _chats(planned.args):
        each = 0  # the engine alone asks
    requests = None if each is None else (each + engine) * sum(lessons for _, lessons in runs)
    return Asking(
        name=name,
        runs=n,
        tokens=None if tokens is None else n * int(tokens),
        money=None if paid is None else n * paid,
        requests=requests,
        sends=tuple(dict.fromkeys(_sent(name, url) for name, url in _keys(chats))),
    )


def refused_keys(args: Mapping[str, Any], engine_args: Mapping[str, Any]) -> list[str]:
    """Why keys that are named in the arguments of a teacher and of an engine may not be sent where they say.

    Raises:
        SettingError: If ``$DATAENV_KEYS`` is not what it should be.
    """
    named = _keys([*_chats(args), *_chats(engine_args)])
    return list(dict.fromkeys(filter(None, (keys.refusal(name, url) for name, url in named))))


def _sent(name: str, url: str) -> str:
    """Which key goes where, and the mend where it may not."""
    refused = keys.refusal(name, url)
    return keys.sends(name, url) if refused is None else f"{keys.sends(name, url)}, which is refused: {refused}"


def _keys(chats: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Names of keys, and the addresses that they are for."""
    named = ((str(chat.get("key_env") or ""), str(chat.get("base_url") or "")) for chat in chats)
    return [(name, url) for name, url in named if keys.is_name(name) and "://" in url]


def _chats(args: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings of every chat in some arguments; a chat known by name alone has no price and no caps."""
    chat = args.get("chat")
    found: list[Mapping[str, Any]] = [] if chat is None else [chat if isinstance(chat, Mapping) else {}]
    inside = [value for name in ("engine", "args") if isinstance(value := args.get(name), Mapping)]
    return [*found, *(chat for value in inside for chat in _chats(value))]


def _price(chat: Mapping[str, Any]) -> float:
    """The dearer of the two prices, for a million tokens."""
    return max(float(chat.get("price_in", 0.0)), float(chat.get("price_out", 0.0)))


def _at(price: float, tokens: int | None) -> float | None:
    """The most that these tokens cost; ``None`` if nothing bounds it."""
    return 0.0 if price == 0 else None if tokens is None else tokens * price / 1e6


def _sum(caps: Iterable[float | None]) -> float | None:
    """The caps together; ``None`` where one is missing."""
    given = list(caps)
    return None if None in given else sum(cap for cap in given if cap is not None)


def _least(caps: Iterable[float | None]) -> float | None:
    return min((cap for cap in caps if cap is not None), default=None)


def told(asking: Asking) -> str:
    """The same as one sentence, or two where a cap is missing."""
    said, mend = [], []
    for what, shown, cap in (
        ("teacher tokens", None if asking.tokens is None else f"{asking.tokens:,}", "teacher_tokens"),
        ("money", None if asking.money is None else money(asking.money), "money"),
    ):
        if shown is None:
            mend.append((what, cap))
        else:
            said.append(f"{shown} {what}")
    if asking.requests is not None:
        said.append(f"{asking.requests:,} requests (without repairs and retries)")
    most = f"at the most {', '.join(said)} in {asking.runs} runs" if said else "nothing bounds what it spends"
    caps = "".join(f" There is no cap on {what}: set setting.budget.{cap}." for what, cap in mend)
    sent = "".join(f" It {what}." for what in asking.sends)
    return f"{asking.name} asks a language model: {most}.{caps}{sent}"
