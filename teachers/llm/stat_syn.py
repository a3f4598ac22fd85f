"""``stat-syn``: a language model finds the skills that mistakes lack, and writes new problems that need them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from tasks.base import Unsupported
from tasks.records import Example, Record
from teachers.base import Level, Teacher, require
from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.spec import Ask, make_spec
from teachers.chat.synthesis import Want, agreeing, propose, solve

if TYPE_CHECKING:
    from dataenv.episode import Context


class StatSyn(Teacher):
    """STAT-Syn of Skill-Targeted Adaptive Training (arXiv 2510.10023, section 3).

    Stage 1 (difficult questions) is given: the observation's errors are verified, so no process reward model is needed.
    Stage 2: for each error the model says which skills of the task's closed list are missing, three at the most.
    Stage 3: for each error and each skill that it lacks, three references that need the skill give two new questions;
    each is solved three times and kept where two solutions or more agree, with the solutions that do. The pairs are
    walked again, with other references, until the lesson is full, the chat's purse is spent, or a walk brings nothing.
    A lesson of which nothing is left stops the episode.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        profile: ``step`` profiles the student anew at every step (ConSyn in the paper); ``once`` before the first.
        diagnosis: Who finds the missing skills: the model (``chat``), or the task's own rules (``task``).
        quota: Examples of a lesson; ``None`` for the Setting's ``lesson_size``.
        difficult: Errors that are looked at in a step, drawn from those shown; the paper has 500.
        references: Solved examples in the prompt for new questions.
        questions: New questions for each error and skill, at a walk.
        solutions: Solutions of each question.
        agree: How many of them must agree.
        walks: Over all pairs, at the most.

    Attributes:
        yields: What came of each stage in this episode: ``errors``, ``diagnosed``, ``pairs``, ``questions``, ``solved``
            (solutions), ``consistent`` (questions), ``examples``.
        chat: The chat of this episode; its ``counts`` say what became of every request.
    """

    name: ClassVar[str] = "stat-syn"
    level: ClassVar[Level] = "open-ended"

    def __init__(
        self,
        chat: Mapping[str, Any] | str,
        profile: Literal["step", "once"] = "step",
        diagnosis: Literal["chat", "task"] = "chat",
        quota: int | None = None,
        difficult: int = 32,
        references: int = 3,
        questions: int = 2,
        solutions: int = 3,
        agree: int = 2,
        walks: int = 8,
    ) -> None:
        require(profile in ("step", "once"), "profile", profile, "give 'step' or 'once'")
        require(diagnosis in ("chat", "task"), "diagnosis", diagnosis, "give 'chat' or 'task'")
        counts = {"difficult": difficult, "references": references, "questions": questions, "walks": walks}
        for field, value in counts.items():
            require(value >= 1, field, value, "give 1 or more")
        require(1 <= agree <= solutions, "agree", agree, f"give 1 to solutions, which is {solutions}")
        require(quota is None or quota >= 1, "quota", quota, "give 1 or more, or leave it out")
        self._spec, self.profile, self.diagnosis, self.quota = make_spec(chat), profile, diagnosis, quota
        self.difficult, self.references, self.questions = difficult, references, questions
        self.solutions, self.agree, self.walks = solutions, agree, walks

    def begin(self, context: Context) -> None:
        """A new chat, whose replies are kept with the episode's states, and no profile."""
        self._context, self.chat = context, Chat.of(self._spec, context)
        self.yields: Counter[str] = Counter()
        self._pairs: list[str] | None = None
        try:
            self._pool: dict[str, list[Example]] | None = {skill: [] for skill in context.skills}
            for example in context.pool():
                for skill in set(example.skills) & self._pool.keys():
                    self._pool[skill].append(example)
        except Unsupported:
            self._pool = None

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> tuple[Example, ...]:
        """The next lesson; the empty one where nothing is wrong, or nothing came of it."""
        if self._pairs is None or self.profile == "step":
            self._pairs = self._profile(observation["errors"])
        quota, kept = self.quota or self._context.lesson_size, dict[tuple[str, str], Example]()
        for walk in range(self.walks):
            before = len(kept)
            for example in self._walk(self._pairs, quota - before, walk):
                kept.setdefault((example.prompt, example.response), example)
            if len(kept) >= quota or len(kept) == before:
                break
        self.yields["examples"] += min(quota, len(kept))
        return tuple(kept.values())[:quota]

    def most_requests(self, lesson_size: int) -> int:
        """Requests that a lesson takes at the most, without repair turns and retries; for ``dataenv plan``."""
        diagnoses = self.difficult if self.diagnosis == "chat" else 0
        wants = min(3 * self.difficult, -(-(self.quota or lesson_size) // self.questions))
        return diagnoses + self.walks * wants * (1 + self.questions * self.solutions)

    def _profile(self, errors: Sequence[Mapping[str, str]]) -> list[str]:
        """Stage 2: the missing skill of every (error, skill) pair, in a random order."""
        rng = self._context.rng
        chosen = [errors[i] for i in sorted(rng.permutation(len(errors))[: self.difficult].tolist())]
        if self.diagnosis == "task":
            found: list[Sequence[str]] = [self._context.diagnose(error) for error in chosen]
        else:
            found = self._asked(chosen)
        pairs = [skill for skills in found for skill in dict.fromkeys(skills)]
        self.yields.update(errors=len(chosen), diagnosed=sum(map(bool, found)), pairs=len(pairs))
        return [pairs[i] for i in rng.permutation(len(pairs))]

    def _asked(self, errors: Sequence[Mapping[str, str]]) -> list[Sequence[str]]:
        """What the model says that each error lacks; nothing where it says nothing that can be used."""
        skills = self._context.skills
        schema = _diagnosis(skills)
        asks = []
        for error in errors:
            shown = {"problem": error["prompt"], "student": error["response"], "right": error["answer"]}
            prompt = render("teachers.llm:stat_syn_diagnose.j2", self._context.rng, error=shown, skills=skills)
            asks.append(Ask(prompt, schema))
        return [reply.value.skills if reply.ok else () for reply in self.chat.ask_many(asks)]

    def _walk(self, pairs: Sequence[str], missing: int, walk: int) -> list[Example]:
        """Stage 3, once over as many pairs as the rest of the lesson can need."""
        rng = self._context.rng
        wants = [Want(skill, self._references(skill)) for skill in pairs[: -(-missing // self.questions)]]
        fresh = propose(self.chat, [want for want in wants if want.references], self.questions, rng, walk)
        copies = {e.prompt for want in wants for e in want.references}
        fresh = list({question.text: question for question in fresh if question.text not in copies}.values())
        made = solve(self.chat, fresh, self.solutions, rng)
        consistent = [agreeing(solutions, self.agree) for solutions in made]
        self.yields.update(questions=len(fresh), solved=sum(map(len, made)), consistent=sum(map(bool, consistent)))
        return [
            Example(prompt=q.text, response=s.solution, skills=(q.want.skill,), origin=self.name)
            for q, solutions in zip(fresh, consistent, strict=True)
            for s in solutions
        ]

    def _references(self, skill: str) -> tuple[Example, ...]:
        """Solved examples that need a skill: of the pool, and where there is none, made for it."""
        if self._pool is None:
            return tuple(self._context.generate(skill, self.references))
        items = self._pool[skill]
        return tuple(items[i] for i in self._context.rng.permutation(len(items))[: self.references])


class Diagnosis(Record):
    """Stage 2's reply, without its closed list."""

    correct: bool
    why: str
    skills: tuple[str, ...]


def _diagnosis(skills: Sequence[str]) -> type[Diagnosis]:
    """The schema of a diagnosis: three skills of a closed list at the most."""
    closed: Any = Annotated[tuple[Literal[tuple(skills)], ...], Field(max_length=3)]  # type: ignore[misc]
    return create_model("Diagnosis", __base__=Diagnosis, skills=(closed, ...))
