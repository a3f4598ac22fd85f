"""``check_student``: pure training, answers in order, losses that fall."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from dataenv.budget.price import cost_of
from dataenv.checks.common import HOSTILE_EXAMPLES, ContractError, demand, made_of, own_randomness, short, survives
from dataenv.lessons.bill import bill_of
from dataenv.waiting import waiting
from students.base import Asked, Data, Decoding, Recipe, Student, Trained, asked
from students.remote.rebuilding import is_rebuilt
from students.training.walk import walk_of
from tasks import media
from tasks.records import Example, Kind

WORDS = ("abc", "bcd", "cde", "bad", "dab", "ace", "fed", "cab")
PLAIN = tuple(Example(prompt=f"{word}>", response=word[::-1], skills=("reverse",)) for word in WORDS)
"""Eight things to learn by heart."""
SEEN = ("text", "image")
PIXEL = media.encode(np.zeros((1, 1, 3), np.uint8))
"""The smallest image: one black pixel."""
SHORT = Recipe(updates=16, batch=8, rate=1e-2)


def check_student(
    student: Student, examples: Sequence[Example] = PLAIN, recipe: Recipe = SHORT, export: bool = False
) -> None:
    """Check a student against ``students.base.Student``. It is trained three times by the recipe.

    Args:
        student: What is checked.
        examples: At least four things that it can learn by heart.
        recipe: How; choose a rate that suits the student.
        export: Whether to write the student as a folder and load that with ``transformers`` (takes seconds).

    Raises:
        ContractError: With the first rule that is broken.
    """
    student = made_of("student", student, Student)
    if len(examples) < 4:
        raise ContractError(f"examples holds {len(examples)}; give at least 4 to train and ask")
    name = f"student {getattr(student, 'name', '?')!r}"
    with waiting("checking the student, which is trained three times …"), own_randomness(name):
        _student_names(student)
        _student_abilities(student)
        _student_text(student, examples)
        weights = _student_initial(student)
        taught = _student_fit(student, weights, examples, recipe)
        for blob in (weights, taught):
            _student_answers(student, blob, examples)
            _student_losses(student, blob, examples)
            _student_kinds(student, blob, examples)
            if "image" in student.sees:
                _student_images(student, blob, examples)
        before, after = (float(np.mean(student.losses(blob, examples))) for blob in (weights, taught))
        demand(
            after < before,
            f"the loss on {len(examples)} examples went from {before:.3f} to {after:.3f} by learning them in "
            f"{recipe.updates} updates; see that fit() follows the loss down, or give another recipe",
        )
    if export:
        _student_export(student, taught)


def _student_names(student: Student) -> None:
    name = getattr(student, "name", None)
    demand(isinstance(name, str) and bool(name), f"name is {name!r}; set it to a word on the class")
    try:
        twin = type(student)(**student.args)
    except TypeError as error:
        raise ContractError(
            f"args is {student.args!r}, which does not make a twin ({error}); pass all to super()"
        ) from error
    demand(
        twin.fingerprint == student.fingerprint,
        "fingerprint differs between two students of equal args; leave out of base and numerics what is not theirs",
    )


def _student_abilities(student: Student) -> None:
    for field, known, first in (("kinds", get_args(Kind), "solution"), ("sees", SEEN, "text")):
        value = getattr(student, field, None)
        fine = isinstance(value, tuple) and first in value and len(set(value)) == len(value)
        words = f"give a tuple of {', '.join(map(repr, known))}, {first!r} among them"
        demand(fine and set(value or ()) <= set(known), f"{field} is {value!r}; {words}")
    outside = getattr(student, "has_policy", None)
    demand(isinstance(outside, bool), f"has_policy is {outside!r}; give True or False")


def _student_text(student: Student, examples: Sequence[Example]) -> None:
    for example in examples:
        refusal = student.refuse(example)
        demand(refusal is None, f"refuse() says {refusal!r} of {short(example.prompt)}; give examples that it can read")
        n = student.tokens(example)
        demand(
            isinstance(n, int) and n > 0, f"tokens() gives {n!r} for {short(example.prompt)}; give a whole number > 0"
        )
    odd = [Example(prompt=text, response=text) for text in HOSTILE_EXAMPLES]
    for text in HOSTILE_EXAMPLES:
        what = f"refuse() of text {short(text)}"
        refusal = survives(partial(student.refuse, Example(prompt=text, response=text)), what, "a reason")
        demand(refusal is None or isinstance(refusal, str), f"{what} gives {refusal!r}; give a word or None")
    for some in (examples, odd, [*examples, *odd]):
        said = student.refusals(some)
        demand(said == list(map(student.refuse, some)), "refusals() differs from refuse() of each; let them agree")
        fine = [example for example, why in zip(some, said, strict=True) if why is None]
        agree = student.token_counts(fine) == list(map(student.tokens, fine))
        demand(agree, "token_counts() differs from tokens() of each; let them agree")


def _student_initial(student: Student) -> bytes:
    weights = student.initial(0)
    demand(isinstance(weights, bytes), f"initial() gives {type(weights).__name__}; give a safetensors blob")
    twin = type(student)(**student.args)
    demand(weights == twin.initial(0), "initial(0) differs between two calls; draw from the seed alone")
    return weights


def _student_fit(student: Student, weights: bytes, examples: Sequence[Example], recipe: Recipe) -> bytes:
    half = len(examples) // 2
    data = Data(tuple(examples), earlier=tuple(examples[:2]))
    name = hashlib.sha256(weights).digest()
    taught, report = student.fit(weights, data, recipe, 1)
    demand(hashlib.sha256(weights).digest() == name, "fit() writes into the weights it was given; copy them first")
    demand(taught != weights, "fit() gives back the weights it was given; train")
    other, _ = student.fit(weights, Data(tuple(examples[:half])), recipe, 2)
    _student_repeats(student, weights, data, recipe, taught)
    demand(other != taught, "fit() gives equal weights for different data; train on data.lesson")
    fine = isinstance(report, Trained) and all(map(math.isfinite, report.loss)) and report.tokens > 0
    demand(fine, f"fit() reports {report!r}; give a Trained with finite losses and the tokens it trained on")
    demand(
        0 < report.updates <= recipe.updates, f"fit() reports {report.updates} updates of {recipe.updates}; count them"
    )
    _student_price(student, data, recipe, report)
    return taught


def _student_repeats(student: Student, weights: bytes, data: Data, recipe: Recipe, taught: bytes) -> None:
    """Training again gives equal bytes; of a student that says it is not rebuilt bit by bit, nearly equal losses."""
    again, _ = student.fit(weights, data, recipe, 1)
    if is_rebuilt(student):
        demand(again == taught, "fit() gives other weights the second time; let nothing stay behind between two calls")
        return
    once, twice = (student.losses(blob, data.lesson) for blob in (taught, again))
    near = np.allclose(once, twice, rtol=0.05, atol=0.05)
    demand(near, "fit() gives quite other losses the second time; let nothing stay behind between two calls")


def _student_price(student: Student, data: Data, recipe: Recipe, report: Trained) -> None:
    """What training reports is what is paid: as much as was due beforehand, or at most what was set aside."""
    bill = bill_of(student, recipe, (data.lesson, data.earlier, ()), 1, 1 << 62)
    cost, most = cost_of(report, recipe), bill.totals[-1]
    known = walk_of(student, recipe) is not None and report.updates == recipe.updates
    due = f"{most} are due" if known else f"{most} are the most"
    demand(
        cost == most if known else cost <= most,
        f"fit() reports {report.tokens} tokens, for which {cost} are paid, and {due}; count the tokens of what is "
        "trained on, or mend walk()",
    )


def _student_answers(student: Student, weights: bytes, examples: Sequence[Example]) -> None:
    prompts = asked(e.prompt for e in examples)
    greedy, warm = Decoding(max_tokens=8), Decoding(temperature=1.0, max_tokens=8)
    answers = student.answer(weights, prompts, greedy, 0)
    fine = isinstance(answers, list) and len(answers) == len(prompts) and all(isinstance(a, str) for a in answers)
    demand(fine, f"answer() gives {answers!r:.80} for {len(prompts)} prompts; give one string for each, in order")
    demand(student.answer(weights, [], greedy, 0) == [], "answer() of no prompts is not empty; give []")
    for i in (1, 3):
        turned = prompts[i:] + prompts[:i]
        demand(
            student.answer(weights, turned, greedy, i) == answers[i:] + answers[:i],
            "answer() at temperature 0 depends on the order of the prompts or on the seed; answer each by itself",
        )
    drawn = student.answer(weights, prompts, warm, 5)
    demand(drawn == student.answer(weights, prompts, warm, 5), "answer() differs for an equal seed; draw from the seed")


def _student_losses(student: Student, weights: bytes, examples: Sequence[Example]) -> None:
    losses = student.losses(weights, examples)
    demand(
        len(losses) == len(examples), f"losses() gives {len(losses)} for {len(examples)} examples; give one for each"
    )
    fine = all(isinstance(x, float) and math.isfinite(x) and x >= 0 for x in losses)
    demand(fine, f"losses() gives {losses!r:.80}; give finite floats in nats per token")
    turned = student.losses(weights, list(reversed(examples)))
    demand(np.allclose(turned[::-1], losses, atol=1e-4), "losses() are not in the order of the examples; put them back")
    demand(list(student.losses(weights, [])) == [], "losses() of no examples is not empty; give []")


def _student_kinds(student: Student, weights: bytes, examples: Sequence[Example]) -> None:
    """Every kind that a student says it learns from can be counted and measured. Nothing here shows it an image."""
    for kind in student.kinds:
        some = [example.model_copy(update={"kind": kind}) for example in examples[:2]]
        where = f"an example of kind {kind!r}, which kinds names"
        for example in some:
            refusal = student.refuse(example)
            demand(refusal is None, f"refuse() says {refusal!r} of {where}; leave it out of kinds, or read it")
            demand(student.tokens(example) > 0, f"tokens() gives 0 for {where}; count it")
        losses = survives(partial(student.losses, weights, some), f"losses() of {where}", "a loss, or leave it out")
        fine = len(losses) == len(some) and all(map(math.isfinite, losses))
        demand(fine, f"losses() gives {losses!r:.80} for {where}; give a finite one for each")


def _student_images(student: Student, weights: bytes, examples: Sequence[Example]) -> None:
    """A student that says it sees images is shown some, and texts without any between them."""
    shown = [Asked(examples[0].prompt, (PIXEL,)), Asked(examples[1].prompt), Asked(examples[2].prompt, (PIXEL, PIXEL))]
    call = partial(student.answer, weights, shown, Decoding(max_tokens=8), 0)
    answers = survives(call, "answer() with images", "an answer, or leave 'image' out of sees")
    fine = isinstance(answers, list) and len(answers) == len(shown) and all(isinstance(a, str) for a in answers)
    demand(fine, f"answer() gives {answers!r:.80} for {len(shown)} prompts with images; give one string for each")


def _student_export(student: Student, weights: bytes) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as name:
        student.export(weights, Path(name))
        try:
            AutoModelForCausalLM.from_pretrained(name)
            AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError, KeyError) as error:
            raise ContractError(
                f"export() writes a folder that transformers cannot load ({error}); save both"
            ) from error
