"""Student, State and Recipe, and the two pure functions under everything: ``train`` and ``respond``.

A student is pure: weights go in, new weights come out, nothing hidden stays behind. A State is *named by its
derivation*: the key says how it came about, so it can be looked up, forked and rebuilt without being computed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from operator import eq, not_
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from tasks.errors import DataenvError, UnsupportedError
from tasks.records import Example, Record, absent, digest, digest_examples, stream

FORWARD, FORWARD_BACKWARD = 1, 3
"""Student tokens, the currency: what one token costs that goes forward, and forward and backward."""


class Grpo(Record):
    """How a student learns from verified answers of its own: GRPO (DeepSeekMath, arXiv 2402.03300, section 4.1).

    Attributes:
        group: Answers to each problem; an advantage is a reward less the mean of its group.
        variant: ``grpo`` divides advantages by the group's standard deviation, and the loss of an answer by its length;
            ``dr-grpo`` does neither, and divides by ``max_tokens`` (arXiv 2503.20783).
        temperature: Of the answers, and of the probabilities that are trained.
        clip: The ratio of new to old probability counts within 1 ± this.
        kl: Weight of the divergence from the student as it was before this training.
        passes: Updates on each batch of answers; from the second on, they are no more the student's own.
        max_tokens: Longest answer; ``None`` for that of exams.
        allowance: Student tokens that training may cost: no answers are asked for that might cost more than is left.
            ``None`` for what the purse holds.
    """

    group: Annotated[int, Field(ge=2, le=65_536)] = 8
    variant: Literal["grpo", "dr-grpo"] = "grpo"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    kl: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    passes: Annotated[int, Field(ge=1)] = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    allowance: Annotated[int, Field(ge=0)] | None = None


class Dpo(Record):
    """How a student learns from pairs.

    Attributes:
        variant: ``dpo`` (arXiv 2305.18290), against the student as it was before this training; ``unlikelihood``: the
            chosen response likelier, each token of the rejected one less likely (arXiv 1908.04319).
        beta: Of ``dpo``: how strongly it is held to the student before.
        gamma: Of ``unlikelihood``: the weight of what is rejected.
        rejected: ``given``: each example is a pair. ``own``: the student answers each prompt, and what the task's
            checker finds wrong is rejected in favour of the example's response (on-policy pairs, as in Tülu 3, arXiv
            2411.15124, section 5.2); a right answer makes no pair.
        temperature: Of its own answers.
        max_tokens: Their longest; ``None`` for that of exams.
        allowance: Student tokens that training may cost where answers are its own; ``None`` for what the purse holds.
    """

    variant: Literal["dpo", "unlikelihood"] = "dpo"
    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    rejected: Literal["given", "own"] = Field(default="given", exclude_if=partial(eq, "given"))
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(default=1.0, exclude_if=partial(eq, 1.0))
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(default=None, exclude_if=absent)
    allowance: Annotated[int, Field(ge=0)] | None = Field(default=None, exclude_if=absent)


OWN: dict[Any, type[Record]] = {"grpo": Grpo, "dpo": Dpo}
"""What methods take besides, under their own name."""


class Recipe(Record):
    """How data is trained.

    Attributes:
        method: ``sft``: next-token loss on the responses; ``grpo``: the student answers the prompts, and learns from
            what the task's checker says of its answers; ``dpo``: from pairs, of a batch of which each is one; or the
            name of any other registered method.
        method_args: What a method from outside takes besides, as JSON.
        updates: Optimiser steps; a step of the environment is a fixed number of them, never seconds. The most that are
            made, where there is patience.
        batch: Examples per update.
        rate: Peak learning rate of AdamW.
        warmup: Updates over which the rate rises linearly from zero, where the optimiser starts afresh.
        weight_decay: Of AdamW.
        clip: Largest gradient norm.
        start: ``current`` goes on from the student as it is; ``base`` from the untaught student.
        data: ``lesson`` trains on this lesson; ``all`` on every lesson so far.
        replay: Share of each batch drawn from earlier lessons and from what the student knew at first, in [0, 1).
        optimiser: ``carry`` keeps AdamW's moments from the state before; ``reset`` starts them at zero.
        cooldown: Updates of a branch, with the rate falling to zero by a cosine, that is what exams see; the next
            training goes on from where the branch began. With ``warmup`` it is the warm-up, stable, cool-down schedule.
        patience: Looks at the feedback problems' loss, without a better one, after which training stops; 0 to make
            all updates. Under ``data="all"`` it grows with the data: times all examples over those of the first lesson.
        interval: Updates between two looks.
        order: ``shuffled`` walks the data in shuffled epochs; ``given`` in the order in which the teacher put it, again
            and again.
        grpo: What ``grpo`` takes besides; a batch is then so many answers, and so a multiple of the group.
        dpo: What ``dpo`` takes besides.
    """

    method: Annotated[str, Field(min_length=1)] = "sft"
    method_args: dict[str, Any] = Field(default={}, exclude_if=not_)
    updates: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    warmup: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    clip: Annotated[float, Field(gt=0)] = 1.0
    start: Literal["current", "base"] = "current"
    data: Literal["lesson", "all"] = "lesson"
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    optimiser: Literal["carry", "reset"] = "carry"
    cooldown: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    patience: Annotated[int, Field(ge=0)] = 0
    interval: Annotated[int, Field(ge=1)] = 16
    # Left out where they play no part: recipes without them keep the names that they had before there were any.
    order: Literal["shuffled", "given"] = Field(default="shuffled", exclude_if=partial(eq, "shuffled"))
    grpo: Grpo | None = Field(default=None, exclude_if=absent)
    dpo: Dpo | None = Field(default=None, exclude_if=absent)

    @model_validator(mode="before")
    @classmethod
    def _own(cls, given: Any) -> Any:
        """A method's own fields have defaults, so it may be asked for by its name alone."""
        name = given.get("method") if isinstance(given, dict) else None
        return {**given, name: OWN[name]()} if name in OWN and given.get(name) is None else given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in OWN:
            if getattr(self, name) is not None and name != self.method:
                raise ValueError(f"{name} is given and method is {self.method!r}; give {name!r}, or leave it out")
        if self.method != "sft" and (self.replay or self.patience or self.cooldown):
            raise ValueError(f"replay, patience and cooldown are for method 'sft'; leave them out with {self.method!r}")
        if self.method_args and self.method in ("sft", *OWN):
            raise ValueError(f"method_args is given and method is {self.method!r}, which takes none; leave it out")
        if round(self.batch * self.replay) == self.batch:
            raise ValueError(f"replay is {self.replay} of a batch of {self.batch}, and leaves no lesson; lower it")
        if self.grpo and self.batch % self.grpo.group:
            raise ValueError(f"batch is {self.batch}, which groups of {self.grpo.group} do not fill; give a multiple")
        return self


class Decoding(Record):
    """How a student answers: ``temperature`` 0 is greedy; at most ``max_tokens`` new tokens."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 32


class Asked(NamedTuple):
    """What a student is asked: a text, and the images that it refers to, as the bytes of their files, in order."""

    text: str
    media: tuple[bytes, ...] = ()


def asked(texts: Iterable[str]) -> list[Asked]:
    """Texts alone, as a student is asked them."""
    return [Asked(text) for text in texts]


Verdict = Callable[[Sequence[tuple[Example, str]]], Sequence[bool | None]]
"""Of many examples, each with a response, whether it answers the prompt; ``None`` for cannot tell."""


@dataclass(frozen=True)
class Data:
    """What one training run sees: the lesson, the earlier examples that replay draws from, and what patience watches.

    ``watched`` examples are read and not trained on. ``verdict`` is what answers of the student's own are rewarded by,
    and ``checker`` its name.
    """

    lesson: tuple[Example, ...]
    earlier: tuple[Example, ...] = ()
    watched: tuple[Example, ...] = ()
    verdict: Verdict | None = None
    checker: str = ""

    @cached_property
    def digest(self) -> str:
        """Names the data, order included, and the checker where there is one."""
        parts = [digest_examples(part) for part in (self.lesson, self.earlier, self.watched)]
        return digest([*parts, self.checker] if self.checker else parts)


@dataclass(frozen=True)
class State:
    """A student at one moment: its name (how it came about) and its weights (a safetensors blob)."""

    key: str
    weights: bytes


class Practice(Record):
    """What came of answers that were verified while a student was trained on them.

    Attributes:
        answers: How many.
        unknown: Of these, those of which the checker could not tell; they are left out of their group.
        groups: Of answers to one problem.
        right: Groups that were right throughout. They have no gradient.
        wrong: Groups that were wrong throughout. Nor have these.
        reward: Share of right answers, of those that the checker could tell, in the first and in the last eighth of the
            batches that hold any; ``None`` where it could tell of none.
    """

    answers: int
    unknown: int
    groups: int
    right: int
    wrong: int
    reward: tuple[float, float] | None


class Trained(Record):
    """What a training run reports.

    Attributes:
        loss: Mean loss (nats per token, where it is that of responses) of the first and of the last eighth of the
            updates.
        updates: Optimiser steps made, a branch's apart.
        tokens: Tokens that went forward and backward, padding excluded.
        looks: How often the watched examples were looked at.
        forward: Tokens that went forward alone, padding excluded: answers that were sampled, and references.
        practice: Where the student practised.
    """

    loss: tuple[float, float]
    updates: int
    tokens: int
    looks: int = 0
    forward: int = 0
    practice: Practice | None = Field(default=None, exclude_if=absent)


class TrainingDivergedError(DataenvError, ArithmeticError):
    """The loss became NaN or infinite; the state before is untouched."""


class Student(ABC):
    """A trainable model. Subclasses keep no state between calls beyond what can be recomputed from ``args``."""

    name: ClassVar[str]
    simulated: ClassVar[bool] = False
    methods: ClassVar[tuple[str, ...]] = ("sft",)
    """Of recipes, that it can be trained by."""
    has_policy: ClassVar[bool] = False
    """Whether it shows methods from outside a ``students.training.policy.Policy``, so that they can train it too."""
    kinds: ClassVar[tuple[str, ...]] = ("solution", "edit")
    """Kinds of examples that it can be trained on."""
    sees: ClassVar[tuple[str, ...]] = ("text",)
    """What it can be shown: ``text``, ``image``. An example with media is for students that see images."""
    code: ClassVar[tuple[str, ...]] = ()
    """Modules that decide what it computes, besides its own and those of what it inherits from."""

    def __init__(self, **args: Any) -> None:
        self.args = args

    @cached_property
    def fingerprint(self) -> str:
        """Names everything that decides what training computes, weights and data apart."""
        return digest([self.name, self.args, code_digest(type(self)), self.base, self.numerics])

    @property
    @abstractmethod
    def base(self) -> dict[str, Any]:
        """Base weights, architecture, tokenizer and chat template, as JSON."""

    @property
    @abstractmethod
    def numerics(self) -> dict[str, Any]:
        """The numerics class, as JSON: device type, dtype, threads, instruction set, library version."""

    @abstractmethod
    def initial(self, seed: int) -> bytes:
        """The weights before any training, as a safetensors blob."""

    @abstractmethod
    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train. Pure: equal arguments give equal bytes within one numerics class.

        Raises:
            TrainingDivergedError: If the loss is not finite.
        """

    @abstractmethod
    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """Decode a response to each of what is asked, in order."""

    @abstractmethod
    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token (teacher-forced, no training)."""

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean entropy of what the student would write at each token of the response, in nats (teacher-forced).

        Raises:
            UnsupportedError: If the student does not measure it, which is the default.
        """
        raise UnsupportedError(f"student {self.name!r} does not measure entropy; probe kind='loss' in its place")

    @abstractmethod
    def tokens(self, example: Example) -> int:
        """Tokens of an example as the student trains on it; the unit of the budget."""

    @abstractmethod
    def refuse(self, example: Example) -> str | None:
        """Why the student cannot be trained on an example (``length``, ``alphabet``), or ``None``."""

    def token_counts(self, examples: Sequence[Example]) -> list[int]:
        """``tokens`` of each example, in order: of a lesson at once. The default asks one by one."""
        return [self.tokens(example) for example in examples]

    def refusals(self, examples: Sequence[Example]) -> list[str | None]:
        """``refuse`` of each example, in order: of a lesson at once. The default asks one by one."""
        return [self.refuse(example) for example in examples]

    @abstractmethod
    def export(self, weights: bytes, folder: Path) -> None:
        """Write the student as a folder that ``transformers``' ``from_pretrained`` loads."""


@lru_cache(maxsize=64)
def code_digest(student: type[Any]) -> str:
    """Names the code that trains: this module, the records', those of the student, its parents and its ``code``.

    The same of a task: the code that rewards.

    Comments, docstrings, layout and records are left out: what a record holds is in the names of what it decides.
    So a change to what is trained changes every State key by itself, and neither a change of wording nor a field that
    is added to a record changes any.
    """
    inherited = {c.__module__ for c in student.__mro__ if c.__module__ not in ("abc", "builtins")}
    named = {__name__, stream.__module__, *getattr(student, "code", ())}
    modules = [importlib.import_module(name) for name in sorted(named | inherited)]
    try:
        return digest([_bare(inspect.getsource(module)) for module in modules])
    except (OSError, TypeError):
        raise TypeError(
            f"student {student.__name__} is defined where Python keeps no source; put it in a file, for a student's "
            "fingerprint covers the code that trains it"
        ) from None


def _bare(source: str) -> str:
    """The syntax tree of a module without its docstrings and its records."""
    tree = ast.parse(source)
    records = {"Record"}
    for top in tree.body:  # in order, for a record may derive from one that stands before it
        if isinstance(top, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id in records for b in top.bases):
            records.add(top.name)
    tree.body = [top for top in tree.body if not (isinstance(top, ast.ClassDef) and top.name in records)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return ast.dump(tree)


def initial_key(student: Student, seed: int) -> str:
    """The name of the state before any training."""
    return digest(["initial", student.fingerprint, seed])


def derive_key(
    student: Student, parent: str, data_digest: str, recipe: Recipe, seed: int, method_code: str = ""
) -> str:
    """The name of the state that training would give.

    Args:
        student: Who is trained.
        parent: The key of its state before.
        data_digest: Of what it sees.
        recipe: How.
        seed: Of every order and draw.
        method_code: Names the code of a method from outside; that of the others is in the student's fingerprint.
    """
    parts = ["train", student.fingerprint, parent, data_digest, recipe.model_dump(mode="json"), seed]
    return digest([*parts, method_code] if method_code else parts)


def initial(student: Student, seed: int) -> State:
    """The untrained student of a seed."""
    return State(initial_key(student, seed), student.initial(seed))


def train(student: Student, state: State, data: Data, recipe: Recipe, seed: int) -> tuple[State, Trained]:
    """Fine-tune: ``state`` is left as it is, a new State comes back, and what the training reports."""
    weights, trained = student.fit(state.weights, data, recipe, seed)
    return State(derive_key(student, state.key, data.digest, recipe, seed), weights), trained


def respond(student: Student, state: State, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
    """What the student answers. Grading is apart (``Task.grades``) and never stored together with responses."""
    return student.answer(state.weights, asked, decoding, seed)
