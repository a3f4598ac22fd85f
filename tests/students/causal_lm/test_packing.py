"""Rows in one sequence: each sees its own beginning and nothing else, and results are those of rows alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from students.base import Data
from students.causal_lm import packing
from students.causal_lm.network import Network
from students.causal_lm.packing import packs
from tests.students.causal_lm.test_student import EXAMPLES, KINDS, RECIPE, plain, student_of
from tests.tiny_lm import save_tiny

MOST = 24
ROW = st.lists(st.integers(3, 5), min_size=1, max_size=12).map(tuple)
"""Of three tokens, so that many rows begin alike, and some are equal."""


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[int]]:
    front = draw(st.lists(st.integers(3, 5), max_size=6).map(tuple))
    rows = [front + row for row in draw(st.lists(ROW, min_size=1, max_size=9))]
    return rows, [draw(st.integers(0, len(row))) for row in rows]


@given(batches())
def test_a_token_sees_the_beginning_of_its_row_and_no_more(batch: Any) -> None:
    rows, kept = batch
    seen = []
    for pack in packs(rows, kept, MOST):
        looked = iter(pack.looked.tolist())
        for i in pack.rows:
            for place in range(len(rows[i]) - kept[i], len(rows[i])):
                sees = np.flatnonzero(pack.sees[next(looked)])
                assert tuple(pack.ids[sees].tolist()) == rows[i][: place + 1]
                assert pack.positions[sees].tolist() == list(range(place + 1))
        assert not list(looked)
        seen += pack.rows
    assert sorted(seen) == list(range(len(rows)))


@given(batches())
def test_what_rows_of_a_pack_share_is_there_once_and_no_pack_is_too_long(batch: Any) -> None:
    rows, kept = batch
    for pack in packs(rows, kept, MOST):
        beginnings = {rows[i][: n + 1] for i in pack.rows for n in range(len(rows[i]))}
        assert len(pack.ids) == len(beginnings) <= MOST


def test_a_sequence_is_longer_where_much_is_shared() -> None:
    """Else most of each would be what was computed in the one before."""
    front = tuple(range(packing.PACK // 2))
    rows = [(*front, *range(i, i + 64)) for i in range(40)]
    sizes = [len(pack.ids) for pack in packs(rows, [1] * 40, 10**6)]
    assert packing.PACK < max(sizes) <= packing.SHARE * len(front)
    assert max(len(pack.ids) for pack in packs([row[len(front) :] for row in rows], [1] * 40, 10**6)) <= packing.PACK


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: save_tiny(tmp_path_factory.mktemp(kind), kind) for kind in ("llama", "gpt2")}


def gradients(parameters: list[Any]) -> Any:
    """All of them as one vector; they are taken off."""
    import torch

    found = torch.cat([p.grad.flatten() for p in parameters])
    for parameter in parameters:
        parameter.grad = None
    return found


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_logits_and_gradients_are_those_of_rows_alone(kind: str, folders: dict[str, Path]) -> None:
    """Over lengths, shared beginnings and numbers of packs; heads that are tied, and all weights trained."""
    import torch

    student, model = student_of(folders[kind], adapter="none"), plain(folders[kind])
    network = student._network

    @settings(max_examples=25, deadline=None)
    @given(batches())
    def check(batch: Any) -> None:
        rows, kept = batch
        found = packing.forward(network.model, rows, kept, MOST, torch.float32, "cpu")
        alone = [
            model(input_ids=torch.tensor([row])).logits[0, len(row) - k :] for row, k in zip(rows, kept, strict=True)
        ]
        expected = torch.cat(alone)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
        weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
        if not sum(kept):
            return
        for logits in (found, expected):
            (logits * weights).sum().backward()
        one = gradients([network.trainable[name] for name, _ in model.named_parameters()])
        other = gradients(list(model.parameters()))
        assert float((one - other).norm()) <= 1e-4 * float(other.norm())

    with network.ready(student.initial(0), trunk=True):
        check()


@pytest.mark.parametrize("kind", KINDS)
def test_packed_or_padded_training_and_losses_are_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To rounding; also in several packs."""
    student = student_of(save_tiny(tmp_path, kind))
    weights = student.initial(0)

    def played() -> list[float]:
        taught, report = student.fit(weights, Data(EXAMPLES), RECIPE, 0)
        return [*report.loss, *student.losses(taught, EXAMPLES), *student.entropies(taught, EXAMPLES)]

    assert student._network.pack_most > 0
    packed = played()
    monkeypatch.setattr(packing, "PACK", 64)
    monkeypatch.setattr(packing, "SHARE", 1)
    assert played() == pytest.approx(packed, abs=2e-3)
    monkeypatch.setattr(Network, "pack_most", 0)
    assert played() == pytest.approx(packed, abs=2e-3)
