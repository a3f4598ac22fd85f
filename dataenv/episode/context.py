"""What a teacher is given at the beginning: skills, budget, and what it may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dataenv.budget.purse import Purse
from dataenv.environment.branch import fork
from dataenv.environment.env import TeachingEnv
from dataenv.episode import guided, probes
from dataenv.errors import SettingError
from dataenv.execution.runner import run_all
from dataenv.lessons.leaks import guard_of
from dataenv.lessons.screen import as_example, passing, pool_of
from dataenv.lessons.tuition import nominal_price, nominal_tokens
from dataenv.validation import finite, whole
from students.base import FORWARD
from tasks import media
from tasks.difficulty import difficulty_of
from tasks.records import Example, Problem, stream


class Trial(NamedTuple):
    """What came of a lesson on a branch.

    Attributes:
        observation: After it.
        reward: Gain on the selection split.
        trained: Whether the purse paid for it, so that there was any training.
    """

    observation: Any
    reward: float
    trained: bool


class BudgetView:
    """The purse as a teacher sees it: live, and read only; and what things of ordinary length are likely to cost.

    Attributes:
        step_price: A lesson.
        example_price: Going forward over one example (a ``loss`` probe, an item of a reference).
        answer_price: One answer (an ``accuracy`` probe, one sample).
    """

    def __init__(self, purse: Purse, step_price: int, example_price: int, answer_price: int) -> None:
        self._purse, self.step_price = purse, step_price
        self.example_price, self.answer_price = example_price, answer_price

    @property
    def total(self) -> int:
        """Student tokens at the start, those apart that are set aside for the Setting's finish."""
        return self._purse.open

    @property
    def spent(self) -> int:
        """Student tokens spent so far."""
        return self._purse.spent

    @property
    def remaining(self) -> int:
        """Student tokens left."""
        return self._purse.remaining


class Context:
    """What a teacher is given at the beginning. It offers no student, and no item of the selection and test splits.

    Attributes:
        skills: The task's skills, in the order of the arrays.
        targets: The skills that reward and test look at; all of them, unless the Setting names some.
        level: The environment's.
        rng: The teacher's own random generator.
        budget: The live purse, and what a lesson, an example and an answer are likely to cost.
        lesson_size: Examples that a lesson is expected to hold.
        order: Of the Setting's recipe: ``given`` where a lesson is walked in the order in which it is handed over, else
            ``shuffled``.
        chats: Where the replies of language models are kept, so that the same run comes back to the same lessons.
        teacher_purse: What may be spent on them; ``teachers.chat.Chat.of`` draws on it.
    """

    def __init__(self, env: TeachingEnv) -> None:
        self._env = env
        seed = env.snapshot().seed
        self.skills, self.level = env.task.skills, env.level.name
        self.targets = env.setting.targets or env.task.skills
        self.rng = stream(seed, "teacher")
        tokens = nominal_tokens(env.setting)
        self.budget = BudgetView(
            env.purse,
            nominal_price(env.setting),
            FORWARD * tokens,
            FORWARD * (tokens + env.setting.decoding.max_tokens),
        )
        self.lesson_size = env.setting.lesson_size
        self.order = env.setting.recipe.order
        self.chats = env.runner.chats
        self.teacher_purse = env.teacher_purse
        self._feedback = {p.id: p for p in env.setting.exam_items("feedback")}
        self._draws = self._samples = 0

    @property
    def step(self) -> int:
        """Lessons that the present student was taught in this episode; 0 for the untaught one."""
        return self._env.snapshot().step

    def pool(self) -> Sequence[Example]:
        """The task's public training examples that pass the screen, the primary skill first in ``skills``.

        Raises:
            tasks.errors.UnsupportedError: If the task has none.
        """
        return pool_of(self._env.task, self._env.student)

    def difficulties(self, examples: Sequence[Example]) -> list[float | None]:
        """How difficult each of some pool items is, in [0, 1], as its authors say; ``None`` where they do not."""
        return [difficulty_of(self._env.task, example.prompt) for example in examples]

    def generate(self, skill: str, n: int, difficulty: float | None = None) -> list[Example]:
        """Fresh examples from the task's own generator: ``n``, or less those that would not pass the screen.

        Raises:
            tasks.errors.UnsupportedError: If the task has none.
            SettingError: If ``n`` is no whole number, or the difficulty no number in [0, 1].
        """
        n = whole("n", n)
        difficulty = None if difficulty is None else finite("difficulty", difficulty, 0, 1)
        self._draws += 1
        rng = stream(self._env.snapshot().seed, "generate", self._draws)
        return passing(self._env.task.generate(skill, n, rng, difficulty), self._env.task, self._env.student)

    def draw(
        self, requests: Sequence[tuple[str, int]], omega: float = 0.0, scale: float = 0.0, checked: bool = True
    ) -> list[Example]:
        """Fresh examples from a generator that the student, as it is now, may guide towards what it is unsure of.

        It is what Deliberate Practice does (arXiv 2502.15588, section 3), for tasks such as ``digits``. With ``omega``
        each of the sampler's steps asks the student for a gradient, which is paid as training is: 3 a token and step.
        Unguided it is free, as ``generate`` is.

        Args:
            requests: Skills, and how many examples of each.
            omega: How far each step goes up the gradient of the student's entropy; 0 for no guidance.
            scale: Of classifier-free guidance; the larger, the more typical examples are.
            checked: Whether examples are made again whose label an independent classifier does not confirm.

        Returns:
            The examples of all requests, less those that would not pass the screen.

        Raises:
            BudgetSpentError: If the purse cannot pay; nothing was charged.
            SettingError: If the task has no such generator, the student cannot guide it, or an argument is no number.
        """
        return guided.draw(self._env, requests, omega, scale, checked, self._draw_seed())

    def subskills(self, skill: str) -> tuple[str, ...]:
        """The subskills of a skill, in the order in which a forest grows them; the skill itself where it has none."""
        return self._env.task.subskills(skill) or (skill,)

    def diagnose(self, error: Mapping[str, str]) -> tuple[str, ...]:
        """The skills that one of ``observation["errors"]`` shows to be missing, most basic first.

        It stands where STAT asks a language model (arXiv 2510.10023, stage 2), and costs no student compute.

        Raises:
            SettingError: If its ``id`` is that of no feedback problem.
        """
        return self._env.task.diagnose(self._problem(error), error["response"])

    def describe(self, error: Mapping[str, str]) -> tuple[str, float]:
        """What kind of question one of ``observation["errors"]`` was: its primary skill, and its difficulty in [0, 1].

        It stands where LLM2LLM shows the question to a language model and asks for a similar one (arXiv 2403.15042),
        and costs no student compute.

        Raises:
            SettingError: If its ``id`` is that of no feedback problem.
        """
        problem = self._problem(error)
        return problem.skills[0], problem.difficulty

    def picture(self, name: str) -> npt.NDArray[np.uint8]:
        """The pixels of a picture, ``(height, width, 3)``: one of a mistake, of the pool, or of any example; free.

        Args:
            name: Its digest, as ``media`` of a mistake or an example has it.

        Raises:
            SettingError: If a sealed problem shows it that is not of the feedback split, or it is nowhere.
        """
        shown = any(name in problem.media for problem in self._feedback.values())
        asked = Example(prompt="?", response="?", media=(name,))
        if not shown and (not media.has(name) or guard_of(self._env.task).find(asked) is not None):
            raise SettingError(f"picture {name[:12]!r} is none of a mistake, the pool or an example; give its digest")
        return media.pixels(media.picture(name))

    def _problem(self, error: Mapping[str, str]) -> Problem:
        problem = self._feedback.get(error.get("id", ""))
        if problem is None:
            shown = repr(error["id"])[:60] if "id" in error else "missing"
            raise SettingError(f"error['id'] is {shown}; give one of observation['errors'] as it is")
        return problem

    def same(self, example: Example, answer: str) -> bool:
        """Whether an answer comes to what an example's own response comes to (``Task.same``); free.

        It compares the two and says nothing of whether they are right: a teacher is told nothing of its own labels.
        """
        return self._env.task.same(example, answer)

    def sames(self, asked: Sequence[tuple[Example, str]]) -> list[bool]:
        """What ``same`` says of each of many examples with an answer, in order; free."""
        return self._env.task.sames(asked)

    def readable(self, examples: Sequence[Example]) -> list[bool]:
        """Whether the student can read each at all: its form, its length, its letters; free, for no screen is asked.

        A probe of many candidates is refused for one that it cannot read, so who writes them asks this first.
        """
        return [(e := as_example(o)) is not None and self._env.student.refuse(e) is None for o in examples]

    def probe(self, examples: Sequence[Example], kind: str = "loss") -> npt.NDArray[np.float64]:
        """Look at the student on examples of one's own: one number each, paid by what is asked (1 a token).

        Args:
            examples: Prompt and gold response of each; they pass the same screen as a lesson.
            kind: A registered probe. ``loss`` or ``entropy`` (of what the student would write in the response's place)
                in nats per token, for the tokens of prompt and response; ``accuracy`` 0 or 1, the decoded answer being
                the response, for those of the prompt and ``decoding.max_tokens``; or any other of ``dataenv list``.

        Raises:
            BudgetSpentError: If the purse cannot pay; nothing was charged.
            SettingError: If an example would not pass the screen (that is charged too), the kind is unknown, or the
                student does not measure it.
        """
        return probes.probe(self._env, examples, kind)

    def sample(self, prompts: Sequence[str | Example], n: int = 1, temperature: float = 1.0) -> list[list[str]]:
        """``n`` answers of the student to each prompt, each with a seed of its own; the same prompts get others later.

        An answer costs the tokens of its prompt and ``decoding.max_tokens``, as in a probe of ``accuracy``.

        Args:
            prompts: They pass the same screen as a lesson, so nothing sealed can be asked. Where pictures are shown,
                give examples.
            n: Answers to each.
            temperature: Of the decoding; at 0 all ``n`` are the same.

        Raises:
            BudgetSpentError: If the purse cannot pay; nothing was charged.
            SettingError: If a prompt would not pass the screen (that is charged too), or an argument is no number.
        """
        return probes.sample(self._env, prompts, n, temperature, self._sample_seed())

    def feedback_answers(self, problems: int, n: int = 1, temperature: float = 1.0) -> list[probes.Answered]:
        """``n`` answers of the student to each of some feedback problems, drawn evenly over the skills.

        They show what the student is unsure of without a verifier: no right answer is shown. A feedback problem may be
        looked at and not be taught. An answer costs what it costs in ``sample``.

        Args:
            problems: How many; fewer where the split has fewer.
            n: Answers to each.
            temperature: Of the decoding.

        Returns:
            Id, prompt and answers of each.

        Raises:
            BudgetSpentError: If the purse cannot pay; nothing was charged.
            SettingError: If an argument is no number.
        """
        return probes.feedback_answers(self._env, problems, n, temperature, self._sample_seed())

    def _draw_seed(self) -> int:
        self._draws += 1
        return int(stream(self._env.snapshot().seed, "draw", self._draws).integers(2**31))

    def _sample_seed(self) -> int:
        self._samples += 1
        return int(stream(self._env.snapshot().seed, "samples", self._samples).integers(2**31))

    def trial(
        self,
        groups: Sequence[Sequence[Example]],
        updates: int = 1,
        *,
        reference: Sequence[Example] | None = None,
        by_skill: bool = False,
        recipe: str = "",
    ) -> npt.NDArray[np.float64]:
        """How much some updates on each group would lower the student's loss on a reference; its state stays as it is.

        Each update's batch is the whole group, each example once, without replay or warm-up; optimiser moments are
        carried as the recipe says. Where that cools down on a branch, the updates are made on the trunk, which shifts
        all groups alike. The price is ``3 * updates`` a token of each group, and 1 a token of the reference for each
        group and once for the loss before.

        Args:
            groups: Trained on one by one, each from the student as it is. They pass the same screen as a lesson.
            updates: On each group, 1 or more.
            reference: What the loss is measured on, in nats per token; these too pass the screen. ``None`` for the
                whole feedback split, of which only the numbers are told.
            by_skill: Whether the loss is told by the primary skill of the reference's items.
            recipe: The name of one on the Setting's menu, whose rate and optimiser are used; empty for the Setting's.

        Returns:
            ``(groups,)``, or ``(groups, skills)`` by skill; positive where the updates help.

        Raises:
            BudgetSpentError: If the purse cannot pay for all; nothing was charged.
            SettingError: If an example would not pass the screen (that is charged too), a group is empty, or there is
                no such recipe.
            JobFailedError: If an update diverged.
        """
        return probes.trial(self._env, groups, reference, updates, by_skill, recipe)

    def influence(
        self, groups: Sequence[Sequence[Example]], reference: Sequence[Example] | None = None
    ) -> npt.NDArray[np.float64]:
        """``trial`` with one update.

        ``I(z) = -(L(after one optimiser step on z) - L(before))``, Montessori-Instruct (arXiv 2410.14208, section 3),
        with a group of examples as z; a group of one example is the paper's.

        Args:
            groups: Each one update.
            reference: What L is the mean loss on; ``None`` for the whole feedback split.

        Returns:
            ``(groups,)``, positive where the step helps.

        Raises:
            BudgetSpentError, SettingError, JobFailedError: As ``trial`` does.
        """
        return self.trial(groups, 1, reference=reference)

    def try_lessons(self, actions: Sequence[Any]) -> list[Trial]:
        """A lesson each on a branch of its own, side by side where the executor is wide; paid as those of ``fork``.

        Branches begin in the order of the actions, so that a purse that runs short runs short at the same one each
        time.

        Args:
            actions: Of the environment's action space.

        Returns:
            What came of each, in order.

        Raises:
            ActionError: If one is no action of the level.
            JobFailedError: If a training diverged.
        """
        branches = [self.fork() for _ in actions]
        jobs = [branch.begin(action) for branch, action in zip(branches, actions, strict=True)]
        outcomes = iter(run_all(self._env.runner, [job for job in jobs if job is not None]))
        ends = [branch.end(None if job is None else next(outcomes)) for branch, job in zip(branches, jobs, strict=True)]
        return [Trial(end[0], float(end[1]), job is not None) for end, job in zip(ends, jobs, strict=True)]

    @property
    def drawn(self) -> tuple[int, int]:
        """How often fresh examples and answers of the student were drawn: each draw differs from those before it."""
        return self._draws, self._samples

    @drawn.setter
    def drawn(self, counts: tuple[int, int]) -> None:
        """Go on after so many draws, in an episode that goes on from a snapshot."""
        self._draws, self._samples = counts

    def fork(self) -> TeachingEnv:
        """A branch of this episode: stepping it changes nothing here, and is paid from the same purse.

        It is a whole environment. A teacher that reaches through it for the task's sealed splits or the weights is
        cheating, which Python cannot prevent and a reader of its one file can see.
        """
        return fork(self._env, share_purse=True)
