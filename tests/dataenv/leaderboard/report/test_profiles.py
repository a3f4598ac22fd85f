"""Missing-skill profiles as they are shown: escaped on the page and capped, in the CSV, and by their command."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from dataenv.cli import main
from dataenv.episode.profiles import SkillProfile
from dataenv.leaderboard.report import profiles as shown
from dataenv.leaderboard.report.page import render
from dataenv.leaderboard.report.tables import write_csv
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.summary import summarise
from tests.dataenv.leaderboard.synthetic import HOSTILE, SKILLS, make_row


def told(step: int, diagnoser: str, used: bool = True, **missing: float) -> dict[str, Any]:
    ids = [f"feedback/{i}" for i in range(4)]
    lacks = {name: list(missing)[:1] for name in ids} if step == 0 else {}
    plain = {"step": step, "diagnoser": diagnoser, "used": used, "problems": 4, "missing": missing, "lacks": lacks}
    return SkillProfile.model_validate(plain).model_dump(mode="json")


def board() -> list[dict[str, Any]]:
    two = [told(0, "chat", hash=3, sort=1), told(0, "task", used=False, sort=2), told(1, "chat", hash=1)]
    rows = [make_row("stat-sel", seed) | {"profiles": two} for seed in (0, 1)]
    return rows + [make_row("stratified", seed) for seed in (0, 1)]


def test_the_page_and_the_csv_hold_the_head_of_each_profile(tmp_path: Path) -> None:
    rows = board()
    page = render([Row.model_validate(row) for row in rows], summarise(rows))
    assert "Missing skills" in page
    assert "hash 75.0, sort 25.0" in page
    assert "task, not taught by" in page
    assert "0/8 (0.0 %) of what the first says" in page
    write_csv(rows, tmp_path / "x.csv")
    lines = {line["teacher"]: line for line in csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8"))}
    assert (lines["stat-sel"]["missing_1"], lines["stat-sel"]["missing_1_share"]) == ("hash", "0.75")
    assert (lines["stat-sel"]["missing_3"], lines["stratified"]["missing_1"]) == ("", "")


def test_a_board_without_profiles_shows_and_names_none(tmp_path: Path) -> None:
    rows = [make_row("stratified", seed) for seed in (0, 1)]
    assert "Missing skills" not in render([Row.model_validate(row) for row in rows], summarise(rows))
    write_csv(rows, tmp_path / "x.csv")
    assert "missing_1" not in (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert "profiles" not in summarise(rows).model_dump_json()


def test_names_are_inert_and_lines_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, missing = board(), {name: 1.0 for name in HOSTILE if "\ud800" not in name}
    rows[0]["profiles"] = [{"step": 0, "diagnoser": HOSTILE[0], "problems": 9, "missing": missing}]
    page = render([Row.model_validate(row) for row in rows], summarise(rows))
    assert "<script>" not in page
    assert "\x1b" not in page
    monkeypatch.setattr(shown, "LINES", 1)
    report = summarise(rows).profiles
    assert report is not None
    cut = shown.for_page(report)
    everything = sum(map(len, report.teachers.values())) + len(report.overlaps)
    assert (len(cut["lines"]), len(cut["pairs"]), cut["left"]) == (1, 1, everything - 2)


def test_the_command_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "rows").mkdir()
    for row in board():
        path = tmp_path / "rows" / f"{row['teacher']}--{row['seed']}.json"
        path.write_text(json.dumps(row), encoding="utf-8")

    def said(*words: str, code: str = "0") -> Any:
        monkeypatch.setattr("sys.argv", ["dataenv", "profiles", *words])
        with pytest.raises(SystemExit, match=code):
            main()
        return capsys.readouterr()

    out = said(str(tmp_path)).out
    assert "hash 75.0" in out
    assert "stat-sel (task)" in out
    found = json.loads(said(str(tmp_path), "--top", "1", "--json").out)
    first = found["overlaps"][0]
    assert (first["one"], first["other"], first["top"], first["skills"]) == (
        "stat-sel (chat)",
        "stat-sel (task)",
        1,
        len(SKILLS),
    )
    for row in board()[2:]:
        (tmp_path / "none" / "rows").mkdir(parents=True, exist_ok=True)
        (tmp_path / "none" / "rows" / f"stratified--{row['seed']}.json").write_text(json.dumps(row), encoding="utf-8")
    assert "hold no profile; play a teacher that makes one" in said(str(tmp_path / "none"), code="2").err
