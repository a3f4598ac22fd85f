"""Pictures from a task to a student, into the store, onto a row, and out again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv.analysis.export import export_run
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board
from dataenv.leaderboard.pictures import LISTED, PictureList, data_uris
from dataenv.leaderboard.play import play
from dataenv.leaderboard.report.tables import write_page
from dataenv.leaderboard.rows import Taught
from tasks import media
from tasks.media import album

SETTING: dict[str, Any] = {
    "task": "scenes",
    "student": "pocket-vlm",
    "student_args": {"width": 8, "blocks": 1},
    "warm_start": {"examples": 0},
    "recipe": {"updates": 2, "batch": 8},
    "lesson_size": 18,
    "items": {"feedback": 2, "selection": 2, "test": 2, "transfer": 4},
    "decoding": {"max_tokens": 1},
    "budget": {"student_tokens": 1_000},
}


def test_a_lesson_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has nothing but the store finds all that it is to see."""
    env = TeachingEnv("skill-list", store=str(tmp_path / "store"), **SETTING)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert all(media.has(error["media"]) for error in observation["errors"])
    env.step(np.ones(9, np.float32))
    state, lesson = env.state, env.runner.store.lesson(env.history[-1].lesson or "")
    assert all(env.runner.store.blobs.has(name) for example in lesson for name in example.media)
    before = env.runner.weights(state)
    env.close()
    for field, empty in (("_kept", type(album._kept)()), ("_size", 0)):
        monkeypatch.setattr(album, field, empty)
    runner = Runner(Store(tmp_path / "store"))
    runner.evict(state)
    assert runner.weights(state) == before, "rebuilt from the pictures in the store"


def test_a_student_that_reads_alone_is_refused() -> None:
    with pytest.raises(SettingError, match=r"task 'scenes' shows pictures, which student 'pocket' does not see; give"):
        TeachingEnv("skill-list", **SETTING | {"student": "pocket", "student_args": {}})


def test_a_row_holds_few_and_small_pictures() -> None:
    small = media.encode(np.zeros((4, 4, 3), np.uint8))
    large = media.encode(np.arange(128 * 128, dtype=np.uint16).reshape(128, 128).astype(np.uint8))
    room = PictureList()
    assert room.of([]) == room.of([large]) == {}
    assert sum(len(room.of([small])) for _ in range(2 * LISTED)) == LISTED
    held = Taught.model_validate({"prompt": "p", "response": "r", **PictureList().of([small, small])})
    assert data_uris(held.pictures) == ["data:image/png;base64," + base64.b64encode(small).decode()] * 2
    assert "pictures" not in Taught(prompt="p", response="r").model_dump(mode="json")


@pytest.mark.parametrize(
    "text", ["", "x", 'AAAA" onload="alert(1)', base64.b64encode(b"GIF89a").decode(), "javascript:alert(1)", "é"]
)
def test_a_row_holds_nothing_else(text: str) -> None:
    """Rows are sent by others: what is no picture does not get onto a page."""
    with pytest.raises(ValueError, match="a picture must be a canonical PNG of at most 16384 bytes, as base64"):
        Taught.model_validate({"prompt": "p", "response": "r", "pictures": [text]})


def test_a_board_of_pictures(tmp_path: Path) -> None:
    """Played, shown and exported: a person can judge what was taught."""
    fields = {"name": "p", "seeds": [0], "teachers": ["stratified"], "references": ["nothing", "question-only"]}
    runner = Runner(Store(tmp_path / "store"))
    rows = play(Board.model_validate(fields | {"setting": SETTING}), runner, tmp_path / "board")
    row = next(row for row in rows if row.teacher == "stratified")
    assert 0 < sum(len(e.pictures) for lesson in row.lessons for e in lesson.examples) <= LISTED
    assert any(mistake.pictures for mistake in row.mistakes)
    write_page(rows, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') > 4
    export_run(tmp_path / "board" / "rows" / "stratified--0.json", tmp_path / "out", runner)
    line = json.loads((tmp_path / "out/data.jsonl").read_text(encoding="utf-8").splitlines()[0])
    png = (tmp_path / "out" / line["images"][0]).read_bytes()
    assert media.keep(png) == line["media"][0]
