"""Training makes the generator better and repeats itself; its file gives back what half precision keeps."""

from pathlib import Path

import numpy as np
import pytest

from tasks.images import pretrain
from tasks.images.denoiser import Steering
from tasks.images.generator import read_generator
from tasks.records import stream
from tests.pictures import made_up


def test_a_short_training_tells_classes_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrain, "CHECKER_UPDATES", 150)
    pictures, labels = made_up(20)
    shown = (pictures / 255).astype(np.float32)
    made = pretrain.trained(shown, labels, 64, 1, 1500, 0)
    again = pretrain.trained(shown, labels, 64, 1, 20, 0)
    assert again.digest == pretrain.trained(shown, labels, 64, 1, 20, 0).digest != made.digest
    assert np.mean(made.checked(shown) == labels) > 0.9
    wanted = np.repeat(np.arange(10), 20)
    right = np.mean(made.checked(made.draw(wanted, stream(0, "d"), Steering())) == wanted)
    assert right > 0.4  # 0.1 by chance
    made.write(tmp_path / "g.safetensors")
    read = read_generator(tmp_path / "g.safetensors")
    assert read.digest == made.digest
    read.write(tmp_path / "h.safetensors")
    assert (tmp_path / "h.safetensors").read_bytes() == (tmp_path / "g.safetensors").read_bytes()


def test_a_shift_by_half_a_pixel_is_the_mean_of_two() -> None:
    picture = np.zeros((1, 3, 3), np.float32)
    picture[0, 1, 1] = 1
    np.testing.assert_allclose(pretrain.shifted(picture, 0.5, 0)[0, :, 1], [0, 0.5, 0.5])
    np.testing.assert_allclose(pretrain.shifted(picture, 0, -0.5)[0, 1], [0.5, 0.5, 0])
    np.testing.assert_array_equal(pretrain.shifted(picture, 0, 0), picture)
