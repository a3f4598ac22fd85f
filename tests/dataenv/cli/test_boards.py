"""The commands of a board, in this process and on a toy: what they print, where, and how they end."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.leaderboard.metric import Metric
from dataenv.leaderboard.rows import Row
from dataenv.leaderboard.statistics.standings import Summary
from teachers.chat.scripted import Handler, Server, serving
from tests.toys import TOY_BOARD, write_toml
from tests.typed import Cli, Done


@pytest.fixture
def cli(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Runs a command in a folder where ``toy.toml`` is."""
    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Reverse")
    monkeypatch.setitem(registry.STUDENTS, "apprentice", "tests.toys:Apprentice")
    write_toml(tmp_path / "toy.toml", TOY_BOARD)
    return cli


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first board that was played is kept."""
    return tmp_path_factory.mktemp("once") / "runs"


@pytest.fixture
def played(cli: Cli, once: Path, tmp_path: Path) -> Path:
    """The folder of the toy board, played; its store is beside it."""
    if once.exists():
        shutil.copytree(once, tmp_path / "runs")
    else:
        assert play(cli, "--quiet").code == 0
        shutil.copytree(tmp_path / "runs", once)
    return tmp_path / "runs" / "toy"


def play(cli: Cli, *words: str) -> Done:
    return cli("leaderboard", "toy.toml", "--workers", "1", *words)


def trained(done: Done) -> int:
    """Training runs that were computed and did not come from the store."""
    found = re.search(r"(\d+) training runs computed", done.out)
    assert found is not None, done.err
    return int(found[1])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_plan_and_dry_run_write_nothing(cli: Cli, tmp_path: Path) -> None:
    before = files(tmp_path)
    planned = cli("plan", "toy.toml", "--workers", "1")
    assert planned.code == 0
    assert "in all" in planned.out
    assert "Assumes: " in planned.out
    dry = play(cli, "--dry-run", "--json")
    assert dry.code == 0
    plan = json.loads(dry.out)
    assert (plan["runs"], plan["trainings"], plan["known"]) == (10, 24, 0)
    assert files(tmp_path) == before
    play(cli, "--quiet")
    assert json.loads(cli("plan", "toy.toml", "--workers", "1", "--json").out)["known"] == 24


def test_json_is_the_summary_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    done = play(cli, "--json")
    assert done.code == 0
    summary = Summary.model_validate_json(done.out)
    assert {s.teacher for s in summary.teachers} == {"stratified", "failure"}
    assert len(done.out.splitlines()) == 1
    assert "stratified seed 0 step 0" in done.err
    assert "training runs computed" in done.err
    again = play(cli, "--json", "--quiet")
    assert again.out == done.out
    assert again.err.startswith("0 training runs computed")


def test_report_builds_the_same_files_again(cli: Cli, played: Path) -> None:
    folder = played
    before = files(folder)
    for name in ("leaderboard.csv", "leaderboard.html"):
        (folder / name).unlink()
    done = cli("report", "runs/toy")
    assert done.code == 0
    assert "Sensitivity" in done.out
    assert files(folder) == before
    quiet = cli("report", "runs/toy", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert done.out.startswith(quiet.out)
    assert "gain" in quiet.out
    (folder / "rows" / "failure--1.json").unlink()
    half = cli("report", "runs/toy", "--quiet")
    assert half.out.endswith("7 of 8 runs have ended; missing: failure seed 1.\n")


def test_another_configuration(cli: Cli, played: Path, tmp_path: Path) -> None:
    before = files(tmp_path / "runs" / "toy")
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"seeds": [0, 2]})
    refused = play(cli)
    assert refused.code == 2
    assert "seeds: [0,1] → [0,2]" in refused.err
    assert "--replace" in refused.err
    assert "Traceback" not in refused.err
    assert files(tmp_path / "runs" / "toy") == before
    assert play(cli, "--replace", "--quiet").code == 0
    kept = tmp_path / "runs" / "toy" / "rows"
    assert {Row.model_validate_json(path.read_bytes()).seed for path in kept.glob("*.json")} == {0, 2}
    assert (tmp_path / "runs/toy/rows.1/failure--1.json").read_bytes() == before["rows/failure--1.json"]


def test_a_teacher_is_added_and_nothing_is_trained_twice(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = play(cli, "--quiet")
    assert trained(played) > 6
    folder = tmp_path / "runs" / "toy"
    before = files(folder)
    (tmp_path / "mine_here.py").write_text("def longer(observation):\n    return [0.1, 1.0]\n")
    added = play(cli, "--quiet", "--add", "mine_here:longer")
    assert added.code == 0, added.err
    assert 0 < trained(added) <= 6  # its own, three for each seed, and none of the others
    assert "longer" in added.out
    after = files(folder)
    assert {name for name in before if name.startswith("rows/") and before[name] != after[name]} == set()
    assert {"rows/longer--0.json", "rows/longer--1.json"} == {n for n in after if n.startswith("rows/")} - set(before)
    again = play(cli, "--quiet")  # the folder remembers who was added
    assert trained(again) == 0
    assert files(folder) == after
    monkeypatch.delitem(sys.modules, "mine_here", raising=False)  # it ran in a process of its own
    (tmp_path / "mine_here.py").unlink()
    gone = play(cli, "--quiet")
    assert gone.code == 2
    assert "longer was added to the board of runs/toy" in gone.err
    assert "--replace goes on without" in gone.err
    assert files(folder) == after
    assert play(cli, "--quiet", "--replace").code == 0
    final = files(folder)
    assert final["board.json"] == before["board.json"]
    assert final["rows.1/longer--0.json"] == after["rows/longer--0.json"]
    assert {n for n in final if n.startswith("rows/")} == {n for n in before if n.startswith("rows/")}


def test_fields_of_a_board_are_set(cli: Cli, tmp_path: Path) -> None:
    words = ("-s", "seeds=[5]", "-s", "lesson_size=8", "-s", "name=other")
    planned = json.loads(cli("plan", "toy.toml", "--workers", "1", "--json", *words).out)
    assert (planned["board"], planned["runs"]) == ("other", 6)
    assert play(cli, "--quiet", *words).code == 0
    rows = [Row.model_validate_json(path.read_bytes()) for path in (tmp_path / "runs/other/rows").glob("*.json")]
    assert {row.seed for row in rows} == {5}
    assert {row.setting["lesson_size"] for row in rows} == {8}
    amiss = cli("validate", "toy.toml", "-s", "recipe.rate=fast")
    assert amiss.code == 2
    assert "setting.recipe.rate is 'fast'" in amiss.out
    refused = play(cli, "--quiet", "-s", "recipe.raet=1")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "dataenv: -s: setting.recipe.raet is no field; did you mean 'rate'?\n"


def test_validate_looks_at_who_is_added(cli: Cli) -> None:
    assert cli("validate", "toy.toml", "--add", "random") == Done(0, "sound\n", "")
    twice = cli("validate", "toy.toml", "--add", '{"name": "failure", "args": {"alpha": 3}}')
    assert twice.code == 2
    assert "teachers name 'failure' twice; give one of them another label" in twice.err
    assert json.loads(cli("plan", "toy.toml", "--workers", "1", "--json", "--add", "random").out)["runs"] == 12


def test_validate(cli: Cli, tmp_path: Path) -> None:
    assert cli("validate", "toy.toml") == Done(0, "sound\n", "")
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"teachers": ["stratified", "ghost"]})
    amiss = cli("validate", "toy.toml")
    assert amiss.code == 2
    assert amiss.out.startswith("teachers.ghost: ")
    told = json.loads(cli("validate", "toy.toml", "--json").out)
    assert told["sound"] is False
    assert len(told["findings"]) == 1
    assert not (tmp_path / "runs").exists()


def test_compare(cli: Cli, played: Path) -> None:
    done = cli("compare", "runs/toy", "failure")
    assert done.code == 0
    assert "failure − stratified" in done.out
    assert "not corrected" in done.out
    [pair] = json.loads(cli("compare", "runs/toy", "failure", "nothing", "--json").out)
    assert pair["comparison"]["baseline"] == "nothing"
    assert len(pair["by_skill"]) == 2
    play(cli, "--quiet", "--out", "other")
    pairs = json.loads(cli("compare", "runs/toy", "--with", "other/toy", "--json").out)
    assert len(pairs) == 4
    assert all(p["comparison"]["gain"]["value"] == 0 for p in pairs)


def test_rescore(cli: Cli, played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(tmp_path / "runs" / "toy")
    monkeypatch.setitem(registry.TASKS, "reverse", "tests.toys:Lenient")
    done = cli("rescore", "runs/toy", "--quiet")
    assert done.code == 0
    assert "graded again, 0 training runs; 6 of 8 runs would now select another state" in done.out
    assert files(tmp_path / "runs" / "toy") == before
    assert (tmp_path / "runs/toy.rescored/leaderboard.html").exists()
    summary = Summary.model_validate_json(cli("rescore", "runs/toy", "--json", "--out", "third").out)
    assert all(s.score is not None and s.score.value == 1.0 for s in summary.teachers)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["report", "nowhere"], "holds no rows"),
        (["compare", "nowhere", "failure"], "holds no rows"),
        (["compare", "runs/toy"], "no teacher is named"),
        (["compare", "runs/toy", "ghost"], "teacher 'ghost' is not on board 'toy'"),
        (["rescore", "runs/toy", "--store", "elsewhere"], "store elsewhere is not there"),
        (["rescore", "runs/toy", "--out", "runs/toy"], "is not empty"),
        (["plan", "quik"], "board 'quik' is unknown"),
        (["validate", "quik"], "board 'quik' is unknown"),
        (["plan", "toy.toml", "--executor", "threads"], "--executor is 'threads'"),
        (["leaderboard", "toy.toml", "--ray-address", "x:1", "--executor", "inline"], "--ray-address goes with"),
        (["leaderboard", "toy.toml", "--num-gpus", "1", "--executor", "inline"], "--num-gpus goes with --executor ray"),
        (["plan", "toy.toml", "--num-gpus", "1", "--executor", "processes"], "--num-gpus goes with --executor ray"),
        (["plan", "toy.toml", "--pool-width", "8", "--executor", "ray"], "--pool-width goes with --executor pool"),
        (["plan", "toy.toml", "--executor", "proceses"], "did you mean 'processes'"),
        (["leaderboard", "toy.toml", "--track", "jsnl:e.jsonl"], "tracker 'jsnl' is not registered; did you mean"),
        (["leaderboard", "toy.toml", "--track", "jsonl:no/folder/e.jsonl"], "tracker 'jsonl:no/folder/e.jsonl' cannot"),
        (["list", "metrik"], "did you mean 'metric'"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(cli: Cli, played: Path, words: list[str], sentence: str) -> None:
    done = cli(*words)
    assert done.code == 2
    assert sentence in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


def test_the_executor_that_the_options_ask_for() -> None:
    from dataenv.cli.common import executor_spec

    def spec(
        kind: str | None = None, workers: int = 0, address: str | None = None, num_gpus: float = 0.0
    ) -> dict[str, Any]:
        return executor_spec(kind, workers, address, 0.5, num_gpus, 2, 60.0)

    assert spec() == {
        "kind": "processes", "workers": 0, "address": None,
        "num_cpus": 0.5, "num_gpus": 0.0, "threads": 2, "deadline": 60.0,
    }  # fmt: skip
    assert spec(workers=1)["kind"] == "inline"
    assert spec("processes", 1)["kind"] == "processes"
    assert spec(address="host:1")["kind"] == "ray"
    for workers in (0, 1):
        shared = spec(workers=workers, num_gpus=0.25)
        assert (shared["kind"], shared["num_gpus"]) == ("ray", 0.25)
    assert spec("ray", num_gpus=1.0)["kind"] == "ray"


class Angry(Metric):
    """Fails on every row."""

    unit = "points"

    def of(self, row: Row) -> float | None:
        raise KeyError("rage")


def test_metrics_are_columns_and_trackers_are_told(cli: Cli, tmp_path: Path) -> None:
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"metrics": ["kept-share"]})
    done = play(cli, "--track", "jsonl:events.jsonl", "--track", "terminal")
    assert done.code == 0
    assert "kept-share % [95 %]" in done.out
    assert done.out.count("stratified seed 0 step 0") == 1
    events = [json.loads(line)["event"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (events[0], events.count("done")) == ("begin", 10)
    write_toml(tmp_path / "toy.toml", TOY_BOARD)  # a metric is no part of what is played
    plain = play(cli, "--quiet")
    assert "0 training runs computed" in plain.out
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"metrics": ["kept-share"]})
    play(cli, "--quiet")
    assert "kept-share % [95 %]" in cli("report", "runs/toy").out
    assert "metric_kept-share" in (tmp_path / "runs/toy/leaderboard.csv").read_text()


@pytest.mark.parametrize(
    ("field", "name", "sentence"),
    [
        ("metrics", "transfr", "metric 'transfr' is not registered; did you mean 'transfer'?"),
        ("metrics", "tests.toys:Reverse", "no subclass of dataenv.leaderboard.metric.Metric"),
        ("metrics", "no.module:Here", "cannot be loaded"),
        ("references", "nothin", "reference 'nothin' is not registered; did you mean 'nothing'?"),
        ("references", "tests.toys:Reverse", "no subclass of dataenv.leaderboard.references.Reference"),
    ],
)
def test_a_board_file_with_a_wrong_name_computes_nothing(
    cli: Cli, tmp_path: Path, field: str, name: str, sentence: str
) -> None:
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {field: [*TOY_BOARD.get(field, ()), name]})
    done = play(cli)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    found = cli("validate", "toy.toml", "--json")
    assert found.code == 2
    assert any(sentence in finding for finding in json.loads(found.out)["findings"])


def test_a_metric_that_fails_loses_no_row(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._HERE["metric"], "angry", Angry)
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"metrics": ["angry"]})
    done = play(cli, "--quiet")
    assert done.code == 2
    assert "metric 'angry' of failure seed 0 fails (KeyError: 'rage'); mend its of()" in done.err
    assert len(list((tmp_path / "runs/toy/rows").glob("*.json"))) == 8


def test_a_tracker_that_is_not_there_is_said_before_a_plan(cli: Cli) -> None:
    done = cli("leaderboard", "toy.toml", "--dry-run", "--track", "jsonk:events.jsonl")
    assert done.code == 2
    assert "tracker 'jsonk' is not registered; did you mean 'jsonl'" in done.err


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("recipe.method=spft", "method 'spft' is not registered; did you mean 'sft'"),
        ("engine=pol", "engine 'pol' is not registered; did you mean 'pool'"),
        ("student_args.width=1e400", "student_args holds what is no JSON, or a number that is not finite"),
    ],
)
def test_validate_says_what_a_plug_in_or_a_number_is_not(cli: Cli, path: str, said: str) -> None:
    done = cli("validate", "toy.toml", "-s", path)
    assert done.code == 2
    assert said in done.out + done.err
    assert "Traceback" not in done.out + done.err


def test_where_keys_go_is_said_on_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board names a key and a host; that the one is sent to the other is for the person to say."""
    monkeypatch.setenv("DATAENV_KEYS", "")
    monkeypatch.setenv("BOARD_KEY", "tok.0123456789-abcdefghijklmnop")
    heard: list[str] = []

    class Listening(Handler):
        def do_POST(self) -> None:
            heard.append(self.headers["authorization"])
            super().do_POST()

    with serving(Server()) as server:
        server.RequestHandlerClass = Listening  # type: ignore[assignment]
        chat = {"base_url": server.base_url, "model": "scripted", "key_env": "BOARD_KEY", "retries": 0}
        asking = {"name": "skill-list", "args": {"chat": chat}}
        write_toml(tmp_path / "toy.toml", TOY_BOARD | {"teachers": ["stratified", asking], "seeds": [0]})
        for command in ("validate", "leaderboard"):
            refused = cli(command, "toy.toml", "--workers", "1")
            assert refused.code == 2
            assert "give --allow-key BOARD_KEY=127.0.0.1" in refused.out + refused.err
        assert not heard
        place = server.base_url.split("/")[2]
        assert "which is refused" in cli("plan", "toy.toml", "--force").out
        wrong = cli("plan", "toy.toml", "--allow-key", "BOARD_KEY=https://127.0.0.1")
        assert (wrong.code, wrong.out) == (2, "")
        assert "is not NAME=host" in wrong.err
        assert f"It sends $BOARD_KEY to {place}." in cli("plan", "toy.toml", "--allow-key", f"BOARD_KEY={place}").out
        monkeypatch.setenv("DATAENV_KEYS", "")
        played = play(cli, "--allow-key", "BOARD_KEY=127.0.0.1")
        assert played.code == 0, played.err
        assert set(heard) == {"Bearer tok.0123456789-abcdefghijklmnop"}
        assert f"dataenv: sends $BOARD_KEY to {place}" in played.err
    written = b"".join(files(tmp_path).values())
    assert b"abcdefghijklmnop" not in written
    assert b"BOARD_KEY" in written


SHORT = "setting.decoding.max_tokens"


@pytest.mark.parametrize("command", ["leaderboard", "plan"])
def test_a_board_that_validate_refuses_is_not_played(cli: Cli, tmp_path: Path, command: str) -> None:
    told = cli("validate", "toy.toml", "-s", "decoding.max_tokens=2", "-s", "student_args.x=1")
    faults = told.out.splitlines()
    before = files(tmp_path)
    refused = cli(command, "toy.toml", "--workers", "1", "-s", "decoding.max_tokens=2", "-s", "student_args.x=1")
    assert (refused.code, refused.out) == (2, "")
    assert all(fault in refused.err for fault in faults)
    assert "Traceback" not in refused.err
    assert files(tmp_path) == before


def test_a_board_until_decided_has_a_folder_of_its_own_and_a_report(cli: Cli, tmp_path: Path) -> None:
    rule = {"first": 3, "group": 2, "most": 7, "effect": 5.0}
    write_toml(tmp_path / "toy.toml", TOY_BOARD | {"until": rule})
    planned = cli("plan", "toy.toml", "--workers", "1", "--until-decided")
    assert "7 at the most" in " ".join(planned.out.split())
    assert not (tmp_path / "runs" / "toy-until").exists()
    done = play(cli, "--until-decided")
    assert done.code == 0, done.err
    assert "look 1, 3 seeds: failure " in done.out
    assert not (tmp_path / "runs" / "toy").exists()
    folder = tmp_path / "runs" / "toy-until"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = cli("report", "runs/toy-until")
    assert "After look" in again.out
    assert "missing" not in again.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert trained(play(cli, "--until-decided")) == 0
    assert trained(play(cli)) > 0  # the board of fixed seeds, which the rule does not touch
    assert json.loads((tmp_path / "runs" / "toy" / "board.json").read_text())["board"]["seeds"] == [0, 1]
    assert "until" not in json.loads((tmp_path / "runs" / "toy" / "board.json").read_text())["board"]


def test_whole_runs_want_worker_processes(cli: Cli, tmp_path: Path) -> None:
    done = play(cli, "--whole-runs")
    assert done.code == 2
    assert "give executor 'processes'" in done.err
    assert not list(tmp_path.rglob("board.json"))
