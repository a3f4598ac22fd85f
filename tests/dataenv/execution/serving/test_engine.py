"""A server is asked what it is before anything is trained, and each thing that is amiss is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataenv import Setting
from dataenv.errors import SettingError
from dataenv.execution.serving.engine import ServingEngine, probe
from dataenv.execution.serving.process import served_by, stop_all
from dataenv.setting import make_setting
from students.causal_lm.served import ServedStudent
from students.causal_lm.student import CausalLM
from tests.stand_in import VERSION, StandIn
from tests.tiny_lm import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What one test learned of a server is not for the next."""
    yield
    stop_all()


def served(folder: Path, **args: Any) -> ServedStudent:
    return ServedStudent(CausalLM(path=str(folder), **{"context": 96, "rank": 4, "dtype": "float32", **args}))


def test_what_a_server_tells_is_in_its_name(tiny: Path) -> None:
    with StandIn(tiny) as silent, StandIn(tiny, "--invariant=yes") as telling:
        assert probe(silent.address, served(tiny)).identity == {"engine": "vllm", "version": VERSION}
        engine = probe(telling.address, served(tiny))
        assert engine == ServingEngine(
            version=VERSION, dtype="float32", device="cpu", batch_invariant=True, address=telling.address
        )
        assert "address" not in engine.identity
        assert not telling.engine.adapters, "nothing of the probe stays behind"


def test_a_copy_of_the_base_model_elsewhere_is_the_same_model(tiny: Path, tmp_path: Path) -> None:
    with StandIn(save_tiny(tmp_path / "copy")) as server:
        probe(server.address, served(tiny))


@pytest.mark.parametrize(
    ("words", "args", "said"),
    [
        (
            ["--max-lora-rank=8"],
            {"rank": 9},
            r"rank 9 is greater than max_lora_rank 8.* at least 9 and",
        ),
        (["--max-model-len=64"], {}, r"reads 64 tokens and student_args.context is 96; serve with --max-model-len 96"),
        (["--fault=drifts"], {}, r"answers the same prompt of \d+ tokens differently twice"),
        (["--fault=silent"], {}, r"gives no token ids with its answers"),
        (["--fault=depends", "--invariant=yes"], {}, r"promises that answers do not depend on what is asked beside"),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_a_server_that_cannot_answer_is_refused(tiny: Path, words: list[str], args: dict[str, Any], said: str) -> None:
    with StandIn(tiny, *words) as server:
        with pytest.raises(SettingError, match=said) as caught:
            probe(server.address, served(tiny, **args))
        assert str(caught.value).count("\n") == 0
        assert not server.engine.adapters


def test_a_server_whose_answers_depend_on_their_company_is_told_of(tiny: Path, caplog: Any) -> None:
    with StandIn(tiny, "--fault=depends", "--invariant=no") as server:
        engine = probe(server.address, served(tiny))
    assert engine.batch_invariant is False
    assert "depends on what is asked beside it" in caplog.text


def test_a_server_with_another_base_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    refused = pytest.raises(SettingError, match="which is not the base model of the student; serve")
    with StandIn(save_tiny(tmp_path / "other", seed=1)) as server, refused:
        probe(server.address, served(tiny))


def test_no_server_is_one_sentence(tiny: Path) -> None:
    with pytest.raises(SettingError, match=r"no server answers at http://127\.0\.0\.1:9 .*; start it there"):
        probe("http://127.0.0.1:9", served(tiny))


def test_a_student_that_cannot_be_served_is_refused(tiny: Path) -> None:
    whole = CausalLM(path=str(tiny), context=96, adapter="none")
    with pytest.raises(SettingError, match=r"student_args\.adapter is 'none'"):
        served_by("vllm:http://127.0.0.1:9", whole)
    with pytest.raises(SettingError, match="student 'pocket' cannot be served; give 'causal-lm'"):
        Setting(answers="vllm:http://127.0.0.1:9").engine_of_answers  # noqa: B018


@pytest.mark.parametrize(
    "answers",
    ["vllm:", "vllm:localhost:8000", "vllm:ftp://a:1", "sglang:http://a:1", "vllm:http://a:1/v1", "vllm:http://u:p@a"],
)
def test_answers_that_name_no_server(answers: str) -> None:
    with pytest.raises(SettingError, match="give 'vllm' or 'vllm:http://host:port'"):
        make_setting({"answers": answers})


def test_a_setting_keeps_its_name_and_says_no_address() -> None:
    """A Setting without ``answers`` is what it was; the place of a server is in no name and in nothing written."""
    plain, here, there = Setting(), Setting(answers="vllm:http://a:1/"), Setting(answers="vllm:http://b:2")
    assert "answers" not in plain.model_dump()
    assert here.digest == there.digest != plain.digest
    assert here.model_dump(mode="json")["answers"] == "vllm"
    assert here.changed(lesson_size=7).answers == "vllm:http://a:1"
