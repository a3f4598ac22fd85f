"""The pre-trained pocket student: its file, and that it is ``pocket`` with other tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataenv import SettingError
from dataenv.setting import make_setting
from students.base import Data, Decoding, Recipe, asked
from students.pocket.student import untaught
from students.training.loop import unpack_arrays
from students.word_lm.student import PRETRAINED, Pretrained, WordLm, read_pretrained
from tasks.records import Example, stream
from tasks.words import Words

WORDS = ("7", "8", "has", "more", "nuts", "one", "tom", "what", ".", "?")
RECIPE = Recipe(updates=40, batch=4, rate=1e-2)
LESSON = tuple(
    Example(prompt=f"tom has {n} nuts. {x}?", response=a)
    for n, x, a in (("7", "more", "8"), ("8", "what", "nuts"), ("7", "one", "one more"), ("8", "has", "tom has 8 nuts"))
)


def small(folder: Path, seed: int = 0) -> Path:
    """A file of a small model that knows nothing."""
    parameters = untaught(3 + len(WORDS), 16, 2, stream(seed, "weights"))
    Pretrained(parameters, WORDS, heads=2, context=16).write(folder / "small.safetensors")
    return folder / "small.safetensors"


def test_a_file_holds_what_half_precision_keeps(tmp_path: Path) -> None:
    first = untaught(3 + len(WORDS), 16, 2, stream(0, "weights"))
    found = read_pretrained(small(tmp_path))
    assert (found.words, found.heads, found.context) == (WORDS, 2, 16)
    assert set(found.parameters) == set(first)
    for name, value in found.parameters.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, first[name], rtol=1e-3, atol=1e-7)
    found.write(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == small(tmp_path).read_bytes()


def test_it_begins_with_the_weights_of_the_file_for_every_seed(tmp_path: Path) -> None:
    student = WordLm(str(small(tmp_path)))
    assert student.initial(0) == student.initial(1)
    parameters, moments = unpack_arrays(student.initial(0))
    assert not moments
    held = read_pretrained(small(tmp_path)).parameters
    assert all(np.array_equal(value, held[name]) for name, value in parameters.items())


def test_the_fingerprint_names_the_content_and_not_the_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    student = WordLm(str(small(here)))
    assert WordLm(str(small(there))).fingerprint == student.fingerprint
    assert WordLm(str(small(there, seed=1))).fingerprint != student.fingerprint


def test_it_learns_and_answers_in_words(tmp_path: Path) -> None:
    student = WordLm(str(small(tmp_path)))
    weights, trained = student.fit(student.initial(0), Data(LESSON), RECIPE, seed=0)
    assert trained.loss[1] < 0.2 < trained.loss[0]
    said = student.answer(weights, asked([e.prompt for e in LESSON]), Decoding(max_tokens=6), seed=0)
    assert said == [e.response for e in LESSON]


def test_torch_computes_the_same(tmp_path: Path) -> None:
    path = str(small(tmp_path))
    losses = [model.losses(model.initial(0), LESSON) for model in (WordLm(path), WordLm(path, backend="torch"))]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_export_answers_as_the_student_does(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = WordLm(str(small(tmp_path)))
    weights, _ = student.fit(student.initial(0), Data(LESSON), RECIPE, seed=0)
    student.export(weights, tmp_path / "folder")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "folder")
    for example in LESSON:
        ids = tokenizer(example.prompt, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=6, do_sample=False)
        assert tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True) == example.response


@pytest.mark.parametrize(
    ("prompt", "response", "reason"),
    [
        ("TOM has 7 nuts.", "8", None),
        ("ann has 7 nuts.", "8", "alphabet"),
        ("tom has 7 nuts.", "9", "alphabet"),
        ("tom " * 13, "8 8", None),
        ("tom " * 14, "8 8", "length"),
    ],
)
def test_what_it_cannot_read_is_refused(tmp_path: Path, prompt: str, response: str, reason: str | None) -> None:
    assert WordLm(str(small(tmp_path))).refuse(Example(prompt=prompt, response=response)) == reason


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "bit", "words"])
def test_a_file_that_is_not_whole_is_one_sentence(tmp_path: Path, damage: str) -> None:
    path = small(tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-40])
    elif damage == "text":
        path.write_text("weights", encoding="utf-8")
    elif damage == "bit":
        data[-1] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(data.replace(b"nuts", b"nets"))
    setting = make_setting({"task": "words", "student": "word-lm", "student_args": {"path": str(path)}})
    said = {"missing": "is no file", "bit": "is damaged", "words": "is damaged"}.get(damage, "did not write")
    with pytest.raises(SettingError, match=said) as refused:
        _ = setting.built_student
    assert "student_args.path" in str(refused.value)


def test_the_file_that_comes_along_reads_every_problem() -> None:
    student, task = WordLm(), Words()
    assert PRETRAINED.stat().st_size <= 2_500_000
    for name in ("feedback", "transfer"):
        problems = task.split(name)  # type: ignore[arg-type]
        assert {student.refuse(Example(prompt=p.prompt, response=p.answer)) for p in problems} == {None}
