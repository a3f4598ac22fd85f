"""Bill: what training on a lesson would cost, worked out before it is paid."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from dataenv.budget.price import Price, price_of, totals
from dataenv.budget.purse import Payment, Purse
from dataenv.errors import SettingError
from dataenv.validation import MOST, whole
from students.base import FORWARD, Recipe, Student
from students.training.method import Method
from students.training.methods import method_of
from students.training.walk import walk_of
from tasks.records import Example

DEFAULT = vars(Method)["size"].__func__
"""How a method without a ``size`` of its own measures an example: as the student does."""


@dataclass(frozen=True)
class Bill:
    """What a lesson would cost.

    Attributes:
        price: What one like it is likely to cost.
        look: What one look at the watched examples costs.
        totals: The most that 1, 2, … updates may cost. Where the walk is known that is what they do cost, unless
            training stops early.
        least: The least that training costs when so many updates were bought.
    """

    price: Price
    look: int
    totals: Sequence[int]
    least: Callable[[int], int]

    def pay(self, purse: Purse, use: str) -> tuple[int, Payment]:
        """As many updates as the purse pays for, and their payment.

        Where answers are counted as they are written, all that they may cost is taken, or the rest of the purse.
        """
        if not self.price.metered:
            return purse.buy(self.totals, use)
        payment = purse.take(self.totals[-1], use)
        enough = payment.price >= self.totals[0]
        return (len(self.totals), payment) if enough else (0, purse.settle(payment, 0))

    def forfeit(self, most: int, purse: Purse, use: str) -> Payment:
        """Pay for a lesson that is not trained: no more than training would cost, and no more than ``most``."""
        bought = bisect_right(self.totals, purse.remaining)
        return purse.take(min(most, self.least(bought)) if bought else 0, use)


def bill_of(
    student: Student,
    recipe: Recipe,
    parts: tuple[Sequence[Example], Sequence[Example], Sequence[Example]],
    seed: int,
    ceiling: int,
) -> Bill:
    """The bill of a training run.

    Args:
        student: Who is trained.
        recipe: How.
        parts: The lesson, which is not empty; what replay draws from; what patience looks at.
        seed: Of the training.
        ceiling: No purse holds more.
    """
    lesson, *others = parts
    fresh = sizes(student, recipe, lesson)
    earlier, watched = (tokens_of(student, part) for part in others)
    price, look = price_of(recipe, fresh, earlier, watched), FORWARD * sum(watched)
    if price.metered:
        return _counted(student, recipe, lesson, price)
    walk = walk_of(student, recipe)
    if walk is None:
        return _bounded(recipe, fresh, earlier, price, look, ceiling)
    found = totals(walk(fresh, earlier, recipe, seed), recipe, look, ceiling)
    stops = recipe.patience * recipe.interval or recipe.updates  # patience never ends training before
    return Bill(price, look, found, lambda bought: found[min(bought, stops) - 1])


def _counted(student: Student, recipe: Recipe, lesson: Sequence[Example], price: Price) -> Bill:
    """Answers to a batch of prompts are asked for as long as the purse surely pays; they may be short and all right."""
    asked = tokens_of(student, [e.model_copy(update={"response": "", "rejected": None}) for e in lesson])
    rounds = -(-recipe.updates // (recipe.grpo.passes if recipe.grpo else 1))
    most = range(price.each, price.each * recipe.updates + 1, price.each)
    return Bill(price, 0, most, lambda bought: FORWARD * recipe.batch * min(asked) * min(bought, rounds))


def _bounded(
    recipe: Recipe, fresh: Sequence[int], earlier: Sequence[int], price: Price, look: int, ceiling: int
) -> Bill:
    """Of an order that nobody knows beforehand, each update may hold the longest, and the first one everything."""
    longest, times = recipe.batch * max(*fresh, *earlier, 1), method_of(recipe).rate(recipe).times
    first = max(longest, sum(fresh) + sum(earlier))
    found = totals(chain([first], repeat(longest)), recipe, look, ceiling)
    return Bill(price, look, found, lambda bought: times * min(sum(fresh), bought * recipe.batch * min(fresh)))


def sizes(student: Student, recipe: Recipe, examples: Sequence[Example]) -> list[int]:
    """The tokens of each example as the recipe's method trains on it.

    Raises:
        SettingError: If the student or the method counts no whole number of at least 1.
    """
    size, where = method_of(recipe).size, f"size() of method {recipe.method!r} for student {student.name!r}"
    if getattr(size, "__func__", size) is DEFAULT:
        return _counts(where, student.token_counts(examples), examples)
    return _counts(where, [size(student, example, recipe) for example in examples], examples)


def tokens_of(student: Student, examples: Sequence[Example]) -> list[int]:
    """The tokens of each example.

    Raises:
        SettingError: If the student counts no whole number of at least 1.
    """
    where = f"tokens() of student {student.name!r}"
    return _counts(where, student.token_counts(examples), examples)


def _counts(where: str, found: list[int], examples: Sequence[Example]) -> list[int]:
    """Counts of code that may not be ours, each a plain int of at least 1; all are looked at together first."""
    if len(found) != len(examples):
        raise SettingError(f"{where} gives {len(found)} counts of {len(examples)} examples; give one for each")
    if not found or (set(map(type, found)) == {int} and 1 <= min(found) <= max(found) <= MOST):
        return found
    return [whole(where, n, 1) for n in found]
