"""Answers from a serving engine are the student's own, token for token; the server is the stand-in of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from dataenv.execution.blobs import DiskBlobs, MemoryBlobs, place_beside
from dataenv.execution.jobs import BuildSpec, Exam, Job, Training, execute, from_initial, student_of
from dataenv.execution.serving.answers import Adapters, adapters_in, answer
from dataenv.execution.serving.engine import ServingEngine, probe
from dataenv.execution.serving.server import ServingClient, ServingError
from students.base import Data, Decoding, Recipe, asked
from students.causal_lm.served import ServedStudent
from students.causal_lm.student import CausalLM
from tasks.records import Example
from tests.stand_in import VERSION, StandIn
from tests.tiny_lm import save_tiny

WORDS = ("abc", "bcdef", "cd", "badcab", "d", "ace", "fedcba", "cab")
EXAMPLES = tuple(Example(prompt=f"turn {word}>", response=word[::-1]) for word in WORDS)
PROMPTS = asked([*(e.prompt for e in EXAMPLES), "turn abc>", "<e>", "x" * 200])
GREEDY = Decoding(max_tokens=12)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def student(tiny: Path) -> CausalLM:
    return CausalLM(path=str(tiny), context=96, rank=4, dtype="float32")


@pytest.fixture(scope="module")
def states(student: CausalLM) -> dict[str, bytes]:
    """Three states that answer differently, by name."""

    @cache
    def taught(seed: int) -> bytes:
        recipe = Recipe(updates=8, batch=4, rate=3e-2)
        return student.fit(student.initial(seed), Data(EXAMPLES), recipe, seed)[0]

    return {f"state{seed}": taught(seed) for seed in range(3)}


@pytest.fixture
def server(tiny: Path) -> Iterator[StandIn]:
    with StandIn(tiny) as made:
        yield made


def engine_at(address: str) -> ServingEngine:
    return ServingEngine(version=VERSION, address=address)


def test_answers_are_those_of_the_students_own_decoder(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    own = {name: student.answer(weights, PROMPTS, GREEDY, 0) for name, weights in states.items()}
    assert len(set(map(tuple, own.values()))) == len(own), "the states can be told apart"
    for _ in range(2):
        for name, weights in states.items():
            said = answer(engine_at(server.address), student, (name, weights), PROMPTS, GREEDY, 0, tmp_path)
            assert said == own[name]
    assert [line for line in server.engine.log if line.startswith("load")] == [f"load {name}" for name in states]
    adapters_in(server.address, tmp_path).close()
    assert not server.engine.adapters
    assert not list(tmp_path.iterdir()), "no folder of an adapter stays behind"


def test_what_is_drawn_depends_on_the_seed_and_on_nothing_beside(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    drawn, state = Decoding(temperature=1.0, max_tokens=12), ("state0", states["state0"])

    def said(some: list[str], seed: int) -> list[str]:
        return answer(engine_at(server.address), student, state, asked(some), drawn, seed, tmp_path)

    both = said(["turn abc>", "turn cd>", "turn abc>"], 1)
    assert both[0] != both[2], "a prompt that is asked again is drawn anew"
    assert said(["turn cd>", "turn abc>"], 1) == [both[1], both[0]]
    assert said(["turn abc>", "turn cd>", "turn abc>"], 2) != both


def test_the_least_recently_used_adapter_goes_first(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    served, there = ServedStudent(student), Adapters(ServingClient(server.address), tmp_path, kept=2)
    for name in ("state0", "state1", "state0", "state2"):
        there.use(name, lambda folder, name=name: served.write_adapter(states[name], folder), list)  # type: ignore[misc]
    assert sorted(server.engine.adapters) == ["state0", "state2"]
    assert len(list(tmp_path.iterdir())) == 2
    there.close()
    assert not server.engine.adapters


def test_an_adapter_that_another_process_loaded_is_used_and_left_there(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    served = ServedStudent(student)
    ours, theirs = (Adapters(ServingClient(server.address), tmp_path / who) for who in ("ours", "theirs"))
    for adapters in (theirs, ours):
        adapters.use("state0", lambda folder: served.write_adapter(states["state0"], folder), list)
    ours.close()
    assert list(server.engine.adapters) == ["state0"]
    theirs.close()
    assert not server.engine.adapters


def test_an_adapter_that_a_server_loses_is_loaded_again_and_never_replaced_by_the_base(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    state = ("state0", states["state0"])
    own = answer(engine_at(server.address), student, state, PROMPTS, GREEDY, 0, tmp_path)
    server.engine.unload("state0")
    assert answer(engine_at(server.address), student, state, PROMPTS, GREEDY, 0, tmp_path) == own
    server.engine.options.fault = "forgets"
    with pytest.raises(ServingError, match=r"does not exist.*loaded 3 times"):
        answer(engine_at(server.address), student, state, PROMPTS, GREEDY, 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_of_another_release_is_noticed(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path
) -> None:
    server.engine.version = "9"
    with pytest.raises(ServingError, match=rf"was vllm {VERSION} and is 9 now"):
        answer(engine_at(server.address), student, ("s", states["state0"]), PROMPTS, GREEDY, 0, tmp_path)


def test_what_is_no_token_is_no_answer(
    student: CausalLM, states: dict[str, bytes], server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (10_000, -1, "7", True, None):
        monkeypatch.setattr(server.engine, "_write", lambda *_, wrong=wrong: [wrong])
        with pytest.raises(ServingError, match=r"wrote what cannot be read: .* is no token"):
            answer(engine_at(server.address), student, ("s", states["state0"]), PROMPTS, GREEDY, 0, tmp_path)


def test_a_job_names_the_engine_and_not_its_place(tiny: Path, server: StandIn, tmp_path: Path) -> None:
    """The record of an exam has one name wherever the server is, and another one for another engine."""
    spec = BuildSpec(name="causal-lm", args={"path": str(tiny), "context": 96, "rank": 4, "dtype": "float32"})
    plain = Exam(name="x", prompts=tuple(e.prompt for e in EXAMPLES), golds=tuple(e.response for e in EXAMPLES))
    engine = probe(server.address, ServedStudent(student_of(spec)))
    served = plain.model_copy(update={"engine": engine})
    elsewhere = served.model_copy(update={"engine": engine.model_copy(update={"address": "http://elsewhere:1"})})
    other = served.model_copy(update={"engine": engine.model_copy(update={"version": "2"})})
    assert "engine" not in plain.model_dump(mode="json")
    assert served.key("s") == elsewhere.key("s")
    assert len({exam.key("s") for exam in (plain, served, other)}) == 3
    train = Training(lesson=EXAMPLES, recipe=Recipe(updates=8, batch=4, rate=3e-2), seed=0)
    outcomes = []
    for exam, blobs in ((plain, MemoryBlobs()), (served, DiskBlobs(tmp_path / "blobs"))):
        job = Job.model_validate_json(from_initial(spec, 0, train, (exam,)).text())
        outcomes.append(execute(job, job.key(), blobs))
    assert outcomes[0].answers == outcomes[1].answers, "losses are the student's own, and greedy answers equal them"
    assert server.engine.log[-1] == f"load {outcomes[1].key}"
    assert place_beside(DiskBlobs(tmp_path / "blobs")) == tmp_path / "adapters"
