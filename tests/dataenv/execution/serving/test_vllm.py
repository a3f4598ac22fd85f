"""vLLM itself: what it answers is what the student's own decoder answers, token for token, in float32.

``make test-vllm`` installs a build of it for processors, and runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataenv.errors import SettingError
from dataenv.execution.serving import process
from dataenv.execution.serving.answers import adapters_in, answer
from dataenv.execution.serving.engine import ServingEngine, probe
from dataenv.execution.serving.process import local_server
from dataenv.execution.serving.server import ServingClient, ServingError, UnknownModelError
from students.base import Data, Decoding, Recipe, asked
from students.causal_lm.served import ServedStudent
from students.causal_lm.student import CausalLM
from tasks.records import Example
from tests.tiny_lm import save_tiny

if not os.environ.get(process.COMMAND):
    pytest.skip(f"needs vLLM; `make test-vllm` sets {process.COMMAND}", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
WORDS = ("abc", "bcdef", "cd", "badcab", "d", "ace", "fedcba", "cab")
EXAMPLES = tuple(Example(prompt=f"turn {word}>", response=word[::-1]) for word in WORDS)
PROMPTS = asked([*(e.prompt for e in EXAMPLES), "<e>", "x" * 200])
GREEDY = Decoding(max_tokens=24)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    """Heads of 32: vLLM's attention on processors takes no smaller ones."""
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), hidden_size=64)
    return CausalLM(path=str(folder), context=96, rank=4, dtype="float32")


@pytest.fixture(scope="module")
def address(student: CausalLM) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        with local_server(ServedStudent(student)) as made:
            yield made
    with pytest.raises(ServingError, match="no server answers"):
        ServingClient(made, tries=1).version()


@pytest.fixture(scope="module")
def engine(student: CausalLM, address: str) -> ServingEngine:
    return probe(address, ServedStudent(student))


@pytest.fixture(scope="module")
def states(student: CausalLM) -> dict[str, bytes]:
    recipe = Recipe(updates=8, batch=4, rate=3e-2)
    return {f"state{n}": student.fit(student.initial(n), Data(EXAMPLES), recipe, n)[0] for n in range(3)}


def test_it_tells_what_it_is(engine: ServingEngine) -> None:
    assert engine.version[0].isdigit()
    assert (engine.dtype, engine.device, engine.batch_invariant) == ("float32", "cpu", False)


def test_three_adapters_answer_as_the_students_own_decoder(
    student: CausalLM, engine: ServingEngine, states: dict[str, bytes], tmp_path: Path
) -> None:
    own = {name: student.answer(weights, PROMPTS, GREEDY, 0) for name, weights in states.items()}
    assert len(set(map(tuple, own.values()))) == len(own), "the states can be told apart"
    for _ in range(2):
        for name, weights in states.items():
            assert answer(engine, student, (name, weights), PROMPTS, GREEDY, 0, tmp_path) == own[name]
    adapters_in(engine.address, tmp_path).close()
    left = [model["id"] for model in ServingClient(engine.address).models() if model.get("parent")]
    assert left == []


def test_tokens_are_compared_and_not_their_text_alone(
    student: CausalLM, engine: ServingEngine, states: dict[str, bytes], tmp_path: Path
) -> None:
    served, server, name = ServedStudent(student), ServingClient(engine.address), "tokens"
    requests = [r for r in served.requests([p.text for p in PROMPTS], GREEDY, 0) if r is not None]
    with student._network.ready(states["state0"]):
        own = student._write([r.ids for r in requests], GREEDY.max_tokens, 0.0, (), whole=True)
    served.write_adapter(states["state0"], tmp_path)
    server.load(name, str(tmp_path))
    try:
        assert server.complete(name, requests, 0.0, served.stops) == own
    finally:
        server.unload(name)
    with pytest.raises(UnknownModelError):
        server.complete(name, requests, 0.0, served.stops)


def test_what_is_drawn_is_drawn_again_by_its_seed(
    student: CausalLM, engine: ServingEngine, states: dict[str, bytes], tmp_path: Path
) -> None:
    drawn, state = Decoding(temperature=1.0, max_tokens=12), ("state1", states["state1"])
    said = [answer(engine, student, state, PROMPTS, drawn, seed, tmp_path) for seed in (1, 1, 2)]
    assert said[0] == said[1]
    assert said[0] != said[2]


def test_a_rank_that_it_does_not_take_is_refused(student: CausalLM, address: str) -> None:
    """It was started for rank 4, and so takes 8."""
    high = CausalLM(**(student.args | {"rank": 16}))
    with pytest.raises(SettingError, match="--max-lora-rank of at least 16"):
        probe(address, ServedStudent(high))
