"""``check_method``: a price, and training that depends on data, recipe and seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dataenv.budget.price import price_of
from dataenv.checks.common import class_of, demand, own_randomness, says_what_it_is
from dataenv.checks.teacher import QUICK
from dataenv.lessons.bill import sizes
from dataenv.lessons.tuition import complete
from dataenv.setting import make_setting
from students.base import FORWARD, FORWARD_BACKWARD, Data, Recipe, Student
from students.training import methods
from students.training.method import Method, Rate
from tasks.records import Example, stream


def check_method(method: str | type[Method], recipe: Recipe | None = None) -> None:
    """Check a method of training: what it says of itself and, where it is installed, what it does to a small student.

    Args:
        method: A registered name, or a class, which is not trained by: a student finds methods by their names.
        recipe: By which it is trained; of that method.

    Raises:
        ContractError: With the first rule that is broken.
    """
    kind = class_of("method", method, Method)
    says_what_it_is("method", kind)
    trained = isinstance(method, str) and method in methods.names()
    how = recipe or Recipe(method=method if trained else "sft", updates=3, batch=8, rate=1e-2)
    setting = make_setting(QUICK)
    how = complete(how, setting)
    student, task = setting.built_student, setting.built_task
    made = task.generate(task.skills[0], 8, stream(0, "check"))
    _method_price(kind, student, made, how)
    if not trained:
        return
    lesson = tuple(_pair(example, made) for example in made) if kind.needs_pairs(how) else tuple(made)
    data = Data(lesson, verdict=task.verifies if kind.needs_verdict(how) else None)
    before = student.initial(0)
    with own_randomness(f"method {method!r}"):
        after, report = student.fit(before, data, how, 1)
        again, _ = student.fit(before, data, how, 1)
    demand(after == again, "training differs between two equal calls; draw from the seed alone and keep nothing")
    fine = all(map(math.isfinite, report.loss)) and report.tokens >= 0 and 0 <= report.updates <= how.updates
    demand(fine, f"training reports {report!r:.120}; give finite losses, the tokens and the updates that were made")
    most = price_of(how, sizes(student, how, lesson), ()).most(how.updates)
    cost = FORWARD * report.forward + FORWARD_BACKWARD * report.tokens
    demand(cost <= most, f"training took {cost} student tokens and its price is {most}; raise rate() or size()")


def _pair(example: Example, others: Sequence[Example]) -> Example:
    """An example with a response that the right one is preferred to."""
    other = next(e.response for e in others if e.response != example.response)
    return example.model_copy(update={"rejected": other})


def _method_price(kind: type[Method], student: Student, examples: Sequence[Example], recipe: Recipe) -> None:
    rate = kind.rate(recipe)
    fine = isinstance(rate, Rate) and isinstance(rate.times, int) and rate.times >= 1
    demand(fine, f"rate() gives {rate!r}; give a Rate of at least one student token for each token")
    for name in ("needs_verdict", "needs_pairs"):
        said = getattr(kind, name)(recipe)
        demand(isinstance(said, bool), f"{name}() gives {said!r}; give True or False")
    for example in examples:
        size = kind.size(student, example, recipe)
        demand(isinstance(size, int) and size >= 1, f"size() gives {size!r} of an example; give a whole number >= 1")
