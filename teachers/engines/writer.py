"""``Writer``: a source of examples that a language model writes, with the filters that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field, model_validator

from dataenv.lessons.engines import Request
from dataenv.validation import validated
from tasks.errors import UnsupportedError
from tasks.records import Example, Record
from teachers.chat.client import Chat, Payer
from teachers.chat.spec import ChatError, ChatSpec, make_spec
from teachers.chat.synthesis import NewQuestion, Want, agreed, propose, rewritten
from teachers.engines.signature import Seen
from teachers.lessons import Material, Source, by_needed_skill, shuffled

if TYPE_CHECKING:
    from dataenv.episode.context import Context


class EngineSpec(Record):
    """How examples are written. Plain JSON; unknown fields are refused.

    Attributes:
        chat: Who writes. A teacher gives its own ``chat``, unless this is given.
        references: Solved examples in a prompt for new questions.
        questions: New questions that one prompt asks for.
        solutions: Solutions of each question.
        agree: How many of them must agree; with 1 of 1 nothing is filtered.
        kept: Agreeing solutions of each question that become examples, at the most.
        rounds: Times that what is missing is asked for, at the most.
    """

    chat: ChatSpec
    references: Annotated[int, Field(ge=1)] = 3
    questions: Annotated[int, Field(ge=1)] = 2
    solutions: Annotated[int, Field(ge=1)] = 3
    agree: Annotated[int, Field(ge=1)] = 2
    kept: Annotated[int, Field(ge=1)] = 1
    rounds: Annotated[int, Field(ge=1)] = 4

    @model_validator(mode="after")
    def _possible(self) -> EngineSpec:
        if self.agree > self.solutions:
            raise ValueError(f"agree is {self.agree}; give 1 to solutions, which is {self.solutions}")
        return self

    def most_requests(self, n: int) -> int:
        """Requests that ``n`` examples take at the most, without repair turns and retries."""
        return self.rounds * n * (1 + self.questions * self.solutions)


def engine_spec(chat: Mapping[str, Any] | str, fields: Mapping[str, Any] | None = None) -> EngineSpec:
    """The settings of an engine from a teacher's arguments.

    Args:
        chat: The teacher's, as ``make_spec`` takes it.
        fields: The other fields of ``EngineSpec``.

    Raises:
        ChatError: With every wrong field by name and what it should be.
    """
    given = dict(fields or {})
    return validated(EngineSpec, given | {"chat": make_spec(given.get("chat", chat))}, "engine", ChatError)


def maybe_engine(chat: Mapping[str, Any] | str | None, fields: Mapping[str, Any] | None) -> EngineSpec | None:
    """``engine_spec`` for a teacher that needs no language model; ``None`` where it is given no chat.

    Raises:
        ChatError: If there is an engine and no chat, or a field is wrong.
    """
    if chat is None and fields is not None:
        raise ChatError("engine is given and chat is not; give chat too, or leave both out")
    return None if chat is None else engine_spec(chat, fields)


def source_of(context: Context, spec: EngineSpec | None, origin: str) -> Source:
    """Where a teacher draws from: what the task makes itself, or what a language model writes."""
    return Source(context) if spec is None else Writer(context, spec, origin)


class Desk(Material, Payer, Protocol):
    """What somebody needs to write examples: what they are made from, and who pays for what is asked."""


class Writer(Source):
    """Examples that a language model writes, skill by skill, from (skill, difficulty, references, operator).

    A round proposes questions after a few references each, drops copies, solves each question several times, and keeps
    those of which enough solutions agree (STAT-Syn's stage 3, arXiv 2510.10023), if nothing like them was made in this
    episode (``Seen``). What is missing then is asked for in the next round, after other references, until nothing
    more comes. What the student cannot read at all is dropped. Whether an answer is *right* is not asked here: the
    environment's screen asks the task's judge, counts what it says, and enforces it under ``verify`` alone.

    The operator ``rewrite`` writes no questions: it solves items of the pool anew, after the pool's own solution
    (STAT-Sel's teacher-rewritten solutions), and keeps what enough solutions agree on.

    Args:
        context: Of the episode, or the scene of a lesson.
        spec: How examples are written.
        origin: What examples say of where they come from.
        chat: The teacher's own, which then has one purse for both; ``None`` for a new one by ``spec.chat``.
        seen: What was shown or made before; ``None`` for nothing yet.

    Attributes:
        yields: What came of each stage: ``wanted`` (examples); ``asked`` (questions) = ``no-reply`` + ``copies`` +
            ``unusable`` + ``questions``; ``solved`` and ``unsolved`` (solutions), ``consistent`` (questions),
            ``near-duplicates`` (dropped), ``unreadable`` (examples, dropped), ``examples``.
        chat: Its ``counts`` say what became of every request.
    """

    def __init__(
        self, context: Desk, spec: EngineSpec, origin: str, chat: Chat | None = None, seen: Seen | None = None
    ) -> None:
        super().__init__(context)
        self.spec, self.origin = spec, origin
        self.chat = chat or Chat.of(spec.chat, context)
        self._solved = Source(context)  # what the task has itself: references
        self._by_skill: dict[str, list[Example]] | None = None
        self._seen = seen or Seen()

    def draw(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """See Source; at the most ``n``."""
        return self.make([Request(skill, n, difficulty)])[0]

    def make(self, requests: Sequence[Request]) -> list[list[Example]]:
        """See Source. All requests of a round are sent together."""
        self.yields["wanted"] += sum(r.n for r in requests)
        made: list[list[Example]] = [[] for _ in requests]
        for number in range(self.spec.rounds):
            short = [i for i, r in enumerate(requests) if len(made[i]) < r.n]
            found = self._round([requests[i] for i in short], [requests[i].n - len(made[i]) for i in short], number)
            for i, examples in zip(short, found, strict=True):
                made[i] += examples[: requests[i].n - len(made[i])]
            if not any(found):
                break
        self.yields["examples"] += sum(map(len, made))
        return made

    def answered(self, questions: Sequence[NewQuestion]) -> list[list[Example]]:
        """The examples that come of each question: solved, agreed on, new, and readable.

        Args:
            questions: Each with the references whose form its solution is to have, and the skills that it trains.
        """
        spec, rng = self.spec, self._context.rng
        made = agreed(self.chat, questions, spec.solutions, spec.agree, rng, self.yields, self.origin)
        self._seen.show(question.want for question in questions)
        return [self._kept(question, examples) for question, examples in zip(questions, made, strict=True)]

    def rewritten(self, items: Sequence[Example]) -> list[Example]:
        """Items with solutions of the model's own, of which enough agree; ``kept`` of each at the most."""
        spec, rng = self.spec, self._context.rng
        made = rewritten(self.chat, items, spec.solutions, rng, self.yields, self.origin, spec.agree)
        return self._readable([e for found in made for e in list(dict.fromkeys(found))[: spec.kept]])

    def _round(self, requests: Sequence[Request], missing: Sequence[int], number: int) -> list[list[Example]]:
        """What one round brings for each request."""
        again = [i for i, r in enumerate(requests) if r.operator == "rewrite"]
        found: list[list[Example]] = [[] for _ in requests]
        for i in again:
            found[i] = self.rewritten(self._known(requests[i].skill, missing[i]))
        owner: dict[int, int] = {}
        wants: list[Want] = []
        each = self.spec.questions * self.spec.kept
        for i, request in enumerate(requests):
            for _ in range(0 if i in again else -(-missing[i] // each)):
                want = self._want(request)
                if want.references:
                    owner[id(want)] = i
                    wants.append(want)
        self._seen.show(wants)
        fresh = propose(self.chat, wants, self.spec.questions, self._context.rng, self.yields, number)
        for question, examples in zip(fresh, self.answered(fresh), strict=True):
            found[owner[id(question.want)]] += examples
        return found

    def _kept(self, question: NewQuestion, examples: Sequence[Example]) -> list[Example]:
        """At the most ``kept`` of what came of one question, none if one like it was made before."""
        new = self._seen.new(question, examples, self.yields)
        return self._readable(list(dict.fromkeys(new))[: self.spec.kept])

    def _readable(self, examples: Sequence[Example]) -> list[Example]:
        can = self._context.readable(examples)
        self.yields["unreadable"] += len(can) - sum(can)
        return [example for example, ok in zip(examples, can, strict=True) if ok]

    def _want(self, request: Request) -> Want:
        references = request.references or tuple(self._references(request))
        level = request.difficulty
        data = {
            "skill": request.skill,
            "harder": request.operator == "harder",
            "easier": request.operator == "easier",
            "levelled": level is not None,
            "difficulty": round(100 * level) if level is not None else 0,
            "described": request.about is not None,
            "about": request.about,
        }
        return Want((request.skill,), references, "teachers.engines:propose.j2", data=data)

    def _references(self, request: Request) -> list[Example]:
        """Of the pool; where there is none, or a difficulty is asked for that a generator knows, made for it."""
        if request.difficulty is not None:
            return self._solved.draw(request.skill, self.spec.references, request.difficulty)
        return self._known(request.skill, self.spec.references)

    def _known(self, skill: str, n: int) -> list[Example]:
        """Solved examples that need a skill, drawn from all of the pool that do; else from the generator."""
        if self._by_skill is None:
            try:
                self._by_skill = by_needed_skill(self._context.pool())
            except UnsupportedError:
                self._by_skill = {}
        items = self._by_skill.get(skill)
        return shuffled(items, self._context.rng)[:n] if items else self._solved.draw(skill, n)
