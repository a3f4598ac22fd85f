"""The pocket student: pure bit for bit, trains as it did when it was calibrated, and leaves as a folder others load.

The golden curve is a short training run whose losses are kept in ``golden_pocket.json``. After a change that is *meant*
to alter what training computes, write it anew with

    .venv/bin/python -m tests.students.pocket.test_student
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from students.base import Data, Decoding, Recipe, TrainingDivergedError, asked, initial, respond, train
from students.pocket.by_torch import generate_group
from students.pocket.pieces import PiecePocket
from students.pocket.student import Pocket
from students.pocket.vocabulary import ALPHABET, EOS, FIRST, Characters
from students.training.loop import batches
from students.word_lm.student import WordLm
from tasks.columns import ExampleColumns, ExampleLabels
from tasks.records import Example, stream

GOLDEN = Path(__file__).with_name("golden_pocket.json")
TOLERANCE = 1e-3
"""Relative. Rounding moves the curve less (all weights off by one part in a million: 5e-5), a learning rate 2 % higher
more (5e-2); see ``test_golden_curve_would_notice``."""
GREEDY = Decoding(max_tokens=8)
SMALL: dict[str, Any] = {"width": 32, "layers": 1, "heads": 2, "context": 16}
RECIPE = Recipe(updates=16, batch=32, rate=1e-2, warmup=4, replay=0.25)


def reversals(n: int, purpose: str) -> tuple[Example, ...]:
    """Words of four letters, to be written backwards."""
    letters = stream(0, purpose).integers(6, size=(n, 4)) + ord("a")
    words = ["".join(map(chr, row)) for row in letters.tolist()]
    return tuple(Example(prompt=f"{word}>", response=word[::-1]) for word in words)


LESSON, EARLIER, EXAM = reversals(256, "lesson"), reversals(64, "earlier"), reversals(64, "exam")
DATA = Data(LESSON, EARLIER)


def curve(weights: bytes | None = None, **changes: Any) -> npt.NDArray[np.float64]:
    """Exam loss after each of four training runs, one after the other."""
    student, recipe, losses = Pocket(**SMALL), RECIPE.model_copy(update=changes), []
    weights = student.initial(0) if weights is None else weights
    for step in range(4):
        weights, _ = student.fit(weights, DATA, recipe, step)
        losses.append(float(np.mean(student.losses(weights, EXAM))))
    return np.array(losses)


def fingerprints() -> dict[str, str]:
    """What two processes must agree on."""
    student = Pocket(**SMALL)
    state, trained = train(student, initial(student, 3), DATA, RECIPE, seed=5)
    prompts = [e.prompt for e in EXAM]
    warm = respond(student, state, asked(prompts), Decoding(temperature=1.0, max_tokens=8), seed=7)
    losses = [x.hex() for x in student.losses(state.weights, EXAM)]
    return {
        "key": state.key,
        "weights": hashlib.sha256(state.weights).hexdigest(),
        "report": trained.model_dump_json(),
        "answers": json.dumps([respond(student, state, asked(prompts), GREEDY, seed=0), warm]),
        "losses": json.dumps(losses),
    }


@pytest.fixture(scope="module")
def taught() -> tuple[Pocket, bytes]:
    """A student that can do it, taught other words than the exam's.

    It has two layers: one alone cannot know at which letter it is, and would learn words by heart. Of the first six
    seeds two begin so that they learn it in these updates; this is one of them.
    """
    student = Pocket(**SMALL | {"layers": 2})
    lesson = tuple(e for e in reversals(2000, "many") if e not in EXAM)
    weights, _ = student.fit(student.initial(3), Data(lesson), RECIPE.model_copy(update={"updates": 250}), 0)
    return student, weights


# Purity


@pytest.mark.slow
def test_two_processes_agree_bit_for_bit() -> None:
    code = "import json; from tests.students.pocket.test_student import fingerprints; print(json.dumps(fingerprints()))"
    root = Path(__file__).resolve().parents[3]
    env = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=env, timeout=100, check=True
    )
    assert json.loads(done.stdout) == fingerprints()


def test_a_seed_is_another_student_and_another_order() -> None:
    student = Pocket(**SMALL)
    weights = student.initial(0)
    assert weights != student.initial(1)
    assert student.fit(weights, DATA, RECIPE, 0)[0] != student.fit(weights, DATA, RECIPE, 1)[0]


def test_golden_curve() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    np.testing.assert_allclose(curve(), golden["loss"], rtol=TOLERANCE)


@pytest.mark.parametrize(
    "change", [{"rate": 1.02e-2}, {"weight_decay": 0.02}, {"clip": 0.9}, {"optimiser": "reset"}, {"warmup": 5}], ids=str
)
def test_golden_curve_would_notice(change: dict[str, Any]) -> None:
    """A test that any training would pass is none."""
    golden = np.array(json.loads(GOLDEN.read_text(encoding="utf-8"))["loss"])
    assert np.abs(curve(**change) / golden - 1).max() > 5 * TOLERANCE


# The recipe


def test_carried_moments_are_part_of_the_weights() -> None:
    """One run of 16 updates on carried moments differs from one that starts them at zero, and only by them."""
    student = Pocket(**SMALL)
    first, _ = student.fit(student.initial(0), DATA, RECIPE, 0)
    carried, reset = (
        student.fit(first, DATA, RECIPE.model_copy(update={"optimiser": how}), 1)[0] for how in ("carry", "reset")
    )
    assert carried != reset
    untaught = student.initial(0)
    fresh = [student.fit(untaught, DATA, RECIPE.model_copy(update={"optimiser": h}), 1)[0] for h in ("carry", "reset")]
    assert fresh[0] == fresh[1]


def drawn(recipe: Recipe, earlier: tuple[Example, ...], seed: int = 0) -> list[list[str]]:
    """The first letter of every row of every batch."""
    lesson = Pocket()._encoded(tuple(Example(prompt=f"L{i:03}", response="x") for i in range(24)))
    made = islice(batches(lesson, Pocket()._encoded(earlier), recipe, seed), recipe.updates)
    return [["".join(chr(token + 30) for token in row[:4]) for row in batch.ids] for batch in made]


def test_replay_takes_its_share_of_every_batch() -> None:
    earlier = tuple(Example(prompt=f"E{i:03}", response="x") for i in range(50))
    recipe = Recipe(updates=6, batch=16, replay=0.25)
    for batch in drawn(recipe, earlier):
        assert sum(name.startswith("E") for name in batch) == 4
        assert sum(name.startswith("L") for name in batch) == 12
    assert all(len(batch) == 16 and batch[0].startswith("L") for batch in drawn(recipe, ()))


def test_a_lesson_repeats_only_when_all_of_it_was_seen() -> None:
    names = [name for batch in drawn(Recipe(updates=6, batch=8), ()) for name in batch]
    assert len(set(names[:24])) == len(set(names[24:48])) == 24
    assert names[:24] != names[24:48]


def test_responses_alone_carry_loss() -> None:
    """Prompts with one response: what is learnt is the response, so the prompt's own letters cost nothing."""
    encoded = Pocket()._encoded((Example(prompt="ab>", response="ba"),))
    assert encoded.targets.tolist() == [[-100, -100, -100, 68, 67, 1]]
    assert encoded.ids.tolist() == [[67, 68, 32, 68, 67, 1]]
    student = Pocket(**SMALL)
    _, report = student.fit(student.initial(0), Data(LESSON[:8]), Recipe(updates=4, batch=8), 0)
    assert report.tokens == 4 * 8 * (5 + 4 + 1)


def test_padding_changes_nothing() -> None:
    """A short example's loss is the same beside a long one."""
    student = Pocket(**SMALL)
    short, long = Example(prompt="ab>", response="ba"), Example(prompt="abcdef>", response="fedcba")
    alone, beside = student.losses(student.initial(0), [short]), student.losses(student.initial(0), [short, long])
    assert alone[0] == pytest.approx(beside[0], rel=1e-5)


def broken_weights(scale: dict[str, float]) -> bytes:
    """A fresh student with some tensors scaled."""
    from safetensors.torch import load, save

    tensors = load(Pocket(**SMALL).initial(0))
    return save({k: v * next((f for name, f in scale.items() if name in k), 1.0) for k, v in tensors.items()})


@pytest.mark.parametrize(
    ("scale", "sentence"),
    [
        ({"lm_head": 1e39}, "the loss became nan at update 1; lower recipe.rate"),
        ({"embed_tokens": 0.0, "lm_head": 1e37}, "weights are not finite after 1 updates; lower recipe.rate"),
    ],
    ids=["loss", "last-update"],
)
def test_divergence_is_raised_and_leaves_the_weights(scale: dict[str, float], sentence: str) -> None:
    weights = broken_weights(scale)
    before = hashlib.sha256(weights).digest()
    with pytest.raises(TrainingDivergedError, match=sentence):
        Pocket(**SMALL).fit(weights, DATA, Recipe(updates=1, batch=8), 0)
    assert hashlib.sha256(weights).digest() == before


def test_an_empty_lesson_is_refused() -> None:
    student = Pocket(**SMALL)
    with pytest.raises(ValueError, match=r"data\.lesson is empty"):
        student.fit(student.initial(0), Data((), EARLIER), RECIPE, 0)


# Answers


def test_it_learns_to_answer_what_it_was_not_taught(taught: tuple[Pocket, bytes]) -> None:
    student, weights = taught

    def share(w: bytes) -> float:
        answers = student.answer(w, asked([e.prompt for e in EXAM]), GREEDY, 0)
        return sum(a == e.response for a, e in zip(answers, EXAM, strict=True)) / len(EXAM)

    assert share(student.initial(0)) == 0
    assert share(weights) > 0.8


class Dictated:
    """A model that writes what it is told: one row of tokens for each row of its input. It counts its calls."""

    def __init__(self, *texts: str) -> None:
        self.rows = [[*Characters().encode(text), EOS, *Characters().encode("never")] for text in texts]
        self.calls = 0

    def __call__(self, input_ids: Any, **_: Any) -> Any:
        import torch

        logits = torch.zeros(len(self.rows), 1, FIRST + len(ALPHABET))
        for i, row in enumerate(self.rows):
            logits[i, 0, row[self.calls]] = 1.0
        self.calls += 1
        return SimpleNamespace(logits=logits, past_key_values=None)


def test_an_answer_stops_at_its_end_token() -> None:
    model = Dictated("ab", "", "wxyz")
    rows = generate_group(model, np.zeros((3, 5), np.int64), 9, 0.0, np.zeros((3, 9)), FIRST)  # type: ignore[arg-type]
    assert [Characters().decode(row) for row in rows] == ["ab", "", "wxyz"]
    assert model.calls == len("wxyz") + 1  # with the end token of the longest; nobody writes on after it


def test_an_answer_ends_where_its_room_does() -> None:
    model = Dictated("ab", "wxyz")
    rows = generate_group(model, np.zeros((2, 5), np.int64), 3, 0.0, np.zeros((2, 3)), FIRST)  # type: ignore[arg-type]
    assert [Characters().decode(row) for row in rows] == ["ab", "wxy"]
    assert model.calls == 3


def test_shorter_answers_are_the_beginnings_of_longer_ones(taught: tuple[Pocket, bytes]) -> None:
    student, weights = taught
    prompts = asked(e.prompt for e in EXAM)
    long, short = (student.answer(weights, prompts, Decoding(max_tokens=most), 0) for most in (11, 2))
    assert short == [a[:2] for a in long]


def test_prompts_of_any_length_are_answered_in_their_place(taught: tuple[Pocket, bytes]) -> None:
    student, weights = taught
    prompts = ["abcd>", "a" * 16, "", "fedc>", "ab"]
    answers = student.answer(weights, asked(prompts), GREEDY, 0)
    assert answers[1] == answers[2] == ""
    assert [answers[0], answers[3]] == student.answer(weights, asked(["abcd>", "fedc>"]), GREEDY, 0)


def test_temperature_draws_by_seed(taught: tuple[Pocket, bytes]) -> None:
    student, weights = taught
    prompts, hot = [e.prompt for e in EXAM], Decoding(temperature=2.0, max_tokens=8)
    first = student.answer(weights, asked(prompts), hot, 1)
    assert first == student.answer(weights, asked(prompts), hot, 1)
    assert first != student.answer(weights, asked(prompts), hot, 2)
    cold = student.answer(weights, asked(prompts), Decoding(temperature=1e-4, max_tokens=8), 1)
    greedy = student.answer(weights, asked(prompts), GREEDY, 1)
    assert sum(c == g for c, g in zip(cold, greedy, strict=True)) >= len(prompts) - 1  # a tie may fall either way


def test_export_answers_as_the_student_does(taught: tuple[Pocket, bytes], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student, weights = taught
    student.export(weights, tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    every = "".join(map(chr, range(32, 127)))
    assert tokenizer.decode(tokenizer(every)["input_ids"]) == every
    for example in EXAM[:12]:
        ids = tokenizer(example.prompt, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=8, do_sample=False)
        said = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        assert [said] == student.answer(weights, asked([example.prompt]), GREEDY, 0)
    assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example(prompt="ab>", response="ba"), None),
        (Example(prompt="a" * 10, response="b" * 5), None),
        (Example(prompt="a" * 10, response="b" * 6), "length"),
        (Example(prompt="é>", response="e"), "alphabet"),
        (Example(prompt="a\n>", response="a"), "alphabet"),
    ],
)
def test_what_it_cannot_read_is_refused(example: Example, reason: str | None) -> None:
    assert Pocket(**SMALL).refuse(example) == reason


@pytest.fixture(scope="module", params=["pocket", "word-lm", "piece-pocket"])
def reader(request: pytest.FixtureRequest) -> Pocket:
    return {"pocket": lambda: Pocket(**SMALL), "word-lm": WordLm, "piece-pocket": PiecePocket}[request.param]()


pieces = st.sampled_from(["tom has 2 nuts", "ann", '{"a": ', " 7", "\n", "z" * 9, "é"]) | st.text(max_size=6)
texts = st.lists(pieces, max_size=9).map("".join)


@given(lesson=st.lists(st.builds(Example, prompt=texts, response=texts), max_size=6), alike=st.integers(0, 6))
def test_a_lesson_is_counted_and_refused_as_its_examples_are(reader: Pocket, lesson: list[Example], alike: int) -> None:
    lesson += [Example(prompt="7", response="7")] * alike
    held = ExampleColumns([e.prompt for e in lesson], [e.response for e in lesson], [ExampleLabels()] * len(lesson))
    for some in (lesson, held, lesson[-alike:]):
        assert reader.token_counts(some) == list(map(reader.tokens, some))
        assert reader.refusals(some) == list(map(reader.refuse, some))


class Choosy(Pocket):
    """Refuses more than pocket does, and says so of one example."""

    name = "choosy"

    def refuse(self, example: Example) -> str | None:
        return "alphabet" if "7" in example.prompt else super().refuse(example)

    def tokens(self, example: Example) -> int:
        return 2 * super().tokens(example)


def test_a_student_that_is_derived_is_asked_by_its_own_methods() -> None:
    lesson = [Example(prompt="7", response="7"), Example(prompt="8", response="8")]
    assert Choosy(**SMALL).refusals(lesson) == ["alphabet", None]
    assert Choosy(**SMALL).token_counts(lesson) == [6, 6]


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"student_args.width is 20; it must be a multiple of twice heads \(8\)"):
        Pocket(width=20)


if __name__ == "__main__":
    record = {"loss": curve().tolist(), "command": ".venv/bin/python -m tests.students.pocket.test_student"}
    GOLDEN.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
