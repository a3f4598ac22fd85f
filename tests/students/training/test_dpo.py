"""Learning from pairs: the losses by hand, the chosen likelier than the rejected, and every token counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import starmap
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dataenv.budget.price import cost_of, price_of
from dataenv.environment.env import TeachingEnv
from dataenv.lessons.bill import sizes
from dataenv.setting import make_setting
from students.base import Data, Decoding, Recipe, asked
from students.pocket.by_torch import TorchModel
from students.pocket.student import Pocket
from students.training.dpo import Preferring, dpo_loss, unlikelihood_loss
from tasks.records import Example, digest_examples, stream
from tests.tiny import TINY

STUDENT = Pocket(width=32, layers=1, heads=2, context=16)
SHORT = Recipe.model_validate({"method": "dpo", "updates": 30, "batch": 16, "rate": 1e-2, "optimiser": "reset"})


def pairs(n: int) -> tuple[Example, ...]:
    """A word backwards is chosen, the word itself rejected."""
    letters = stream(0, "pairs").integers(4, size=(n, 3)) + ord("a")
    words = ["".join(map(chr, row)) for row in letters.tolist()]
    return tuple(Example(prompt=f"{w}>", response=w[::-1], rejected=w) for w in words if w != w[::-1])


LESSON = pairs(40)
PLAIN = tuple(e.model_copy(update={"rejected": None}) for e in LESSON)
REJECTED = tuple(e.model_copy(update={"response": e.rejected, "rejected": None}) for e in LESSON)


def changed(**own: Any) -> Recipe:
    return Recipe.model_validate(SHORT.model_dump() | {"dpo": own})


@pytest.fixture(scope="module")
def taught() -> bytes:
    """A student that knows the form, and neither answer better."""
    data = Data(PLAIN + REJECTED)
    return STUDENT.fit(STUDENT.initial(0), data, Recipe(updates=30, batch=32, rate=1e-2), 0)[0]


def margin(weights: bytes) -> float:
    """How much likelier, in nats a token, the chosen response is."""
    return float(np.mean(np.subtract(STUDENT.losses(weights, REJECTED), STUDENT.losses(weights, PLAIN))))


def test_losses_by_hand() -> None:
    chosen, rejected = torch.tensor([1.0, -0.5]), torch.tensor([-1.0, 0.5])
    want = -np.log(1 / (1 + np.exp(-0.1 * np.array([2.0, -1.0])))).mean()
    assert float(dpo_loss(chosen, rejected, 0.1)) == pytest.approx(want, rel=1e-6)
    assert float(dpo_loss(chosen, chosen, 0.1)) == pytest.approx(np.log(2))
    logs, mask = torch.tensor([[0.5, 0.25]]).log(), torch.tensor([[True, False]])
    found = unlikelihood_loss(logs, logs, mask, ~mask, 2.0)
    assert float(found) == pytest.approx(-np.log(0.5) - 2 * np.log(0.75), rel=1e-6)
    sure = unlikelihood_loss(logs, torch.zeros(1, 2), mask, mask, 1.0)
    assert bool(sure.isfinite()), "what is certain to be written has a finite loss too"


@pytest.mark.parametrize("own", [{"beta": 0.5}, {"variant": "unlikelihood"}], ids=str)
def test_the_chosen_becomes_likelier_than_the_rejected(taught: bytes, own: dict[str, Any]) -> None:
    weights, report = STUDENT.fit(taught, Data(LESSON), changed(**own), 0)
    assert (weights, report) == STUDENT.fit(taught, Data(LESSON), changed(**own), 0)
    assert margin(weights) > margin(taught) + 0.1
    assert report.loss[1] < report.loss[0]
    assert report.forward == (report.tokens if "beta" in own else 0)


def test_the_reference_is_the_student_before(taught: bytes) -> None:
    """At the first update both sides are as likely as under the reference, whatever the student prefers."""
    report = STUDENT.fit(taught, Data(LESSON), SHORT.model_copy(update={"updates": 1}), 0)[1]
    assert report.loss[0] == pytest.approx(np.log(2), abs=1e-6)


def test_the_gradient_is_that_of_the_formula(taught: bytes) -> None:
    """Equation 7 written out, response by response, without batches, padding or masks."""
    numpy = STUDENT._model(taught, trunk=True)
    policy = STUDENT._policy(numpy, numpy.tensors()[0])
    model = TorchModel(taught, False, STUDENT.heads, STUDENT.context, 1).model

    def likelihood(examples: tuple[Example, ...]) -> torch.Tensor:
        out = []
        for e in examples:
            prompt, response = list(policy.prompt(e)), list(policy.response(e.response))
            logits = model(input_ids=torch.tensor([prompt + response[:-1]])).logits[0, len(prompt) - 1 :]
            out.append(F.log_softmax(logits, -1).gather(1, torch.tensor(response)[:, None]).sum())
        return torch.stack(out)

    before = [likelihood(part).detach() for part in (PLAIN, REJECTED)]
    gained = [likelihood(part) - then for part, then in zip((PLAIN, REJECTED), before, strict=True)]
    want = torch.autograd.grad(-F.logsigmoid(0.1 * (gained[0] - gained[1])).mean(), list(model.parameters()))
    whole = Recipe.model_validate({"method": "dpo", "updates": 1, "batch": len(LESSON), "rate": 1e-3, "clip": 1e9})
    method = Preferring(policy, Data(LESSON), whole, 0)
    found = torch.autograd.grad(method._loss(next(method._batches())), list(policy.parameters.values()))
    by_name = dict(zip(policy.parameters, found, strict=True))
    for (name, _), other in zip(model.named_parameters(), want, strict=True):
        torch.testing.assert_close(by_name[name], other, rtol=1e-3, atol=1e-6)


def test_pairs_are_priced_whole() -> None:
    each = sizes(STUDENT, SHORT, LESSON)
    assert each == [STUDENT.tokens(a) + STUDENT.tokens(b) for a, b in zip(PLAIN, REJECTED, strict=True)]
    assert price_of(SHORT, each, ()).most(1) == 4 * round(16 * np.mean(each))
    assert price_of(changed(variant="unlikelihood"), each, ()).most(1) == 3 * round(16 * np.mean(each))
    with pytest.raises(ValueError, match="is no pair"):
        STUDENT.fit(STUDENT.initial(0), Data(PLAIN), SHORT, 0)


def test_a_lesson_of_pairs_is_screened_taught_and_paid() -> None:
    recipe = {"method": "dpo", "updates": 2, "batch": 8, "rate": 1e-3}
    env = TeachingEnv("open-ended", store="off", **(TINY | {"recipe": recipe}))
    env.reset(seed=0)
    made = env.task.generate("max", 6, stream(0, "pairs"))
    lesson = [e.model_copy(update={"rejected": e.response[::-1] + "0"}) for e in made]
    sealed = env.setting.exam_items("test")[0]
    bad = [made[0], lesson[1], lesson[2].model_copy(update={"rejected": sealed.prompt})]
    bad += [lesson[3].model_copy(update={"rejected": "é"}), lesson[4].model_copy(update={"rejected": made[4].response})]
    *_, info = env.step([*lesson, *bad])
    told = {name: info[f"rejected/{name}"] for name in ("form", "duplicate", "leak", "alphabet")}
    assert told == {"form": 2, "duplicate": 1, "leak": 1, "alphabet": 1}
    assert env.history[-1].kept == 6
    assert env.runner.store.lesson(env.history[-1].lesson or "") == tuple(lesson)
    assert info["price"] == price_of(env.setting.recipe, sizes(env.student, env.setting.recipe, lesson), ()).most(2)


def test_an_example_keeps_its_name() -> None:
    assert "rejected" not in PLAIN[0].model_dump()
    assert digest_examples(PLAIN) != digest_examples(LESSON)
    assert "dpo" not in Recipe().model_dump(mode="json")
    assert make_setting({}).digest == make_setting({"recipe": {"dpo": None}}).digest


# Its own wrong answers


OWN = {"rejected": "own", "max_tokens": 5}


def own(verdict: Any = lambda example, said: said == example.response) -> Data:
    return Data(PLAIN, verdict=verdict and (lambda asked: list(starmap(verdict, asked))), checker="test")


def test_own_wrong_answers_become_less_likely(taught: bytes) -> None:
    """It learns to write one word to whatever it is asked, from what it writes in its place."""
    lesson = tuple(e.model_copy(update={"response": "aaa"}) for e in PLAIN)
    recipe, data = changed(**OWN), replace(own(), lesson=lesson)
    weights, report = STUDENT.fit(taught, data, recipe, 0)
    assert (weights, report) == STUDENT.fit(taught, data, recipe, 0), "equal bytes: its answers are drawn by the seed"
    assert weights != STUDENT.fit(taught, data, recipe, 1)[0]
    answers = STUDENT.answer(taught, asked(e.prompt for e in PLAIN), Decoding(temperature=1.0, max_tokens=5), 3)
    wrong = [e.model_copy(update={"response": said}) for e, said in zip(PLAIN, answers, strict=True) if said]

    def gap(held: bytes) -> float:
        return float(np.mean(STUDENT.losses(held, wrong)) - np.mean(STUDENT.losses(held, lesson)))

    assert gap(weights) > gap(taught) + 0.5
    practice = report.practice
    assert practice is not None
    assert practice.answers == practice.groups == report.updates * recipe.batch
    assert practice.unknown == 0
    assert practice.right + practice.wrong == practice.answers
    assert practice.reward is not None
    assert practice.reward[1] > practice.reward[0]


@pytest.mark.parametrize("said", [True, None])
def test_only_what_is_found_wrong_makes_a_pair(taught: bytes, said: bool | None) -> None:
    """What is right, or cannot be told, moves nothing: the weights come back as they were."""
    recipe = changed(**OWN).model_copy(update={"updates": 3})
    weights, report = STUDENT.fit(taught, own(lambda example, answer: said), recipe, 0)
    assert STUDENT.losses(weights, PLAIN) == STUDENT.losses(taught, PLAIN)
    assert report.tokens == 0 < report.forward
    practice = report.practice
    assert practice is not None
    assert (practice.unknown, practice.right, practice.wrong) == ((0, 48, 0) if said else (48, 0, 0))
    assert practice.reward == ((1.0, 1.0) if said else None)


def test_pairs_are_made_of_the_answers_that_are_wrong(taught: bytes) -> None:
    """Of a batch of which one word is found wrong, that one alone is trained on."""
    word = PLAIN[0]
    recipe = changed(**OWN).model_copy(update={"updates": 1, "batch": len(PLAIN)})
    _, report = STUDENT.fit(taught, own(lambda example, answer: example != word), recipe, 0)
    wrong = sum(example == word for example in PLAIN)
    assert report.practice is not None
    assert (report.practice.wrong, report.practice.right) == (wrong, len(PLAIN) - wrong)
    assert 0 < report.tokens <= wrong * (STUDENT.tokens(word) + len("abc>") + 5)


def test_own_answers_are_metered_and_never_cost_more_than_is_allowed(taught: bytes) -> None:
    recipe = changed(**OWN)
    price = price_of(recipe, sizes(STUDENT, recipe, PLAIN), ())
    assert price.metered
    whole = STUDENT.fit(taught, own(), recipe, 0)[1]
    assert cost_of(whole, recipe) == whole.forward + 3 * whole.tokens <= price.most(whole.updates)
    for allowance in (price.most(1), price.most(3), cost_of(whole, recipe) // 2):
        some = STUDENT.fit(taught, own(), changed(**OWN, allowance=allowance), 0)[1]
        assert cost_of(some, recipe) <= allowance
        assert 0 < some.updates < whole.updates
    with pytest.raises(ValueError, match=r"allowance is 1 and answers may cost \d+; give that or more"):
        STUDENT.fit(taught, own(), changed(**OWN, allowance=1), 0)


def test_own_answers_need_a_verdict_and_a_length(taught: bytes) -> None:
    with pytest.raises(ValueError, match=r"verdict is missing; dpo\.rejected 'own' needs a checker"):
        STUDENT.fit(taught, Data(PLAIN), changed(**OWN), 0)
    with pytest.raises(ValueError, match=r"max_tokens is missing; say how long"):
        STUDENT.fit(taught, own(), changed(rejected="own"), 0)
    mine, given = changed(**OWN), changed()
    assert (Preferring.needs_verdict(mine), Preferring.needs_pairs(mine)) == (True, False)
    assert (Preferring.needs_verdict(given), Preferring.needs_pairs(given)) == (False, True)


def test_a_lesson_on_own_answers_is_paid_to_the_token() -> None:
    recipe = {"method": "dpo", "updates": 2, "batch": 8, "rate": 1e-3, "dpo": {"rejected": "own"}}
    env = TeachingEnv("skill-list", store="off", **(TINY | {"recipe": recipe}))
    env.reset(seed=0)
    for _ in range(2):
        before = env.purse.spent
        *_, info = env.step(np.ones(len(env.task.skills), np.float32))
        step = env.history[-1]
        assert step.practice is not None
        assert step.practice.answers == 16
        assert env.purse.spent - before == info["price"] > 0
    assert env.purse.spent <= env.purse.total
