"""``discover`` and what becomes of its file in a Setting and an environment."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import dataenv
from dataenv import registry
from dataenv.discovery.discover import DiscoveryScene, Found, discover
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError, SnapshotError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board
from dataenv.setting import Setting, make_setting
from dataenv.vector.simulated import SimulatedVectorEnv
from tasks.discovered import Discovery
from teachers.stat_sel import StatSel
from tests.toys import OTHER, PLENTY, TOY_BOARD, Plenty, found

pytestmark = pytest.mark.usefixtures("toys")


class ByLength:
    """Knows the two skills of the toy; one item is of a third, and every seventh of none."""

    name = "by-length"

    def __init__(self, rare: str = "rare") -> None:
        self.rare = rare

    def discover(self, scene: DiscoveryScene) -> Found:
        assert not any(e.skills for e in (*scene.items, *scene.others)), "no discoverer is told the task's own skills"
        prompts = {e.prompt for e in scene.items}
        assert len(prompts) == len(scene.items)
        assert not prompts & {e.prompt for e in scene.others}
        labels = [None if i % 7 == 6 else int(len(e.prompt) > 4) for i, e in enumerate(scene.items)]
        labels[0] = 2
        return Found(skills=("brief words", "lengthy words", self.rare), labels=tuple(labels), counts={"odd": 3})


@pytest.fixture
def by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.DISCOVERERS, "by-length", f"{__name__}:ByLength")
    monkeypatch.setattr(registry, "build", _build(registry.build))


def _build(build: Any) -> Any:
    return lambda kind, name, args=None: ByLength(**(args or {})) if name == "by-length" else build(kind, name, args)


def write(path: Path, discovery: Discovery | None = None) -> str:
    path.write_text((discovery or found(Plenty())).model_dump_json(indent=1), encoding="utf-8")
    return str(path)


@pytest.mark.usefixtures("by_length")
def test_discover_drops_what_cannot_be_measured_and_says_how_well_the_rest_agrees() -> None:
    made = discover(make_setting(PLENTY), "by-length", {}, Runner(Store()), items=150, least=3, seed=1)
    assert made.skills == ("brief words", "lengthy words")
    assert made.counts == {"items": 150, "labelled": 128, "skills dropped": 1, "odd": 3}
    assert len(made.items) == 128
    assert {name: (q.ami, q.n) for name, q in made.quality.items()} == {"labelled": (1.0, 128), "rule": (1.0, 20)}
    assert {len(prompt) for prompt in made.examples["brief words"]} == {4}
    again = discover(make_setting(PLENTY), "by-length", {}, Runner(Store()), items=150, least=3, seed=1)
    assert again == made
    assert discover(make_setting(PLENTY), "by-length", {}, Runner(Store()), items=150, least=3).items != made.items


@pytest.mark.usefixtures("by_length")
@pytest.mark.parametrize(
    ("fields", "given", "says"),
    [
        ({}, {"least": 11}, "of 3 skills that were discovered fewer than two have 11 problems in every split"),
        ({}, {"items": 1}, "items is 1; give 2 or more"),
        ({}, {"by": "los"}, "discoverer 'los' is not registered; did you mean 'loss'"),
        ({}, {"by": "text", "args": {"skill": 1}}, "discoverer_args of discoverer 'text' do not fit"),
        ({"skills": "FILE"}, {}, "leave it out to discover others"),
    ],
)
def test_what_cannot_be_discovered(tmp_path: Path, fields: dict[str, Any], given: dict[str, Any], says: str) -> None:
    fields = {name: write(tmp_path / "s.json") for name in fields}
    arguments: dict[str, Any] = {"by": "by-length", "args": {}, "runner": Runner(Store())} | given
    with pytest.raises(SettingError, match=says):
        discover(make_setting(PLENTY | fields), **arguments)


def test_one_argument_makes_the_environment_speak_of_the_discovered_skills(tmp_path: Path) -> None:
    path = write(tmp_path / "skills.json")
    for engine in ("procedural", "pool"):
        env = gym.make("dataenv/SkillList-v0", skills=path, engine=engine, **PLENTY | {"student": "apprentice"})
        observation, _ = env.reset(seed=0)
        assert {error["skill"] for error in observation["errors"]} == set(OTHER.values())
        observation, *_, info = env.step(np.array([0, 1], np.float32))
        assert observation["counts"].tolist() == [0, info["kept"]]
        inner: Any = env.unwrapped
        lesson = inner.runner.store.lesson(inner.snapshot().lessons[-1])
        assert {(e.skills, len(e.prompt)) for e in lesson} == {(("lengthy words",), 6)}
        json.dumps(env.spec.kwargs if env.spec else None)


def test_the_same_labels_teach_the_same_under_other_names(tmp_path: Path) -> None:
    """With every label right the episode is the one under the task's own skills, seed by seed."""
    fields = PLENTY | {"student": "apprentice", "budget": {"student_tokens": 1500}}
    scores = []
    for more in ({}, {"skills": write(tmp_path / "skills.json")}):
        env = TeachingEnv("skill-list", runner=Runner(Store()), **fields, **more)
        episode = dataenv.run(env, lambda observation: np.array([0.2, 0.8]), seed=3)
        shares = Counter(dict.fromkeys(env.task.skills, 0))
        for step in episode.steps[1:]:
            shares.update(dict(zip(env.task.skills, step.mixture or (), strict=True)))
        scores.append([round(share, 6) for share in shares.values()])
        assert all(step.selection.n == (4, 4) for step in episode.steps)
    assert scores[0] == scores[1]


def test_a_setting_is_named_by_what_the_file_holds_and_not_by_where_it_lies(tmp_path: Path) -> None:
    here, there = write(tmp_path / "a.json"), write(tmp_path / "b.json")
    plain = make_setting(PLENTY)
    assert "skills" not in plain.model_dump(mode="json")
    one, same = make_setting(PLENTY | {"skills": here}), make_setting(PLENTY | {"skills": there})
    assert one.digest == same.digest != plain.digest
    env = TeachingEnv("skill-list", runner=Runner(Store()), setting=one)
    env.reset(seed=0)
    items = dict(found(Plenty()).items)
    items[next(iter(items))] = "lengthy words"
    write(Path(there), found(Plenty(), items=items))
    changed = make_setting(PLENTY | {"skills": there})
    assert changed.digest != one.digest
    assert changed.built_task.fingerprint != one.built_task.fingerprint
    assert changed.built_task.sealed == one.built_task.sealed
    with pytest.raises(SnapshotError, match=r"snapshot\.setting differs"):
        TeachingEnv("skill-list", runner=env.runner, setting=changed).reset(options={"snapshot": env.snapshot()})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read .*; make the file with `dataenv discover`"),
        ("{", "is no discovery"),
        ('{"task": "plenty"}', "method is missing or wrong"),
        (found(Plenty(), task="lego").model_dump_json(), "are those of task 'lego', and this is 'plenty'"),
        (found(Plenty(), items={"0" * 16: "brief words", "1" * 16: "lengthy words"}).model_dump_json(), "are not in"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(SettingError, match=says) as refused:
        TeachingEnv("skill-list", **PLENTY, skills=str(tmp_path / "s.json"))
    assert "\n" not in str(refused.value)


def test_curves_of_the_tasks_own_skills_refuse_others(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^skills is '.*'; the vector of simulated students takes '' alone"):
        SimulatedVectorEnv(2, setting=Setting(student="simulated", skills=write(tmp_path / "s.json")))


def test_a_file_of_questions_without_skills_is_given_some(tmp_path: Path) -> None:
    """One's own benchmark: no skill column, no generator, and nothing to compare with."""
    rows = [
        {"question": f"{a} {sign} {b} =", "answer": a}
        for a in range(10, 40)
        for b in range(5)
        for sign in ("+", "times")
    ]
    (tmp_path / "eval.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    fields = PLENTY | {"task": f"jsonl:{tmp_path / 'eval.jsonl'}", "task_args": {"natural": False}, "engine": "pool"}
    fields |= {"budget": {"student_tokens": 1500}}
    made = discover(make_setting(fields), "text", {"skills": 2}, Runner(Store()), items=80)
    assert (made.task, made.quality, len(made.skills)) == ("jsonl", {}, 2)
    env = TeachingEnv("skill-list", runner=Runner(Store()), skills=write(tmp_path / "skills.json", made), **fields)
    episode = dataenv.run(env, StatSel(), seed=0)
    assert episode.steps[1].kept == 8
    assert {len(step.selection.n) for step in episode.steps} == {2}
    assert len({problem.skills for problem in env.task.split("test") if "times" in problem.prompt}) == 1


def test_a_board_under_discovered_skills_is_another_board(tmp_path: Path) -> None:
    """Other labels under the same name of a file: rows of before are not taken for rows of now."""
    path = write(tmp_path / "skills.json")
    fields = TOY_BOARD["setting"] | {"task": "plenty", "skills": path}
    weights = {"seeds": [7], "weights": {"plain": {}, "lengthy-alone": {"brief words": 0}}}
    board = Board.model_validate(TOY_BOARD | {"setting": fields, "mixtures": weights})
    rows = playing.play(board, Runner(Store()), tmp_path / "board")
    assert {row.skills for row in rows} == {tuple(OTHER.values())}
    assert {row.hashes["task"] for row in rows} == {board.setting.built_task.fingerprint}
    assert rows[0].test is not None
    assert rows[0].test.n == (5, 5)
    items = dict(found(Plenty()).items)
    items[next(iter(items))] = "lengthy words"
    write(Path(path), found(Plenty(), items=items))
    again = Board.model_validate(board.model_dump(mode="json"))
    with pytest.raises(SettingError, match="task version changed"):
        playing.play(again, Runner(Store()), tmp_path / "board")
