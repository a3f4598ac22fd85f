"""A trained generator of pictures: a denoiser, and the classifier that checks labels, as one file of weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.images.convolution import convolved
from tasks.images.denoiser import DenoiserSizes, Floats, Guide, Steering, drawn
from tasks.records import canonical_json, digest

if TYPE_CHECKING:
    import torch

ABOUT = "generator"
"""The entry of a file's metadata that holds the rest as JSON."""
STORED = np.float16
"""How weights are kept in a file; all is computed in float32."""


@dataclass(frozen=True)
class Generator:
    """What a file of ``python -m tasks.images.pretrain`` holds.

    Attributes:
        network: Sizes of the denoiser.
        denoiser: Its parameters by name, float32.
        checker: Those of the classifier.
    """

    network: DenoiserSizes
    denoiser: Mapping[str, Floats]
    checker: Mapping[str, Floats]

    @cached_property
    def digest(self) -> str:
        """Names all of it, as half precision keeps it."""
        named = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in self._stored.items()}
        return digest([dict(sorted(named.items())), asdict(self.network)])

    def write(self, path: Path) -> None:
        """Write the file, in half precision: reading it gives what half precision keeps."""
        from safetensors.numpy import save

        about = {**asdict(self.network), "digest": self.digest}
        path.write_bytes(save(dict(self._stored), {ABOUT: canonical_json(about)}))

    def draw(
        self,
        labels: npt.NDArray[np.int64],
        rng: np.random.Generator,
        steering: Steering,
        guide: Guide | None = None,
    ) -> Floats:
        """One picture of each label ``(n,)``: ``(n, side, side)`` in [0, 1]."""
        return drawn(self._tensors("denoiser"), self.network, labels, rng, steering, guide)

    def checked(self, pictures: Floats) -> npt.NDArray[np.int64]:
        """The class that the checker sees in each picture ``(n, side, side)`` in [0, 1]."""
        import torch

        torch.set_num_threads(1)
        with torch.no_grad():
            scores = convolved(self._tensors("checker"), torch.from_numpy(np.ascontiguousarray(pictures, np.float32)))
        return np.asarray(scores.argmax(1).numpy(), np.int64)

    def _tensors(self, part: str) -> dict[str, torch.Tensor]:
        import torch

        held: Mapping[str, Floats] = getattr(self, part)
        return {name: torch.from_numpy(value) for name, value in held.items()}

    @cached_property
    def _stored(self) -> dict[str, npt.NDArray[np.float16]]:
        parts = {"denoiser": self.denoiser, "checker": self.checker}
        return {
            f"{part}.{name}": np.ascontiguousarray(value, STORED)
            for part, held in parts.items()
            for name, value in held.items()
        }


def read_generator(path: Path) -> Generator:
    """Read a file of weights.

    Raises:
        ValueError: If there is none, or it is not whole.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"generator is {str(path)!r}, which is no file; give one of tasks.images.pretrain")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            held = {name: file.get_tensor(name).astype(np.float32) for name in sorted(file.keys())}
        named = about.pop("digest")
        parts = (
            {name.removeprefix(f"{part}."): v for name, v in held.items() if name.startswith(f"{part}.")}
            for part in ("denoiser", "checker")
        )
        found = Generator(DenoiserSizes(**about), *parts)
        whole = found.digest == named
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"generator is {str(path)!r}, which tasks.images.pretrain did not write "
            f"({type(error).__name__}: {error}); give a file of it"
        ) from None
    if not whole:
        raise ValueError(f"generator is {str(path)!r}, which is damaged: its digest is another; write it again")
    return found
