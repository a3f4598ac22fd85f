"""The sampler: pictures in range, equal draws for an equal generator, and guidance that raises what it is told to."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tasks.images import denoiser
from tasks.images.denoiser import DenoiserSizes, Steering, drawn, predicted, untrained
from tasks.records import stream

NETWORK = DenoiserSizes(side=6, classes=3, width=16, blocks=2)
LABELS = np.array([0, 1, 2, 1])


def held() -> dict[str, torch.Tensor]:
    rng = stream(0, "weights")
    made = untrained(NETWORK, rng)
    made = {n: v if v.any() else 0.1 * rng.standard_normal(v.shape, np.float32) for n, v in made.items()}
    return {name: torch.from_numpy(value) for name, value in made.items()}


def test_draws_follow_the_generator_and_stay_in_range() -> None:
    first = drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering())
    assert first.shape == (4, 6, 6)
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_array_equal(first, drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering()))
    assert (first != drawn(held(), NETWORK, LABELS, stream(2, "d"), Steering())).any()
    assert drawn(held(), NETWORK, LABELS[:0], stream(1, "d"), Steering()).shape == (0, 6, 6)


def test_a_perfect_denoiser_of_one_picture_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With v = alpha * noise - sigma * clean for one known picture, DDIM ends at that picture, whatever the noise."""
    clean = torch.linspace(-1, 1, 36)

    def exact(_: object, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        alpha, sigma = torch.cos(torch.pi / 2 * time)[:, None], torch.sin(torch.pi / 2 * time)[:, None]
        return alpha * (x - alpha * clean) / sigma - sigma * clean

    monkeypatch.setattr(denoiser, "predicted", exact)
    made = drawn({}, NETWORK, LABELS, stream(1, "d"), Steering())
    np.testing.assert_allclose(made.reshape(4, -1), ((clean + 1) / 2).expand(4, 36), atol=1e-4)


def test_guidance_moves_pictures_up_the_gradient() -> None:
    def brighter(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pictures.mean((1, 2)), np.ones_like(pictures)

    plain = drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering(omega=0.0), brighter)
    guided = drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering(omega=0.1), brighter)
    np.testing.assert_array_equal(plain, drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering()))
    assert (guided.mean((1, 2)) > plain.mean((1, 2))).all()


def test_the_class_and_its_absence_are_told_apart() -> None:
    x, time = torch.ones(4, 36), torch.full((4,), 0.5)
    found = [predicted(held(), x, time, torch.full((4,), label)) for label in range(4)]
    assert all((a != b).any() for a, b in pairwise(found))
    scaled = drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering(scale=2.0))
    assert (scaled != drawn(held(), NETWORK, LABELS, stream(1, "d"), Steering())).any()
