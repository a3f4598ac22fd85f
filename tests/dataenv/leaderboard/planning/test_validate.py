"""``validate``: what would fail later is said before, a sentence a finding."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.executors import make_executor
from dataenv.execution.store import Store
from dataenv.leaderboard.config import Board, built_in, read
from dataenv.leaderboard.planning.validate import examine, usable
from tasks.errors import UnsupportedError
from tasks.records import Example, Grade
from tests.architectures import save_kind
from tests.benchmark_files import stat_math_files
from tests.toys import TOY_BOARD, Apprentice, Reverse, write_toml
from tests.weird import Weird

BENCH = Path(__file__).parents[3] / "bench"


def found(folder: Path, **changes: Any) -> list[str]:
    return examine(write_toml(folder / "b.toml", TOY_BOARD | changes))


def setting(**changes: Any) -> dict[str, Any]:
    return {"setting": TOY_BOARD["setting"] | changes}


def test_a_sound_board(toys: None, tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize("name", sorted(built_in()))
def test_shipped_boards_are_sound(name: str, tmp_path: Path) -> None:
    if name != "stat-math":
        assert examine(name) == []
        return
    pytest.importorskip("math_verify")  # its files are of the hub, and its lesson is for them
    files = stat_math_files(tmp_path)
    sizes = {"lesson_size": 64, "items.feedback": 8, "items.selection": 8, "items.test": 20}
    assert examine(name, files | sizes) == []
    short = examine(name, files | sizes | {"student_args.context": 64, "decoding.max_tokens": 24})
    assert any("setting.items.transfer: student 'causal-lm' cannot read" in said for said in short), short


def test_real_full_has_all_teachers_that_need_no_language_model_or_says_why_not() -> None:
    file, page = built_in()["real-full"], Path(__file__).parents[4] / "docs" / "causal-lm.md"
    board = Board.model_validate(read("real-full")[1])
    needless = {name for name, where in registry.TEACHERS.items() if not where.startswith("teachers.llm.")}
    there = {entry.name for entry in board.teachers}
    assert there <= needless
    comment = "".join(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    named = re.findall(r"[\w-]+", comment.partition("Not here:")[2])
    said = page.read_text(encoding="utf-8").partition("it leaves out")[2]
    for name in needless - there:
        assert name in named
        assert f"`{name}`" in said
    assert not there & set(re.findall(r"`([\w-]+)`", said))


@pytest.mark.parametrize(
    ("file", "board"), [("floors", "quick-2026"), ("practice_full", "practice"), ("practice_trim", "practice")]
)
def test_boards_of_the_pages_are_in_the_setting_that_the_page_names(file: str, board: str) -> None:
    made, named = (Board.model_validate(read(which)[1]) for which in (str(BENCH / f"{file}.toml"), board))
    assert made.setting == named.setting
    ours = {entry.shown: entry for entry in made.teachers}
    assert board == "quick-2026" or file == "practice_trim" or all(ours[e.shown] == e for e in named.teachers)


def test_the_long_board_of_static_arms_differs_in_its_length_alone() -> None:
    long, named = (Board.model_validate(read(which)[1]) for which in (str(BENCH / "practice_long.toml"), "practice"))
    assert long.setting.changed(budget=named.setting.budget) == named.setting
    short = {entry.shown: entry.args for entry in named.teachers}
    for entry in long.teachers[1:]:
        assert entry.args | {"additions": 5} == short[entry.shown]
        assert long.setting.budget.examples == long.setting.lesson_size * (1 + entry.args["additions"]) == 2304


def test_every_wrong_field_is_a_finding_of_its_own(toys: None, tmp_path: Path) -> None:
    said = found(tmp_path, sedes=[0], name="../x", **setting(lesson_size=0))
    assert len(said) == 3
    assert all(word in " ".join(said) for word in ("lesson_size is 0", "sedes is no field", "name is '../x'"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teachers": ["stratified", "ghost", {"name": "failure", "args": {"alfa": 1}}]}, ["'ghost' is not", "alfa"]),
        ({"mixtures": {"weights": {"a": {"shrot": 1}, "b": {"lnog": 1}}}}, ["a.shrot", "b.lnog is no skill"]),
        ({"mixtures": {"weights": {"a": {"short": -1}}}}, ["mixtures.weights.a: ", "weights.short is -1"]),
        (
            {"teachers": ["stratified", {"name": "static", "args": {"weights": {"shrot": 1.0}}}]},
            ["teachers.static cannot begin: weights names skill 'shrot'"],
        ),
        (setting(task="revers"), ["setting.task: task 'revers' is not registered"]),
        (setting(student="aprentice"), ["setting.student: student 'aprentice' is not", "did you mean 'apprentice'"]),
        (
            setting(items={"feedback": 11, "selection": 10, "test": 12, "transfer": 21}),
            [
                "items.feedback asks 11 problems of each skill and 'short' has 10",
                "items.test asks 12",
                "transfer asks 21",
            ],
        ),
        (setting(decoding={"max_tokens": 4}), ["max_tokens is 4 and a gold answer of feedback has 5 tokens"]),
        (setting(budget={"student_tokens": 100}), ["student_tokens is 100 and a lesson of 4 updates costs about"]),
        (setting(budget={"student_tokens": 5000, "examples": 3}), ["examples is 3 and a lesson holds 16"]),
        (setting(lesson_size=0), ["setting.lesson_size is 0"]),
    ],
)
def test_a_finding_names_the_field(toys: None, tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    said = found(tmp_path, **changes)
    assert said
    for word in words:
        assert any(word in sentence for sentence in said), said
    assert all("\n" not in sentence for sentence in said)


SLIP = "sk-REDTEAM-0123456789abcdef"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"key_env": "AWS_SECRET_ACCESS_KEY"}, "not to be sent to models.example.org unless you say so"),
        ({"base_url": "http://127.0.0.1:9/v1", "key_env": "AWS_SECRET_ACCESS_KEY"}, "not to be sent to 127.0.0.1"),
        ({"base_url": "http://models.example.org/v1", "key_env": "OPENAI_API_KEY"}, "sent in clear"),
        ({"key_env": SLIP}, "args.chat.key_env of teacher 'skill-list' holds a key"),
        ({"key_env": "abcdef0123456789"}, "key_env is no name of a variable"),
        ({"extra": {"api_key": "x"}}, "extra.api_key holds a key"),
        ({"extra": {"headers": [f"Bearer {SLIP}"]}}, "args.chat.extra.headers.0 of teacher 'skill-list' holds a key"),
        ({"max_tokens": SLIP}, "args.chat.max_tokens of teacher 'skill-list' holds a key"),
    ],
)
def test_keys_go_nowhere_by_a_board_alone(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], says: str
) -> None:
    monkeypatch.setenv("DATAENV_KEYS", "")
    chat = {"base_url": "https://models.example.org/v1", "model": "m"} | fields
    teachers = ["stratified", {"name": "skill-list", "args": {"chat": chat}}]
    (finding,) = found(tmp_path, teachers=teachers)
    assert finding.startswith("teachers.skill-list: ")
    assert says in finding
    assert "sk-" not in finding
    assert "abcdef" not in finding


def test_a_key_for_its_own_maker_or_by_the_persons_word_is_sound(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAENV_KEYS", "MY_KEY=models.example.org")
    for url, name in (("https://api.openai.com/v1", "OPENAI_API_KEY"), ("https://models.example.org/v1", "MY_KEY")):
        chat = {"base_url": url, "model": "m", "key_env": name}
        assert found(tmp_path, teachers=["stratified", {"name": "skill-list", "args": {"chat": chat}}]) == []


def test_a_checker_that_refuses_its_own_answers(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reverse, "grade", lambda self, problem, response: Grade(correct=problem.split != "test"))
    assert "the checker says wrong on the gold answer of 'test/" in found(tmp_path)[0]
    monkeypatch.setattr(Reverse, "grade", lambda self, problem, response: 1 / 0)
    assert len(said := found(tmp_path)) == 4
    assert "the checker raises ZeroDivisionError" in said[0]


def test_problems_that_the_student_cannot_read(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Apprentice, example: Example) -> str | None:
        return "length" if len(example.prompt) > 5 else None

    monkeypatch.setattr(Apprentice, "refuse", refuse)
    said = found(tmp_path)
    assert any(sentence.startswith("setting.engine: student 'apprentice' cannot read") for sentence in said)
    assert any(sentence.startswith("setting.items.test: student 'apprentice' cannot read") for sentence in said)


def test_an_engine_or_reference_that_the_task_has_no_data_for(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: Reverse, *args: Any) -> Any:
        raise UnsupportedError("task 'reverse' has no such thing")

    with monkeypatch.context() as patch:
        patch.setattr(Reverse, "pool", missing)
        assert found(tmp_path, **setting(engine="pool"))[0].startswith("setting.engine: ")
        assert found(tmp_path, references=["nothing", "joint"])[0].startswith("references: ")
    monkeypatch.setattr(Reverse, "generate", missing)
    assert found(tmp_path)[0].startswith("setting.engine: ")


def test_nothing_is_trained_and_nothing_is_answered(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("fit", "answer", "losses", "initial"):
        monkeypatch.setattr(Apprentice, method, lambda *_: pytest.fail("validate computed something"))
    assert found(tmp_path, references=["nothing", "format-only", "joint", "joint-x4", "static-best"]) == []


class Curious:
    """Probes as soon as it begins, for which there must be a student."""

    level = "skill-list"

    def begin(self, context: Any) -> None:
        context.probe(context.generate("short", 1))

    def act(self, observation: Any, info: Any) -> Any:
        raise NotImplementedError


def test_a_teacher_that_probes_at_once_is_let_be(toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.toys.Curious", Curious, raising=False)
    monkeypatch.setitem(registry.TEACHERS, "curious", "tests.toys:Curious")
    assert found(tmp_path, teachers=["stratified", "curious"]) == []


def test_store_and_executor(tmp_path: Path) -> None:
    inline = lambda: make_executor("inline")  # noqa: E731
    assert usable(str(tmp_path / "a" / "b"), inline) == []
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("x")
    assert usable(str(tmp_path / "file" / "store"), inline)[0].startswith("store: ")
    Store(tmp_path / "old")._rows.execute("PRAGMA user_version=99")
    assert "schema 99" in usable(str(tmp_path / "old"), inline)[0]
    assert usable("off", lambda: make_executor("threads"))[0].startswith("executor: executor is 'threads'")


def test_a_file_that_is_no_board(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="board 'quik' is unknown"):
        examine("quik")
    (tmp_path / "b.toml").write_text("name =")
    with pytest.raises(SettingError, match="is no TOML"):
        examine(str(tmp_path / "b.toml"))


def test_whatever_a_teacher_raises_at_its_beginning_is_a_finding(tmp_path: Path, toys: None) -> None:
    names = ["RaisesInBegin", "RaisesInAct"]
    teachers = ["stratified", *(f"tests.weird:{name}" for name in names), f"{__name__}:LeavesAtOnce"]
    said = [f for f in found(tmp_path, teachers=teachers, references=["nothing"]) if "cannot begin" in f]
    assert len(said) == 2, said
    assert any("RaisesInBegin cannot begin: KeyError: 'not there' (weird.py:" in f for f in said)
    assert any("LeavesAtOnce cannot begin: SystemExit (test_validate.py:" in f for f in said)


class LeavesAtOnce(Weird):
    """Ends the interpreter when it begins."""

    def begin(self, context: Any) -> None:
        raise SystemExit


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("mamba", "it keeps no key-value cache"),  # found by loading it
        ("bert", "is an encoder"),  # and by its config
        ("t5", "is an encoder-decoder"),
    ],
)
def test_a_model_that_cannot_be_taught_is_a_finding(
    kind: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path / "cache"))
    args = {"path": str(save_kind(kind, tmp_path / "model")), "template": "plain", "adapter": "none"}
    (fault,) = examine("quick", {"setting.student": "causal-lm", "setting.student_args": args})
    assert fault.startswith("setting.student: ")
    assert sentence in fault


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("seeds = [0]\nteachers = ['stratfied', 'failur']\nreferences = ['nothing']", "teachers lack 'stratified'"),
        ("seeds = [0, 0]\nteachers = ['stratified', 'failur', 'stratfied']", "references are not given"),
        ("seeds = 'x'\nteachers = ['stratified', 'failur', 'stratfied']\nreferences = ['nothing']", "seeds is 'x'"),
    ],
)
def test_names_are_looked_up_though_the_file_has_other_faults(tmp_path: Path, head: str, first: str) -> None:
    file = tmp_path / "b.toml"
    file.write_text(
        f"name = 'b'\n{head}\nsetting.task = 'jsonl:none.jsonl'\nsetting.engine = 'pol'\n", encoding="utf-8"
    )
    found = "\n".join(examine(str(file)))
    for words in (first, "none.jsonl is not there", "mean 'pool'", "mean 'stratified'", "mean 'failure'"):
        assert words in found, found


def test_a_list_of_teachers_that_cannot_be_read_hides_no_fault_of_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("name = 'b'\nseeds = [0, 0]\nteachers = 3\nsetting.engine = 'pol'\n", encoding="utf-8")
    assert any("did you mean 'pool'" in fault for fault in examine(str(file)))
