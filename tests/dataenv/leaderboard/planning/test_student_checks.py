"""What ``validate`` asks of a student: all prompts and all golds, by its own tokens."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.planning.student_checks import cautions, fits, golds
from dataenv.leaderboard.planning.validate import examine
from dataenv.leaderboard.play import play
from dataenv.setting import Setting, make_setting
from students.base import Asked, Decoding
from tasks.records import Example
from tests.tiny_lm import TEMPLATE, save_tiny
from tests.toys import TOY_BOARD, Apprentice, write_toml

LONG, MARKED = 77, 150
"""Rows that are spoilt, between those that a sample of 25 looks at."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"))


def rows(folder: Path, **spoilt: Mapping[int, str]) -> Path:
    """A file of 900 sums; ``question`` or ``answer`` of some replaced."""
    file = folder / "rows.jsonl"
    items = [{"question": f"Q: {k // 30:02d} + {k % 30:02d} =", "answer": str(k // 30 + k % 30)} for k in range(900)]
    for column, changes in spoilt.items():
        for k, text in changes.items():
            items[k][column] = text
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    return file


def setting_of(file: Path, model: Path, **changes: Any) -> Setting:
    args = {"path": str(model), "context": 96, "rank": 4, **changes.pop("student_args", {})}
    task = {"path": str(file), "natural": False, "checker": "exact", **changes.pop("task_args", {})}
    fields = {"task": "jsonl", "task_args": task, "engine": "pool", "student": "causal-lm", "student_args": args}
    return make_setting(fields | {"lesson_size": 8} | changes)


def held(setting: Setting, text: str) -> set[str]:
    """The exams that hold a question."""
    splits = ("feedback", "selection", "test", "transfer")
    return {split for split in splits if any(text in (p.prompt, p.answer) for p in setting.exam_items(split))}


def test_each_problem_that_does_not_fit_is_found(tmp_path: Path, model: Path) -> None:
    """Also one of 900, wherever it stands."""
    texts = {k: f"{k} " + "context " * 14 for k in range(0, 900, 90)} | {MARKED: "end<e> of turn"}
    setting = setting_of(rows(tmp_path, question=texts), model)
    said = {s.split(":")[0]: s for s in fits(setting) if s.startswith("setting.items")}
    for split in ("feedback", "selection", "test", "transfer"):
        prompts = [p.prompt for p in setting.exam_items(split)]  # type: ignore[arg-type]
        bad = [p for p in prompts if p.strip() in {text.strip() for text in texts.values()}]
        sentence = said.get(f"setting.items.{split}", "")
        assert bool(bad) == bool(sentence)
        if bad:
            assert f"cannot read {len(bad)} of {len(prompts)}, such as {bad[0][:40]!r}" in sentence
    assert any(said)


def test_the_longest_of_all_golds_decides_how_much_room_an_answer_needs(tmp_path: Path, model: Path) -> None:
    setting = setting_of(rows(tmp_path, answer={LONG: "7" * 20}), model, decoding={"max_tokens": 12})
    assert held(setting, "7" * 20)
    said = [sentence for sentence in golds(setting) if "max_tokens" in sentence]
    assert [sentence.partition(" has ")[2] for sentence in said] == ["20 tokens; give at least 20"]


@pytest.mark.parametrize(
    ("checker", "gold", "found"),
    [("exact", "naïve", True), ("exact", "naive", False), ("number", "42.0", False)],
)
def test_a_gold_that_the_tokens_cannot_hold_is_found(
    tmp_path: Path, model: Path, checker: str, gold: str, found: bool
) -> None:
    setting = setting_of(rows(tmp_path, answer={LONG: gold}), model, task_args={"checker": checker})
    assert held(setting, gold)
    said = [s for s in golds(setting) if s.startswith("setting.student")]
    assert len(said) == found
    for sentence in said:
        assert "change 1 of" in sentence
        assert "'naïve' to 'na<pad>ve', which the checker says is wrong; give another model" in sentence


def test_what_the_checker_forgives_is_no_finding(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that writes everything in small letters, and a checker that reads them so."""
    from students.causal_lm.student import CausalLM

    monkeypatch.setattr(CausalLM, "written", lambda self, response: response.lower())
    changed = dict.fromkeys(range(0, 900, 9), "Paris")
    strict = setting_of(rows(tmp_path, answer=changed), model, task_args={"checker": "exact", "fold_case": False})
    assert any("'Paris' to 'paris'" in s for s in golds(strict))
    lenient = setting_of(tmp_path / "rows.jsonl", model, task_args={"checker": "exact", "fold_case": True})
    assert not list(golds(lenient))


def test_a_caution_is_logged_and_nothing_is_refused(
    tmp_path: Path, toys: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Apprentice, "written", lambda self, response: response, raising=False)
    monkeypatch.setattr(Apprentice, "cautions", ["student_args.x: mind it"], raising=False)
    with caplog.at_level(logging.WARNING):
        assert examine(write_toml(tmp_path / "b.toml", TOY_BOARD)) == []
    assert [record.getMessage() for record in caplog.records] == ["setting.student_args.x: mind it"]


def test_arguments_with_which_a_template_writes_another_text_are_cautioned(tmp_path: Path) -> None:
    thinks = TEMPLATE.replace("{{ m['content'] }}", "{% if m['role'] == 'assistant' %}ok {% endif %}{{ m['content'] }}")
    folder, file = save_tiny(tmp_path / "thinks", template=thinks), rows(tmp_path)
    assert cautions(setting_of(file, folder)) == []
    (said,) = cautions(setting_of(file, folder, student_args={"template_args": {"add_generation_prompt": True}}))
    assert said.startswith("setting.student_args.template_args: what is taught is not the template's own text")


def test_problems_that_are_not_asked_are_counted_in_the_row(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words of three letters from n on are too long for this student."""

    def refuse(self: Apprentice, example: Example) -> str | None:
        return "length" if example.prompt[0] >= "n" and len(example.prompt) == 4 else None

    answered = Apprentice.answer

    def answer(self: Apprentice, weights: bytes, asked: list[Asked], decoding: Decoding, seed: int) -> list[str]:
        said = answered(self, weights, asked, decoding, seed)
        return ["" if self.refuse(Example(prompt=a.text, response="")) else s for a, s in zip(asked, said, strict=True)]

    monkeypatch.setattr(Apprentice, "refuse", refuse)
    monkeypatch.setattr(Apprentice, "answer", answer)
    board = Board.model_validate(TOY_BOARD)
    made = play(board, Runner(Store(None)), tmp_path)
    problems = {split: board.setting.exam_items(split) for split in ("test", "transfer")}  # type: ignore[arg-type]
    expected = {s: sum(p.prompt[0] >= "n" and len(p.prompt) == 4 for p in each) for s, each in problems.items()}
    assert expected["test"] > 0
    for row in made:
        assert row.test is not None
        assert row.transfer is not None
        assert (row.test.unasked, row.transfer.unasked) == (expected["test"], expected["transfer"])
