"""Chat: ask a model behind an OpenAI-compatible server, many requests at a time, and lose nothing.

Every attempt is stored before its reply is used, and the store is asked first, always. So a run that was killed comes
back to the same replies, and a run that was recorded is played again without a server (``offline``). What a reply cost
is charged whether it came from the server or from the store: teachers are compared by what they ask.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from dataenv.budget.teacher import Cost, TeacherPurse
from dataenv.execution.store import open_store
from teachers.chat import records as cassettes
from teachers.chat.heard import Heard
from teachers.chat.records import Answering, Records
from teachers.chat.spec import (
    ANSWERED,
    RETRIED,
    UNCLEAR,
    Ask,
    Attempt,
    ChatRequest,
    ChatSpec,
    Outcome,
    Reply,
    make_request,
    most,
    price,
    sent,
)
from teachers.chat.strict import parse, repair
from teachers.chat.wire import Wire

T = TypeVar("T")
_NUMBERS = itertools.count()
BREAKER = 8
"""Requests in a row that come to nothing, after which the rest of an ``ask_many`` is not sent."""
BACKOFF = 0.5
"""Seconds before the second attempt; doubled for each further one."""


@dataclass
class _Turn:
    """A request on its way: the attempts at it, and how often its most was set aside."""

    request: ChatRequest
    attempts: list[Attempt]
    holds: int = 0
    without: Outcome | None = None
    detail: str = ""


class Payer(Protocol):
    """Who pays for what is asked, and where replies are kept: an episode's context, or the scene of a lesson."""

    chats: Any
    teacher_purse: TeacherPurse


class Chat:
    """A conversation partner. Making one needs neither a server, nor a key, nor ``openai``.

    Args:
        spec: Server, model and limits.
        records: Where attempts are kept and looked for; ``None`` for the table ``chats`` of ``$DATAENV_STORE``, or
            without it of this process's memory. A teacher gives ``context.chats``.
        purse: What may be spent; ``None`` for a new one with the caps of ``spec``.
        offline: Whether nothing is ever sent: what is not recorded comes back as ``unrecorded``.

    Attributes:
        spec: As given.
        purse: What was spent, and what may be.
        counts: Replies so far, by outcome.
        used: Every stored attempt that this chat has made or met, by key; see ``save``.
    """

    def __init__(
        self,
        spec: ChatSpec,
        records: Records | None = None,
        purse: TeacherPurse | None = None,
        offline: bool = False,
    ) -> None:
        self.spec, self.offline = spec, offline
        self.records: Records = open_store(None).table("chats") if records is None else records
        self.purse = TeacherPurse(spec.tokens, spec.money) if purse is None else purse
        self.counts: Counter[Outcome] = Counter()
        self.used: dict[str, Any] = {}
        self._in_vain: list[Attempt] = []
        self._number = next(_NUMBERS)

    @classmethod
    def of(cls, spec: ChatSpec, context: Payer) -> Chat:
        """The chat of an episode: its replies are kept with the episode's states, and the episode's purse pays.

        The caps of ``spec`` hold as well.
        """
        purse = TeacherPurse(spec.tokens, spec.money, within=context.teacher_purse)
        return cls(spec, context.chats, purse)

    def ask(self, ask: Ask) -> Reply:
        """One reply; see ``ask_many``."""
        return self.ask_many([ask])[0]

    def ask_many(self, asks: Sequence[Ask]) -> list[Reply]:
        """The replies, in the order of the asks and not of their arrival.

        Every failure is an outcome. A reply that does not fit its schema is shown to the model once more; one
        that still does not is ``invalid``, and was paid for like any other.

        Raises:
            ChatError: If the settings cannot be used: the key is not set, ``openai`` is not installed.
            StoreError: If the records cannot be read or written.
        """
        replies = self._replies(asks)
        wrong = [i for i, reply in enumerate(replies) if reply.outcome == "invalid"]
        if wrong:
            mended = self._replies([repair(asks[i], replies[i]) for i in wrong])
            for i, reply in zip(wrong, mended, strict=True):
                replies[i] = _both(replies[i], reply)
        if replies:
            self.counts.update(reply.outcome for reply in replies)
            self.purse.note([reply.outcome for reply in replies])
        return replies

    def save(self, path: Path) -> None:
        """Write the attempts of this chat as a cassette, for ``Chat(spec, records=load(path), offline=True)``."""
        cassettes.save(path, self.used)

    def _replies(self, asks: Sequence[Ask]) -> list[Reply]:
        return [_read(ask, reply) for ask, reply in zip(asks, self.said(asks), strict=True)]

    def said(self, asks: Sequence[Ask]) -> list[Reply]:
        """What the model said to each, unread: no schema is looked at, and nothing is asked once more.

        Raises:
            ChatError, StoreError: As ``ask_many`` does.
        """
        if isinstance(self.records, Answering):  # this is the process of a teacher: the driver asks, keeps and pays
            rows = self.records.said(self._number, self.spec.model_dump(mode="json"), [sent(ask) for ask in asks])
            return [Reply(**row) for row in rows]
        turns = [_Turn(make_request(self.spec, ask), []) for ask in asks]
        if turns:
            _run_apart(self._all(turns))
        return [_reply(turn, sum(map(self._cost, turn.attempts), Cost())) for turn in turns]

    async def _all(self, turns: Sequence[_Turn]) -> None:
        """Send as many requests as the purse can pay for at their most, settle, and go on with what is left."""
        # So which requests a purse leaves out depends on their order and the replies, not on which reply was faster.
        self._in_vain, slots, wire = [], asyncio.Semaphore(self.spec.concurrency), Wire(self.spec)
        rest = deque(turns)
        try:
            while rest:
                batch: list[_Turn] = []
                while rest and self.purse.hold(most(self.spec, rest[0].request)):
                    batch.append(rest.popleft())
                    batch[-1].holds = 1
                if batch:
                    await self._some(batch, wire, slots)
                else:
                    left_out = rest.popleft()
                    left_out.without, left_out.detail = "budget", "the caps leave less than it may cost (tokens, money)"
        finally:
            await wire.close()

    async def _some(self, turns: Sequence[_Turn], wire: Wire, slots: asyncio.Semaphore) -> None:
        """Ask and settle. Equal requests are sent once and paid by each."""
        first: dict[str, _Turn] = {}
        for turn in turns:
            first.setdefault(turn.request.key, turn)
        try:
            async with asyncio.TaskGroup() as group:
                for turn in first.values():
                    group.create_task(self._one(turn, wire, slots))
        except ExceptionGroup as errors:  # the settings or the store: the first says it all
            raise errors.exceptions[0] from None
        finally:
            for turn in turns:
                self._settle(turn, first[turn.request.key])

    def _settle(self, turn: _Turn, sent: _Turn) -> None:
        if turn is not sent:
            turn.without, turn.detail = sent.without, sent.detail
            for attempt in sent.attempts:
                if not self._again(turn):
                    break
                turn.attempts.append(attempt)
        held = sum([most(self.spec, turn.request)] * turn.holds, Cost())
        self.purse.settle(held, sum(map(self._cost, turn.attempts), Cost()))

    def _again(self, turn: _Turn) -> bool:
        """Whether the purse allows another attempt: what was set aside is gone if the last attempt cost something."""
        if not turn.attempts or self._cost(turn.attempts[-1]) == Cost():
            return True
        held = self.purse.hold(most(self.spec, turn.request))
        turn.holds += held
        return held

    def _cost(self, attempt: Attempt) -> Cost:
        """What an attempt costs by the present prices, not by those when it was stored."""
        return price(self.spec, attempt.tokens_in, attempt.tokens_out)

    async def _one(self, turn: _Turn, wire: Wire, slots: asyncio.Semaphore) -> None:
        """What is stored of a request, and where the model has not spoken yet, what the server says now."""
        while not (turn.attempts and turn.attempts[-1].outcome in ANSWERED):
            row = self.records.get(f"{turn.request.key}/{len(turn.attempts)}")
            if not self._again(turn):
                return
            if row is None:
                break
            self._take(turn, row)
        else:
            return
        if self.offline:
            if not turn.attempts:
                turn.without, turn.detail = "unrecorded", "nothing is sent offline, and no attempt is stored"
            return
        async with slots:
            if len(self._in_vain) >= BREAKER:
                last = self._in_vain[-1]
                turn.without = last.outcome
                turn.detail = f"not sent, for {len(self._in_vain)} before it in a row came to nothing: {last.detail}"
                return
            await self._live(turn, wire)
        answered = turn.attempts[-1].outcome in ANSWERED
        self._in_vain = [] if answered else [*self._in_vain, turn.attempts[-1]]

    async def _live(self, turn: _Turn, wire: Wire) -> None:
        """Attempts, until one is of use, or they or the time run out."""
        clock = asyncio.get_running_loop().time
        ends = clock() + self.spec.deadline
        for tried in range(1 + self.spec.retries):
            if tried and not self._again(turn):
                return
            heard = await wire.attempt(turn.request, ends)
            fresh = self._attempt(turn, heard).model_dump(mode="json")
            self._take(turn, self.records.put(f"{turn.request.key}/{len(turn.attempts)}", fresh))
            wait = self._wait(turn.request, tried, heard)
            if turn.attempts[-1].outcome not in RETRIED or tried == self.spec.retries or clock() + wait >= ends:
                return
            await asyncio.sleep(wait)

    def _wait(self, request: ChatRequest, tried: int, heard: Heard) -> float:
        """Seconds before the next attempt: what the server asks for, or twice as long each time, spread by request."""
        spread = int(request.key[8 * (tried % 8) :][:8], 16) / 2**32
        wait = BACKOFF * 2**tried * (0.5 + 0.5 * spread) if heard.wait is None else heard.wait
        return min(wait, self.spec.longest_wait)

    def _attempt(self, turn: _Turn, heard: Heard) -> Attempt:
        """What is stored of it. Where the server may have worked and does not say how much, the most is charged."""
        request, cost, estimated = turn.request, Cost(), False
        if heard.usage is not None:
            least = request.least(heard.text) if heard.outcome in ANSWERED else (0, 0)
            counted = tuple(map(max, heard.usage, least))
            cost, estimated = price(self.spec, *counted), counted != heard.usage
        elif heard.outcome in ANSWERED:
            said = min(request.limit, len(heard.text.encode()))
            cost, estimated = price(self.spec, request.most_in, said), True
        elif heard.outcome in UNCLEAR:
            cost, estimated = most(self.spec, request), True
        return Attempt(
            request=request.body,
            sample=request.sample,
            number=len(turn.attempts),
            outcome=heard.outcome,
            text=heard.text,
            detail=heard.detail,
            finish=heard.finish,
            served=heard.served,
            tokens_in=cost.tokens_in,
            tokens_out=cost.tokens_out,
            estimated=estimated,
            micros=cost.micros,
        )

    def _take(self, turn: _Turn, row: Any) -> None:
        """A stored attempt; an equal request that was faster may have stored it.

        One that cannot be read came to nothing, and the next one is made: the first row of a key stays.
        """
        request, number = turn.request, len(turn.attempts)
        try:
            attempt = Attempt.model_validate(row)
        except ValidationError:
            sent = {"request": request.body, "sample": request.sample, "number": number}
            attempt = Attempt(**sent, outcome="garbage", detail="what is stored of it is no attempt")
            row = attempt.model_dump(mode="json")
        self.used[f"{request.key}/{number}"] = row
        turn.attempts.append(attempt)


def _reply(turn: _Turn, spent: Cost) -> Reply:
    """The last attempt decides."""
    if turn.without is not None or not turn.attempts:
        reply = Reply(turn.without or "budget", detail=turn.detail)
    else:
        last = turn.attempts[-1]
        reply = Reply(last.outcome, last.text, detail=last.detail)
    return replace(
        reply,
        attempts=len(turn.attempts),
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        micros=spent.micros,
    )


def _read(ask: Ask, reply: Reply) -> Reply:
    """A reply with its value. It is parsed here and not when it is stored: what is kept is what was said."""
    if reply.outcome != "ok" or ask.schema is None:
        return reply
    value, wrong = parse(reply.text, ask.schema)
    return replace(reply, outcome="ok" if value is not None else "invalid", value=value, detail=wrong)


def _both(first: Reply, second: Reply) -> Reply:
    """The reply after the repair turn; where that turn fails, the reply is invalid and the failure is its detail."""
    after = second if second.ok else replace(first, detail=f"{first.detail}; repair: {second.outcome} {second.detail}")
    return replace(
        after,
        attempts=first.attempts + second.attempts,
        tokens_in=first.tokens_in + second.tokens_in,
        tokens_out=first.tokens_out + second.tokens_out,
        micros=first.micros + second.micros,
    )


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop is running already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    done: list[T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            done.append(asyncio.run(work))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=target, name="chat")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
