"""Tuition: what of a lesson is trained, what is paid for it, and what is given back where training stops early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataenv.budget.price import Price, price_of
from dataenv.budget.purse import Payment, Purse
from dataenv.errors import JobFailedError
from dataenv.execution.jobs import BuildSpec, Training
from dataenv.lessons.engines import replayed
from dataenv.lessons.offer import Lessons, Offer
from dataenv.setting import Setting
from students.base import Recipe, Student, Trained
from students.methods import method_of
from tasks.records import Example, stream

if TYPE_CHECKING:
    from dataenv.snapshot import Snapshot


@dataclass(frozen=True)
class Tuition:
    """What was paid for a lesson.

    Attributes:
        training: What is trained; ``None`` where nothing is.
        price: Of the lesson.
        payment: What was taken out of the purse.
    """

    training: Training | None
    price: Price
    payment: Payment

    @property
    def updates(self) -> int:
        """The most updates that are made."""
        return self.training.recipe.updates if self.training else 0

    def settled(self, trained: Trained | None, purse: Purse) -> Tuition:
        """The same when training is over: patience makes fewer updates than were set aside for."""
        price = self.price.of(trained) if trained and self.training else self.payment.price
        if price > self.payment.price:
            raise JobFailedError(
                f"training took {price} student tokens and {self.payment.price} were set aside; raise rate() or size() "
                "of its method"
            )
        return self if price == self.payment.price else replace(self, payment=purse.settle(self.payment, price))


def charge(setting: Setting, snapshot: Snapshot, offer: Offer, purse: Purse, use: str) -> Tuition:
    """Take the price of a lesson out of the purse.

    The purse buys as many of the recipe's updates as it can. A lesson of which nothing was kept costs what a lesson of
    ordinary length would, and is not trained.

    Args:
        setting: Of the environment.
        snapshot: The moment before the lesson.
        offer: The lesson; of its examples, those that the screen let through.
        purse: Pays.
        use: What it is booked as.
    """
    recipe, student = complete(offer.recipe or setting.recipe, setting), setting.built_student
    kept, before = tuple(offer.examples), offer.before
    lesson, seen = kept, before if offer.seen is None else offer.seen
    if recipe.data == "all":
        lesson = tuple(e for earlier in seen for e in earlier) + kept
    earlier = _earlier(setting, recipe, snapshot, seen) if lesson else ()
    watched = watched_of(setting, recipe)
    fresh = sizes(student, recipe, lesson) or [nominal_size(setting, recipe)]
    price = price_of(recipe, fresh, [student.tokens(e) for e in earlier], [student.tokens(e) for e in watched])
    if price.metered:
        updates, payment = _advance(price, recipe, purse, use)
    else:
        updates, payment = purse.buy(price.reserved, recipe.updates, use, price.fixed)
    if not kept or updates == 0:
        return Tuition(None, price, payment)
    first = len(before[0]) if before and recipe.data == "all" else len(lesson)
    patience = -(-recipe.patience * len(lesson) // first)
    if price.metered:  # what answers cost is known when they are written: they go on while the purse pays
        bought = _with_own(recipe, {"allowance": payment.price})
    else:
        bought = recipe.model_copy(update={"updates": updates, "patience": patience})
    seed = int(stream(snapshot.seed, "training", snapshot.step).integers(2**31))
    task = BuildSpec(name=setting.task, args=setting.task_args) if method_of(recipe).needs_verdict(recipe) else None
    training = Training(lesson=lesson, earlier=earlier, watched=watched, recipe=bought, seed=seed, task=task)
    return Tuition(training, price, payment)


def _advance(price: Price, recipe: Recipe, purse: Purse, use: str) -> tuple[int, Payment]:
    """Updates and their payment in advance: the most that the recipe may cost, or the rest of the purse."""
    tokens, payment = purse.buy(1, price.most(recipe.updates), use)
    return (recipe.updates, payment) if tokens >= price.reserved else (0, purse.settle(payment, 0))


def complete(recipe: Recipe, setting: Setting) -> Recipe:
    """The recipe with all that it leaves to the Setting."""
    own = recipe.grpo or recipe.dpo
    if own is None or own.max_tokens is not None or not method_of(recipe).rate(recipe).metered:
        return recipe
    return _with_own(recipe, {"max_tokens": setting.decoding.max_tokens})


def _with_own(recipe: Recipe, fields: dict[str, Any]) -> Recipe:
    """The recipe with some fields of its own method changed."""
    own = recipe.grpo or recipe.dpo
    if own is None:  # a method from outside, which takes them as it likes
        return recipe.model_copy(update={"method_args": recipe.method_args | fields})
    return recipe.model_copy(update={recipe.method: own.model_copy(update=fields)})


def sizes(student: Student, recipe: Recipe, examples: Sequence[Example]) -> list[int]:
    """What ``price_of`` takes of a lesson: the tokens of each example as the recipe's method trains on it."""
    size = method_of(recipe).size
    return [size(student, e, recipe) for e in examples]


def watched_of(setting: Setting, recipe: Recipe) -> tuple[Example, ...]:
    """What patience looks at: the feedback problems with their gold answers. They are read, and never trained on."""
    if not recipe.patience:
        return ()
    return tuple(Example(prompt=p.prompt, response=p.answer) for p in setting.exam_items("feedback"))


def nominal_price(setting: Setting) -> int:
    """What a lesson of ordinary length is likely to cost, in student tokens."""
    student, recipe = setting.built_student, complete(setting.recipe, setting)
    fresh, earlier = [nominal_size(setting, recipe)], [nominal_tokens(setting)]
    price = price_of(recipe, fresh, earlier, [student.tokens(e) for e in watched_of(setting, recipe)])
    return price.most(recipe.updates)


def paid_for(training: Training, trained: Trained, setting: Setting) -> int:
    """What a training run cost its teacher, in student tokens."""
    student, fresh = setting.built_student, training.lesson
    others = ([student.tokens(e) for e in part] for part in (training.earlier, training.watched))
    return price_of(training.recipe, sizes(student, training.recipe, fresh), *others).of(trained)


def nominal_size(setting: Setting, recipe: Recipe) -> int:
    """Mean tokens of a feedback problem as a recipe's method trains on it; a pair is twice its gold answer."""
    method, student, items = method_of(recipe), setting.built_student, setting.exam_items("feedback")
    golds = [Example(prompt=p.prompt, response=p.answer) for p in items]
    mean = sum(method.size(student, gold, recipe) for gold in golds) / len(golds)
    return max(1, round(mean * (2 if method.needs_pairs(recipe) else 1)))


def nominal_tokens(setting: Setting) -> int:
    """Mean tokens of a feedback problem with its gold answer: what one example is likely to cost."""
    student, items = setting.built_student, setting.exam_items("feedback")
    mean = sum(student.tokens(Example(prompt=p.prompt, response=p.answer)) for p in items) / len(items)
    return max(1, round(mean))


def _earlier(setting: Setting, recipe: Recipe, snapshot: Snapshot, before: Lessons) -> tuple[Example, ...]:
    """The examples that replay draws: half from earlier lessons, half from the warm start."""
    wanted = (recipe.updates + recipe.cooldown) * round(recipe.batch * recipe.replay)
    if not wanted:
        return ()
    prior = setting.warm_training(snapshot.student_seed)
    taught = [e for lesson in before for e in lesson] if recipe.data == "lesson" else []
    return replayed(prior.lesson if prior else (), taught, wanted, stream(snapshot.seed, "earlier", snapshot.step))


def warm_tokens(setting: Setting) -> int:
    """About what making one untaught student takes, in student tokens."""
    training = setting.warm_training(0)
    if training is None:
        return 0
    student = setting.built_student
    tokens = [student.tokens(example) for example in training.lesson]
    return price_of(training.recipe, tokens, ()).most(training.recipe.updates)
