"""The simulation that the statistics are proven by: a few boards of it, and that it does fail for what is wrong."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dataenv.leaderboard.statistics.formulas import PairedT, paired_t

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def prove(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"):  # tests/bench/common.py sets them
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("DATAENV_STORE", raising=False)
    monkeypatch.syspath_prepend(BENCH)
    for name in ("common", "worlds", "null_models", "prove_statistics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import prove_statistics

    return prove_statistics


def test_the_shipped_statistics_hold_their_level(prove: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--quick"]) == 0
    shown = capsys.readouterr().out
    assert "DOES NOT HOLD" not in shown
    assert shown.count("holds:") > 8


def by_normal_quantiles(differences: list[float]) -> PairedT:
    """What a z test would say: six seeds taken for many."""
    t = paired_t(differences)
    error = t.sd / math.sqrt(len(differences))
    return t._replace(p=math.erfc(abs(t.gain) / error / math.sqrt(2)))


def by_t_alone(p: dict[str, float], differences: object) -> dict[str, float]:
    return dict(p)


def test_a_test_that_errs_too_often_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import null_models

    monkeypatch.setattr(null_models, "paired_t", by_normal_quantiles)
    monkeypatch.setattr(null_models, "sign_flips", lambda differences: dict.fromkeys(differences, 0.0))
    monkeypatch.setattr(null_models, "corrected", lambda p, differences: null_models.holm(p))
    claims = prove.level(200, 0)
    assert not claims["3 seeds: false positives of a comparison at most 5 %"]
    assert not claims["6 seeds: false positives of a board at most 5 %"]


def test_a_board_without_a_correction_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import null_models

    monkeypatch.setattr(null_models, "corrected", by_t_alone)
    claims = prove.level(200, 0)
    assert claims["6 seeds: false positives of a comparison at most 5 %"]
    assert not claims["6 seeds: false positives of a board at most 5 %"]


def test_a_summary_that_says_other_p_is_caught(prove: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "corrected", by_t_alone)
    assert not prove.whole(2, 0)["p of summarise are those of the bare functions"]


def test_a_board_that_takes_its_items_for_all_there_are_is_caught(
    prove: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import null_models

    of_seeds_alone = null_models.crossed
    monkeypatch.setattr(null_models, "crossed", lambda d, items: of_seeds_alone(d, items)._replace(p=0.0))
    claims = null_models.items_drawn(200, 0)
    assert not claims["300 items, sd 0.5: a draw of items is taken for a gain at most 5 % of the time"]


def test_simulated_students_have_the_accuracy_they_should(prove: ModuleType) -> None:
    from tasks.records import stream

    rng = stream(1, "here")
    items = prove.Items(rng)
    right = [prove.board(rng, items, 6).mean() for _ in range(40)]
    assert sum(right) / len(right) == pytest.approx(prove.LEVEL, abs=0.015)
