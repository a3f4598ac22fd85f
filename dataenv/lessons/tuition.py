"""Tuition: what of a lesson is trained, what is paid for it, and what is given back where training stops early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataenv.budget.price import Price, cost_of, price_of
from dataenv.budget.purse import Payment, Purse
from dataenv.errors import JobFailedError
from dataenv.execution.jobs import BuildSpec, Training
from dataenv.lessons.bill import bill_of, sizes, tokens_of
from dataenv.lessons.engines import replayed
from dataenv.lessons.offer import Lessons, Offer
from dataenv.setting import Setting
from students.base import FORWARD, Recipe, Trained
from students.training.methods import method_of
from tasks.records import Example, stream

if TYPE_CHECKING:
    from dataenv.snapshot import Snapshot


@dataclass(frozen=True)
class Tuition:
    """What was paid for a lesson.

    Attributes:
        training: What is trained; ``None`` where nothing is.
        price: What such a lesson is likely to cost.
        payment: What was taken out of the purse.
        look: What one look at the watched examples costs.
    """

    training: Training | None
    price: Price
    payment: Payment
    look: int = 0

    @property
    def updates(self) -> int:
        """The most updates that are made."""
        return self.training.recipe.updates if self.training else 0

    def settled(self, trained: Trained | None, purse: Purse) -> Tuition:
        """The same when training is over: what it went over is paid, and the rest of what was set aside given back."""
        if trained is None or self.training is None:
            return self
        price = cost_of(trained, self.training.recipe, self.look)
        if not 0 < price <= self.payment.price:
            raise JobFailedError(
                f"training took {price} student tokens and {self.payment.price} were set aside; mend the tokens that "
                "the student reports, or raise rate() or size() of its method"
            )
        return self if price == self.payment.price else replace(self, payment=purse.settle(self.payment, price))


def charge(
    setting: Setting, snapshot: Snapshot, offer: Offer, purse: Purse, use: str, refused: Sequence[Example] = ()
) -> Tuition:
    """Take the price of a lesson out of the purse.

    The price is what the batches that are walked cost, and the purse buys as many of the recipe's updates as it can.
    Where their order is not known beforehand, the most that they may cost is set aside, and what they did cost is paid.

    A lesson of which nothing was kept is not trained, and costs what it would have cost, or an ordinary lesson if that
    is less. Were it free, the screen could be asked for nothing what is sealed.

    Args:
        setting: Of the environment.
        snapshot: The moment before the lesson.
        offer: The lesson; of its examples, those that the screen let through.
        purse: Pays.
        use: What it is booked as.
        refused: Where it let none through, those that the student could have been trained on.
    """
    recipe = complete(offer.recipe or setting.recipe, setting)
    kept, before = offer.examples, offer.before
    seen = before if offer.seen is None else offer.seen
    taught = tuple(e for lesson in seen for e in lesson) if recipe.data == "all" else ()
    new = kept or refused
    lesson = (*taught, *new) if taught else new or golds(setting)
    earlier, watched = _earlier(setting, recipe, snapshot, seen), watched_of(setting, recipe)
    seed = int(stream(snapshot.seed, "training", snapshot.step).integers(2**31))
    bill = bill_of(setting.built_student, recipe, (lesson, earlier, watched), seed, purse.open)
    if not kept:
        return Tuition(None, bill.price, bill.forfeit(nominal_price(setting), purse, use), bill.look)
    updates, payment = bill.pay(purse, use)
    if updates == 0:
        return Tuition(None, bill.price, payment, bill.look)
    first = len(before[0]) if before and recipe.data == "all" else len(lesson)
    patience = -(-recipe.patience * len(lesson) // first)
    if bill.price.metered:  # what answers cost is known when they are written: they go on while the purse pays
        bought = _with_own(recipe, {"allowance": payment.price})
    else:
        bought = recipe.model_copy(update={"updates": updates, "patience": patience})
    task = BuildSpec(name=setting.task, args=setting.task_args) if method_of(recipe).needs_verdict(recipe) else None
    training = Training(lesson=lesson, earlier=earlier, watched=watched, recipe=bought, seed=seed, task=task)
    return Tuition(training, bill.price, payment, bill.look)


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


def watched_of(setting: Setting, recipe: Recipe) -> tuple[Example, ...]:
    """What patience looks at: the feedback problems with their gold answers. They are read, and never trained on."""
    if not recipe.patience:
        return ()
    return golds(setting)


def golds(setting: Setting) -> tuple[Example, ...]:
    """The feedback problems with their gold answers: what examples of ordinary length are."""
    problems = setting.exam_items("feedback")
    return tuple(Example(prompt=p.prompt, response=p.answer, media=p.media) for p in problems)


def nominal_price(setting: Setting) -> int:
    """What a lesson of ordinary length is likely to cost, in student tokens."""
    student, recipe = setting.built_student, complete(setting.recipe, setting)
    fresh, earlier = [nominal_size(setting, recipe)], [nominal_tokens(setting)]
    price = price_of(recipe, fresh, earlier, tokens_of(student, watched_of(setting, recipe)))
    return price.most(recipe.updates)


def paid_for(training: Training, trained: Trained, setting: Setting) -> int:
    """What a training run cost its teacher, in student tokens."""
    return cost_of(trained, training.recipe, FORWARD * sum(tokens_of(setting.built_student, training.watched)))


def nominal_size(setting: Setting, recipe: Recipe) -> int:
    """Mean tokens of a feedback problem as a recipe's method trains on it; a pair is twice its gold answer."""
    found = sizes(setting.built_student, recipe, golds(setting))
    return max(1, round(sum(found) / len(found) * (2 if method_of(recipe).needs_pairs(recipe) else 1)))


def nominal_tokens(setting: Setting) -> int:
    """Mean tokens of a feedback problem with its gold answer: what one example is likely to cost."""
    found = tokens_of(setting.built_student, golds(setting))
    return max(1, round(sum(found) / len(found)))


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
    tokens = tokens_of(setting.built_student, training.lesson)
    return price_of(training.recipe, tokens, ()).most(training.recipe.updates)
