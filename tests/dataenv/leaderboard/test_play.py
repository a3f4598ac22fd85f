"""A board: rows that re-execute, a second time for nothing, configurations read strictly."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dataenv
from dataenv.analysis.export import export_run
from dataenv.environment.env import TeachingEnv
from dataenv.environment.steps import Tally
from dataenv.episode.loop import run
from dataenv.errors import StoreError
from dataenv.execution.executors import Processes
from dataenv.execution.inline import Inline
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.leaderboard import play as playing
from dataenv.leaderboard.config import Board, built_in, load
from dataenv.leaderboard.report.tables import write_csv, write_page
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.runs import Run, search_runs
from dataenv.leaderboard.trackers import Tracker
from dataenv.registry import build
from dataenv.setting import Setting, make_setting
from students.base import TrainingDivergedError
from tests import weird
from tests.benchmark_files import stat_math_files
from tests.tiny import TINY
from tests.toys import TOY_BOARD, Apprentice, Reverse

TOML: dict[str, Any] = {
    "name": "tiny",
    "seeds": [0, 1],
    "teachers": ["stratified", {"name": "failure", "args": {"alpha": 2.0}, "label": "failure-2"}],
    "mixtures": {"seeds": [7], "weights": {"plain": {}, "no-hash": {"hash": 0}}},
    "setting": TINY,
}


def play(folder: Path, store: Path, **changes: Any) -> tuple[list[Row], Runner]:
    runner = Runner(Store(store))
    return playing.play(Board.model_validate(TOML | changes), runner, folder), runner


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    home = tmp_path_factory.mktemp("board")
    rows, runner = play(home / "a", home / "store")
    assert runner.trained > 0
    write_page(rows, home / "a" / "leaderboard.html")
    write_csv(rows, home / "a" / "leaderboard.csv")
    return home, rows


def test_every_teacher_and_reference_has_a_row_a_seed(played: tuple[Path, list[Row]]) -> None:
    home, rows = played
    names = {"stratified", "failure-2", "nothing", "format-only", "joint", "joint-x4", "static-best"}
    assert {(row.teacher, row.seed) for row in rows} == {(name, seed) for name in names for seed in (0, 1)}
    written = [Row.model_validate_json(path.read_bytes()) for path in sorted((home / "a" / "rows").glob("*.json"))]
    assert written == sorted(rows, key=lambda row: f"{row.teacher}--{row.seed}")


def test_the_second_time_trains_nothing_and_writes_the_same_bytes(played: tuple[Path, list[Row]]) -> None:
    home, _ = played
    rows, runner = play(home / "b", home / "store")
    write_page(rows, home / "b" / "leaderboard.html")
    write_csv(rows, home / "b" / "leaderboard.csv")
    assert runner.trained == 0
    first = sorted(path.relative_to(home / "a") for path in (home / "a").rglob("*") if path.is_file())
    assert first == sorted(path.relative_to(home / "b") for path in (home / "b").rglob("*") if path.is_file())
    assert all((home / "a" / path).read_bytes() == (home / "b" / path).read_bytes() for path in first)


def test_processes_write_the_same_rows(played: tuple[Path, list[Row]]) -> None:
    home, rows = played
    executor = Processes(2)
    try:
        runner = Runner(Store(home / "other"), executor)
        again = playing.play(Board.model_validate(TOML), runner, home / "c")
    finally:
        executor.close()
    assert again == rows


def test_a_row_re_executes(played: tuple[Path, list[Row]]) -> None:
    _, rows = played
    row = next(row for row in rows if row.teacher == "failure-2" and row.seed == 1)
    setting = make_setting(json.loads(row.model_dump_json())["setting"])
    env = TeachingEnv(row.level, store="off", **setting.model_dump(mode="json"))
    episode = run(env, build("teacher", row.registered, row.teacher_args), row.seed)
    assert [step.state for step in episode.steps] == [step.state for step in row.steps]
    assert env.setting.digest == row.setting_digest


def test_joint_spends_the_same_purse_and_four_times_it(played: tuple[Path, list[Row]]) -> None:
    _, rows = played
    spent = {(row.teacher, row.seed): row.budget.spent for row in rows}
    purse = TINY["budget"]["student_tokens"]
    for seed in (0, 1):
        assert spent["nothing", seed] == 0
        assert 0.9 * purse < spent["joint", seed] <= purse
        assert 3.9 * purse < spent["joint-x4", seed] <= 4 * purse
        assert 0.9 * purse < spent["stratified", seed] <= purse


def test_all_teachers_of_a_seed_start_from_one_untaught_student(played: tuple[Path, list[Row]]) -> None:
    _, rows = played
    for seed in (0, 1):
        assert len({row.steps[0].state for row in rows if row.seed == seed}) == 1
    assert len({row.steps[0].state for row in rows}) == 2


def test_a_run_whose_training_diverges_stays_on_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from students.pocket.student import Pocket

    sound = Pocket.fit

    def sometimes(self: Pocket, weights: bytes, data: Any, recipe: Any, seed: int) -> Any:
        if recipe.updates == TINY["recipe"]["updates"]:
            raise TrainingDivergedError("the loss became nan at update 2; lower recipe.rate")
        return sound(self, weights, data, recipe, seed)

    monkeypatch.setattr(Pocket, "fit", sometimes)
    rows, _ = play(tmp_path / "a", tmp_path / "store", references=["nothing"])
    failed = [row for row in rows if row.role == "teacher"]
    assert all(row.failed and row.error and "lower recipe.rate" in row.error for row in failed)
    assert all(not row.failed for row in rows if row.teacher == "nothing")
    assert all(len(row.steps) == 1 for row in failed)
    write_page(rows, tmp_path / "page.html")


def test_a_mixture_that_diverges_is_not_the_best_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataenv.environment.env import TeachingEnv as Env
    from dataenv.errors import JobFailedError

    sound = Env.step

    def sometimes(self: Env, action: Any) -> Any:
        if action[-1] == 0 and self.snapshot().seed == 7:
            raise JobFailedError("training diverged: the loss became nan; lower recipe.rate")
        return sound(self, action)

    monkeypatch.setattr(Env, "step", sometimes)
    rows, _ = play(tmp_path / "a", tmp_path / "store", references=["nothing", "static-best"])
    assert len(rows) == 8


CURVES = {"plain": (0, 9, 5), "long-alone": (0, 0, 10)}
"""Right selection answers of two mixtures, at three moments of the purse."""


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(("primary", "chosen"), [("final", "long-alone"), ("area", "plain")])
def test_the_best_mixture_is_best_by_the_primary_outcome(
    primary: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play_as_told(planned: Run, *_: Any) -> Any:
        tallies = [Tally(correct=(k, k), n=(10, 10)) for k in CURVES[planned.label]]
        steps = [SimpleNamespace(spent=600 * i, selection=tally) for i, tally in enumerate(tallies)]
        return SimpleNamespace(steps=steps)

    monkeypatch.setattr(playing, "_play", play_as_told)
    monkeypatch.setattr(playing, "_forget", lambda *_, **__: None)
    board, runner = Board.model_validate(TOY_BOARD | {"primary": primary}), Runner(Store(None))
    search = search_runs(board)
    found = playing._best_static(
        board, search, [playing._worth(planned, board, runner, Tracker()) for planned in search]
    )
    assert {str(planned.args["weights"]) for planned in found} == {str(board.mixtures.weights[chosen])}


def test_export_writes_the_data_and_a_student_that_transformers_loads(played: tuple[Path, list[Row]]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    home, rows = played
    row = next(row for row in rows if row.teacher == "stratified" and row.seed == 0)
    runner = Runner(Store(home / "store"))
    n = export_run(home / "a" / "rows" / "stratified--0.json", home / "exported", runner)
    lines = [json.loads(line) for line in (home / "exported" / "data.jsonl").read_text().splitlines()]
    assert len(lines) == n == sum(step.kept for step in row.steps[: row.selected + 1])
    model = AutoModelForCausalLM.from_pretrained(home / "exported" / "student", trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(home / "exported" / "student")
    prompt = Setting.model_validate(TINY).exam_items("test")[0].prompt
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    assert ids.shape[1] == len(prompt)
    assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > len(prompt)


def test_export_of_what_is_no_row_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    runner = Runner(Store(None))
    with pytest.raises(dataenv.SettingError, match="is no row of a board"):
        export_run(tmp_path / "x.json", tmp_path / "out", runner)
    with pytest.raises(dataenv.SettingError, match="cannot be read"):
        export_run(tmp_path / "absent.json", tmp_path / "out", runner)


@pytest.mark.parametrize("name", sorted(built_in()))
def test_shipped_boards_are_sound(name: str, tmp_path: Path) -> None:
    board = load(name, stat_math_files(tmp_path, 100, 100) if name == "stat-math" else {})  # it names files of the hub
    assert board.name == name
    skills = set(board.setting.built_task.skills)
    for weights in board.mixtures.weights.values():
        assert set(weights) <= skills
    if name == "quick":
        assert len(board.seeds) >= 6


def test_a_board_like_another_has_its_setting_but_for_what_it_says() -> None:
    words, stat, forget = (load(name) for name in ("words", "words-stat", "words-stat-forget"))
    assert stat.setting.digest == words.setting.digest
    assert (stat.primary, stat.curve_points) == (words.primary, words.curve_points)
    assert words.setting.recipe.replay > 0
    recipe = words.setting.recipe.model_copy(update={"replay": 0.0})
    assert forget.setting.digest == words.setting.changed(recipe=recipe).digest
    assert (forget.primary, stat.seeds) == (words.primary, words.seeds)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'\nlike = 'wrods'\nseeds = [0]\nteachers = ['stratified']", "is no other .*mean 'words'"),
        ("name = 'x'\nlike = 3\nseeds = [0]\nteachers = ['stratified']", "like is 3, which is no other board"),
        ("name = 'x'\nteachers = ['stratified']", "seeds is missing; add it"),
        ("name = '../x'\nseeds = [0]\nteachers = ['stratified']\nreferences = ['nothing']", "name is '../x'"),
        (
            "name = 'x'\nseeds = [0, 0]\nteachers = ['stratified']\nreferences = ['nothing']",
            "seeds hold one seed twice",
        ),
        ("name = 'x'\nseeds = [0]\nteachers = ['failure']\nreferences = ['nothing']", "lack 'stratified'"),
        (
            "name = 'x'\nseeds = [0]\nteachers = ['stratified', 'stratified']\nreferences = ['nothing']",
            "'stratified' twice",
        ),
        ("name = 'x'\nsedes = [0]\nseeds = [0]\nteachers = ['stratified']", "sedes is no field; did you mean seeds"),
        (
            "name = 'x'\nseeds = [0]\nteachers = ['stratified', 'ghost']\nreferences = ['nothing']",
            "teacher 'ghost' is not",
        ),
        ("name = 'x'\nseeds = [0]\nteachers = ['stratified']\nreferences = []", "references lack 'nothing'"),
        ("name = 'x'\nseeds = [100]\nteachers = ['stratified']\nmixtures.weights.a = {}", "overlap"),
        ("name = 'x'\nseeds = [0]\nteachers = ['stratified']", "not given, so they hold 'static-best', and mixtures"),
        ("name = 'x'\nseeds = [0]\nteachers = ['stratified']\nmixtures.weights.a = {hsah = 1}", "did you mean hash"),
        ("name = ", "is no TOML"),
    ],
)
def test_a_board_file_with_a_mistake_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "b.toml"
    path.write_text(text)
    with pytest.raises(dataenv.SettingError, match=words) as caught:
        load(str(path))
    assert "\n" not in str(caught.value).rstrip()
    assert "{'" not in str(caught.value)


def test_a_board_that_is_not_there() -> None:
    with pytest.raises(dataenv.SettingError, match=r"board 'quik' is unknown; did you mean 'quick'\?"):
        load("quik")
    with pytest.raises(dataenv.SettingError, match=r"the path of a \.toml file"):
        load("eval.jsonl")
    with pytest.raises(dataenv.SettingError, match="cannot be read"):
        load("absent.toml")


# --- somebody else's code ---------------------------------------------------------------------------------------------


def weird_board(teachers: list[str], **changes: Any) -> Board:
    setting = TOY_BOARD["setting"] | {"budget": {"student_tokens": 700}}
    fields = {"name": "weird", "seeds": [0], "teachers": ["stratified", *teachers], "references": ["nothing"]}
    return Board.model_validate(fields | {"setting": setting} | changes)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_board_ends_with_a_row_of_every_teacher_whatever_they_do(tmp_path: Path, executor: str) -> None:
    weird.LoopsForGood.until = time.monotonic() + 60
    board = weird_board([f"tests.weird:{kind.__name__}" for kind in (*weird.FAILS, *weird.ENDS)])
    width = Inline() if executor == "inline" else Wide()
    rows = playing.play(board, Runner(Store(tmp_path / "store"), width), tmp_path / "a", act_deadline=1.0)
    weird.LoopsForGood.until = 0.0
    found = {row.teacher: row for row in rows}
    assert len(found) == len(weird.FAILS) + len(weird.ENDS) + 2
    for kind, words in weird.FAILS.items():
        row = found[kind.__name__]
        assert row.failed
        assert re.search(words, row.error or ""), row.error
        assert "\n" not in (row.error or "")
    assert all(not found[kind.__name__].failed for kind in weird.ENDS)
    assert not found["stratified"].failed
    assert len(list((tmp_path / "a" / "rows").glob("*.json"))) == len(rows)
    write_page(rows, tmp_path / "page.html")


class Wide(Inline):
    """This process, and two jobs at once: episodes are played in threads."""

    width = 2


class Broken(Apprentice):
    """Knows what its name tells not to do."""

    def __init__(self, **args: Any) -> None:
        super().__init__(**args)
        self.wrong = args["wrong"]

    def answer(self, weights: bytes, asked: Any, decoding: Any, seed: int) -> list[str]:
        return super().answer(weights, asked, decoding, seed)[self.wrong == "few" :]

    def fit(self, weights: bytes, data: Any, recipe: Any, seed: int) -> Any:
        if self.wrong == "raises":
            raise IndexError("in fit")
        if self.wrong == "leaves":
            raise SystemExit(0)
        after, report = super().fit(weights, data, recipe, seed)
        return after, report.model_copy(update={"tokens": 0} if self.wrong == "nothing" else {})

    def refuse(self, example: Any) -> str | None:
        if self.wrong == "refuses" and example.origin != "reverse":
            raise LookupError("in refuse")
        return super().refuse(example)

    def tokens(self, example: Any) -> int:
        return 0 if self.wrong == "counts" and example.response else super().tokens(example)


BROKEN = {
    "few": r"student 'apprentice' gives \d+ answers to \d+ prompts of the feedback exam; give one text for each",
    "raises": r"IndexError: in fit \(test_play\.py:\d+ in fit\)",
    "leaves": r"SystemExit: 0 \(test_play\.py:\d+ in fit\)",
    "nothing": "training took 0 student tokens and",
    "refuses": r"LookupError: in refuse \(test_play\.py:\d+ in refuse\)",
    "counts": r"tokens\(\) of student 'apprentice' is 0; give a whole number of at least 1",
}


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("wrong", BROKEN)
def test_a_broken_student_leaves_failed_rows_and_a_mixture_search_too(tmp_path: Path, wrong: str) -> None:
    setting = TOY_BOARD["setting"] | {"student": f"{__name__}:Broken", "student_args": {"wrong": wrong}}
    mixtures = TOY_BOARD["mixtures"]
    board = weird_board([], setting=setting, references=["nothing", "static-best"], mixtures=mixtures)
    rows = playing.play(board, Runner(Store(tmp_path / "store")), tmp_path / "a")
    assert {row.teacher for row in rows} == {"stratified", "nothing", "static-best"}
    for row in rows:
        if row.teacher != "nothing" or wrong == "few":
            assert re.search(BROKEN[wrong], row.error or ""), row.error


class Judgeless(Reverse):
    """A checker that cannot judge."""

    def judges(self, examples: Any) -> list[bool | None]:
        raise ArithmeticError("in judges")


@pytest.mark.usefixtures("toys")
def test_a_broken_checker_leaves_failed_rows(tmp_path: Path) -> None:
    board = weird_board([], setting=TOY_BOARD["setting"] | {"task": f"{__name__}:Judgeless"})
    rows = playing.play(board, Runner(Store(tmp_path / "store")), tmp_path / "a")
    errors = {row.teacher: row.error for row in rows}
    assert errors["nothing"] is None
    assert re.search(r"ArithmeticError: in judges \(test_play\.py:\d+ in judges\)", errors["stratified"] or "")


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("error", [StoreError("cannot be written"), KeyboardInterrupt()])
def test_a_store_that_fails_and_ctrl_c_end_the_board(tmp_path: Path, error: BaseException) -> None:
    runner = Runner(Store(tmp_path / "store"))
    with pytest.MonkeyPatch.context() as patch:

        def fails(*_: Any) -> Any:
            exec(compile("raise error", playing.__file__, "exec"), {"error": error})  # as from a file of ours

        patch.setattr(runner, "_commit", fails)
        with pytest.raises(type(error)):
            playing.play(weird_board([]), runner, tmp_path / "a")
    assert not list((tmp_path / "a" / "rows").glob("stratified*"))
