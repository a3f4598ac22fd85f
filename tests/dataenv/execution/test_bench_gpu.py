"""What ``make gpu`` runs, on a processor: the parts that need no card, and what is written of those that do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.scripts import script
from tests.tiny_lm import save_tiny

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "bench"))
    return script("bench_gpu")


def bench_of(made: ModuleType, folder: Path, seconds: float = 600, path: str = "nowhere") -> Any:
    return made.Bench(path, "cpu", 1, time.monotonic() + seconds, folder)


def test_without_a_card_parts_are_said_not_to_have_run(made: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    found = made.run(bench_of(made, tmp_path), out, ["card", "tests", "memory"])
    assert found["card"]["device"] == "cpu"
    assert found["tests"]["not run"] == found["memory"]["not run"] == "needs a CUDA card"
    assert json.loads(out.read_text()) == found


def test_a_part_that_fails_says_why_and_the_next_goes_on(
    made: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(bench: Any) -> dict[str, Any]:
        raise ValueError("no such kernel")

    monkeypatch.setitem(made.PARTS, "speed", broken)
    found = made.run(bench_of(made, tmp_path), tmp_path / "gpu.json", ["speed", "card"])
    assert found["speed"]["failed"] == "ValueError: no such kernel"
    assert "failed" not in found["card"]
    assert ("speed", "failed", "ValueError: no such kernel") in made.rows_of(found)


def test_what_no_time_is_left_for_is_not_begun(made: ModuleType, tmp_path: Path) -> None:
    found = made.run(bench_of(made, tmp_path, seconds=made.LEAST - 1), tmp_path / "gpu.json", ["card"])
    assert found["card"]["not run"] == "no time was left"


def test_a_command_that_takes_too_long_is_ended(made: ModuleType, tmp_path: Path) -> None:
    bench = bench_of(made, tmp_path)
    with pytest.raises(made.NotRunError, match="took more than 1 s"):
        bench.command("-c", "import time; time.sleep(60)", seconds=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_parts_that_need_no_card(made: ModuleType, tmp_path: Path) -> None:
    bench = bench_of(made, tmp_path, seconds=1000, path=str(save_tiny(tmp_path / "tiny", positions=256)))
    found = made.run(bench, tmp_path / "gpu.json", ["repeats", "speed", "many", "shares"])
    assert [name for name, values in found.items() if "failed" in values or "not run" in values] == []
    assert {dtype: found["repeats"][dtype] for dtype in ("float32", "bfloat16")} == {
        dtype: {"runs": 4, "different": 1} for dtype in ("float32", "bfloat16")
    }
    assert found["shares"]["equal"] is True
    for name in ("pocket-stacked, 4 students", "adapters, 4 students"):
        assert {said for what, said in found["many"][name].items() if what.startswith("equal")} == {True}
    assert found["speed"].keys() == {"causal-lm float32", "plain loop float32", "part_s"}
