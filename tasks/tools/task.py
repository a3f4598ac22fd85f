"""The task: sealed splits, checker, generator, pool, and what the untaught student knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from tasks.base import Task
from tasks.columns import ExampleColumns
from tasks.prior import by_share, check_shares
from tasks.records import Example, Grade, Problem, Split, stream
from tasks.templates import Limits, Slots, spoken
from tasks.tools.checking import GIVEN, WANTED, PlanVerdict, grade_of, judge_plan, outcomes
from tasks.tools.diagnosis import PlanFault, explain, missing_skills
from tasks.tools.kinds import CATALOGUE, LONGER, STYLES, RequestKind, Style, subskill_of
from tasks.tools.lexicon import FILLERS, LEXICON, PLACEHOLDERS, RequestTemplate
from tasks.tools.plan import Plan, Refusal, read_plan, write_plan

SEALED: dict[Split, int] = {"feedback": 40, "selection": 40, "test": 100}
"""Problems of each skill."""
TRANSFER = 60
"""Problems of each longer kind."""
POOL = 300
"""Pool examples of each skill."""
KNOWN: Mapping[str, float] = {"add_event": 1, "write_file": 1, "join_texts": 1, "travel_time": 0.3, "lookup": 0.3}
"""Shares of the warm start's data, relative to each other; a skill that is not named has none."""
HOURS = 24
CODE = (
    "tasks.templates",
    *(f"tasks.tools.{name}" for name in ("checking", "kinds", "lexicon", "plan", "toolset", "world")),
)
WHOLE = "whole"
"""The subskill that is the skill as its problems ask it."""
_SEED = 0


class ToolRequest(NamedTuple):
    """A prompt that was read: its kind, and what fills its places."""

    kind: RequestKind
    slots: Slots


class Tools(Task):
    """Requests that are answered by a plan of tool calls; see ``kinds.CATALOGUE``.

    Args:
        style: ``compact``, a few words for small students, or ``english``, plain sentences.
        known: Their shares of the warm start's data, relative to each other; a skill that is not named has none.
            ``KNOWN``, if not given.

    Raises:
        ValueError: If the style or a name is unknown, or a share is no number above zero.
    """

    name: ClassVar[str] = "tools"
    version: ClassVar[str] = "1"
    skills = tuple(kind.name for kind in CATALOGUE)
    part_kinds: ClassVar[tuple[str, ...]] = (WANTED, GIVEN)
    code: ClassVar[tuple[str, ...]] = CODE
    """What decides whether a plan is right, and so what practice rewards."""

    def __init__(self, style: Style = "compact", known: Mapping[str, float] | None = None) -> None:
        if style not in STYLES:
            raise ValueError(f"task_args.style is {style!r}; give one of {', '.join(STYLES)}")
        check_shares(KNOWN if known is None else known, self.skills)
        self._style, self._known = style, dict(KNOWN if known is None else known)

    def split(self, name: Split) -> Sequence[Problem]:
        """The problems of a split, grouped by skill; ``transfer`` asks for longer plans, its kinds mixed."""
        return self._splits[name]

    def check(self, problem: Problem, response: str) -> PlanVerdict:
        """What a plan comes to beside the gold plan, with the reason where it cannot be read or run."""
        return judge_plan(_gold(problem.answer), response)

    def grade(self, problem: Problem, response: str) -> Grade:
        """Right if the plan leaves every world as the gold plan does, gives its answer, and has no needless call.

        ``lenient`` forgives needless calls. ``parts`` are the calls, the state and the answer; ``call_score`` makes
        precision, recall and F1 of them.
        """
        return grade_of(self.check(problem, response), _gold(problem.answer))

    def explain(self, problem: Problem, response: str) -> tuple[PlanFault, ...]:
        """What is wrong with a plan: which tool is missing or needless, and which argument is another."""
        return explain(_gold(problem.answer), response)

    def diagnose(self, problem: Problem, response: str) -> tuple[str, ...]:
        """The skills that a wrong plan lacks, most basic first; see ``diagnosis.missing_skills``."""
        return missing_skills(problem.skills, _gold(problem.answer), response)

    def identity(self, prompt: str) -> str:
        """The kind and what fills its places, in whatever wording; for what is no request, its words."""
        asked = _read(prompt)
        if asked is None:
            return " ".join(spoken(prompt)) or prompt
        return " ".join([f"{asked.kind.name}:", *(f"{letter}={word}" for letter, word in sorted(asked.slots.items()))])

    def judge(self, example: Example) -> bool | None:
        """Whether the plan does what is asked; ``None`` for a prompt that is no request of this catalogue."""
        solved = self.solve(example.prompt)
        return None if solved is None else judge_plan(_gold(solved[1]), example.response).right

    def same(self, example: Example, answer: str) -> bool:
        """Whether two plans come to the same in every world."""
        if answer == example.response:
            return True
        plans = read_plan(answer.strip()), read_plan(example.response.strip())
        if isinstance(plans[0], Refusal) or isinstance(plans[1], Refusal):
            return False
        found, own = outcomes(plans[0]), outcomes(plans[1])
        return not isinstance(found, Refusal) and found == own

    def solve(self, prompt: str) -> tuple[str, str] | None:
        """By the catalogue."""
        asked = _read(prompt)
        plan = None if asked is None else asked.kind.plan(asked.slots)
        return None if asked is None or plan is None else (asked.kind.name, write_plan(plan))

    def generate(
        self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None
    ) -> Sequence[Example]:
        """``n`` fresh worked examples, wordings in equal shares; difficulty bounds the numbers, and the words used.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or difficulty is not in [0, 1].
        """
        self.check_request(skill, n, difficulty)
        kind = _BY_NAME[skill]
        return self._teachable(kind, n, rng, "generator", 1.0 if difficulty is None else difficulty)

    def subskills(self, skill: str) -> tuple[str, ...]:
        """Of a tool, what one of its arguments may be; of a composition, the tools that it needs."""
        kind = _BY_NAME[skill]
        if kind.by:
            words = FILLERS[PLACEHOLDERS[kind.by]]
            return (WHOLE, *dict.fromkeys(subskill_of(kind.by, word) for word in words))
        needed = _skills(kind)[1:]
        return (WHOLE, *needed) if needed else ()

    def generate_subskill(self, skill: str, subskill: str, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """See Task. A tool that a composition needs is asked for alone.

        Raises:
            ValueError: If the skill or its subskill is unknown, or ``n`` is negative.
        """
        self.check_subskill(skill, subskill, n)
        kind = _BY_NAME[skill]
        if subskill == WHOLE or kind.by:
            return self._teachable(kind, n, rng, "generator", 1.0, only=None if subskill == WHOLE else subskill)
        made = self._teachable(_BY_NAME[subskill], n, rng, "generator", 1.0)
        return [example.model_copy(update={"skills": (skill, subskill)}) for example in made]

    def pool(self) -> Sequence[Example]:
        """Fixed examples of each skill, none of them asking a sealed request."""
        return self._pool

    def prior(self, n: int, rng: np.random.Generator) -> Sequence[Example]:
        """What an untaught student has seen: the skills of ``known`` in their shares, mixed."""
        kinds = {kind.name: kind for kind in CATALOGUE}
        shares = {name: self._known.get(name, 0.0) for name in kinds}
        return by_share(shares, n, rng, lambda name, count: self._teachable(kinds[name], count, rng, "prior", 1.0))

    @cached_property
    def _splits(self) -> dict[Split, tuple[Problem, ...]]:
        made: dict[Split, list[Problem]] = {name: [] for name in (*SEALED, "transfer")}
        taken: set[str] = set()
        for kind in CATALOGUE:
            rng = stream(_SEED, f"split {kind.name}")
            for name, count in SEALED.items():
                made[name].extend(self._problems(kind, name, count, rng, taken))
        for kind in LONGER:
            made["transfer"].extend(self._problems(kind, "transfer", TRANSFER, stream(_SEED, kind.name), taken))
        order = stream(_SEED, "order transfer").permutation(len(made["transfer"]))
        made["transfer"] = [made["transfer"][i] for i in order]
        return {name: tuple(problems) for name, problems in made.items()}

    @cached_property
    def _pool(self) -> tuple[Example, ...]:
        return tuple(
            example
            for kind in CATALOGUE
            for example in self._teachable(kind, POOL, stream(_SEED, f"pool {kind.name}"), "pool", 1.0)
        )

    def _problems(
        self, kind: RequestKind, split: Split, count: int, rng: np.random.Generator, taken: set[str]
    ) -> list[Problem]:
        """Problems of one kind, wordings in turn, none of an identity that is ``taken``; theirs are added to it."""
        templates = kind.templates(self._style)
        drawn = [_draw(kind, template, rng, _limits(kind, template)) for template in templates]
        made: list[Problem] = []
        while len(made) < count:
            template = templates[len(made) % len(templates)]
            slots, plan = next(drawn[len(made) % len(templates)])
            prompt = template.write(slots)
            identity = self.identity(prompt)
            if identity not in taken:
                taken.add(identity)
                named = f"{split}/{kind.name}/{len(made)}"
                level = _difficulty(kind, template, slots)
                skills = _skills(kind)
                made.append(
                    Problem(
                        id=named, prompt=prompt, answer=write_plan(plan), skills=skills, split=split, difficulty=level
                    )
                )
        return made

    def _teachable(
        self,
        kind: RequestKind,
        n: int,
        rng: np.random.Generator,
        origin: str,
        difficulty: float,
        only: str | None = None,
    ) -> Sequence[Example]:
        """``n`` examples of a kind that ask no sealed request, wordings in turn and then mixed."""
        templates = kind.templates(self._style)
        drawn = [_draw(kind, template, rng, _limits(kind, template, difficulty)) for template in templates]
        prompts, answers = list[str](), list[str]()
        while len(prompts) < n:
            i = len(prompts) % len(templates)
            slots, plan = next(drawn[i])
            prompt = templates[i].write(slots)
            if (only is None or subskill_of(kind.by, slots[kind.by]) == only) and self.identity(
                prompt
            ) not in self.sealed:
                prompts.append(prompt)
                answers.append(write_plan(plan))
        made = ExampleColumns.made(prompts, answers, _skills(kind), origin)
        return made.taken(rng.permutation(n).tolist())


_BY_NAME = {kind.name: kind for kind in CATALOGUE}


@lru_cache(maxsize=4096)
def _gold(answer: str) -> Plan:
    plan = read_plan(answer)
    if isinstance(plan, Refusal):
        raise ValueError(f"the gold answer {answer!r:.60} is no plan: {plan.sentence}")
    return plan


@lru_cache(maxsize=1)
def _templates() -> dict[tuple[str, ...], list[tuple[RequestKind, RequestTemplate]]]:
    """Kinds and templates of both styles by skeleton."""
    found: dict[tuple[str, ...], list[tuple[RequestKind, RequestTemplate]]] = defaultdict(list)
    for kind in (*CATALOGUE, *LONGER):
        for style in STYLES:
            for template in kind.templates(style):
                found[template.skeleton].append((kind, template))
    return dict(found)


def _read(prompt: str) -> ToolRequest | None:
    words = spoken(prompt)
    for kind, template in _templates().get(LEXICON.skeleton(words), ()):
        slots = template.read(words)
        if slots is not None and int(slots.get("h", 0)) < HOURS and kind.plan(slots) is not None:
            return ToolRequest(kind, slots)
    return None


@lru_cache(maxsize=64)
def _skills(kind: RequestKind) -> tuple[str, ...]:
    """The kind first, then the taught tools of its plan, in their order."""
    template = kind.templates("compact")[0]
    _, plan = next(_draw(kind, template, stream(_SEED, kind.name), _limits(kind, template)))
    return tuple(dict.fromkeys([kind.name, *(call.tool for call in plan if call.tool in _BY_NAME)]))


def _limits(kind: RequestKind, template: RequestTemplate, difficulty: float = 1.0) -> Limits:
    """Where each place draws from; at difficulty 0 from the first third of its list, at 1 from all of it."""
    given = {letter: (low, high) for letter, low, high in kind.limits}
    free = {x: (0, len(FILLERS[PLACEHOLDERS[x]]) - 1) for x in template.letters} | given
    share = (1 + 2 * difficulty) / 3
    return {
        x: (low, high if x == "u" else low + max(2, round(share * (high - low)))) for x, (low, high) in free.items()
    }


def _difficulty(kind: RequestKind, template: RequestTemplate, slots: Slots) -> float:
    """Where what fills the places stands in their lists, on average, in [0, 1]."""
    limits, lists = _limits(kind, template), {x: FILLERS[PLACEHOLDERS[x]] for x in slots}
    shares = [(lists[x].index(word) - limits[x][0]) / (limits[x][1] - limits[x][0]) for x, word in slots.items()]
    return round(float(np.mean(shares)), 3)


def _draw(
    kind: RequestKind, template: RequestTemplate, rng: np.random.Generator, limits: Limits, size: int = 64
) -> Iterator[tuple[dict[str, str], Plan]]:
    """Requests of a template without end: what fills its places, and the gold plan."""
    while True:
        for slots in template.fill(size, limits, rng):
            plan = kind.plan(slots)
            if plan is not None:
                yield slots, plan
