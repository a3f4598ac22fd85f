"""``image-mlp`` and ``image-cnn``: small image classifiers that are trained from scratch, on one thread.

A picture is one token, and so is the name of its class: the budget counts pictures. PyTorch computes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.training.loop import Optimisation, pack, unpack, walked
from students.vision.networks import CONVOLUTION, PERCEPTRON, Net
from tasks import media
from tasks.images.sizing import sized
from tasks.records import Example, canonical_json, stream

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
DIGITS = tuple("0123456789")
PASS = 4096
"""Pictures that are looked at at once."""


class ShownPictures(NamedTuple):
    """One update's pictures ``(n, side, side)`` in [0, 1], their classes ``(n,)``, and how many there are."""

    pictures: torch.Tensor
    labels: torch.Tensor
    tokens: int


class ImageClassifier(Student):
    """A student that says of one picture which class it is.

    It sees brightness alone. A picture of another size than ``side`` is averaged or repeated to that size, and where
    there is no picture, it sees a black one.

    Args:
        classes: The names of the classes; it can give no other answer, and is taught no other.
        side: Height and width of what it sees, in pixels.
        width: Hidden units, or channels of the first convolution.
        threads: Threads while it trains or answers. Results are bit-exact within one number of threads.
    """

    sees = ("text", "image")
    code: ClassVar[tuple[str, ...]] = (
        "students.training.loop",
        "students.training.adamw",
        "students.vision.networks",
        "tasks.images.convolution",
        "tasks.images.sizing",
        "tasks.media.png",
    )
    network: ClassVar[Net]

    def __init__(self, classes: Sequence[str], side: int, width: int, threads: int) -> None:
        names = list(classes)
        super().__init__(classes=names, side=side, width=width, threads=threads)
        if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(n, str) and n.strip() for n in names):
            raise ValueError(f"student_args.classes is {names!r:.80}; give two or more distinct names")
        for field, value, least in (("side", side, 4), ("width", width, 1), ("threads", threads, 1)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"student_args.{field} is {value!r}; it must be a whole number of at least {least}")
        self.side, self.width, self.threads = side, width, threads
        self._labels = {name: i for i, name in enumerate(names)}
        self._names = names

    @property
    def base(self) -> dict[str, Any]:
        """Architecture; there are no base weights, for the student is trained from scratch."""
        return {"architecture": self.name, "input": "grey"}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """CPU, float32, the number of threads, the instruction set, and the libraries that compute."""
        import torch

        return {
            "device": "cpu",
            "dtype": "float32",
            "threads": self.threads,
            "isa": torch.backends.cpu.get_cpu_capability(),
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
        }

    def initial(self, seed: int) -> bytes:
        """Freshly initialised weights of a seed, without optimiser state."""
        return pack(self.network.untrained(self.side, len(self._names), self.width, stream(seed, "weights")))

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW (betas 0.9, 0.95) on the classes of ``data``; see ``Student.fit``."""
        import torch
        from torch.nn import functional

        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        torch.set_num_threads(self.threads)
        tensors, moments = unpack(weights, trunk=True)
        held = {name: torch.nn.Parameter(value) for name, value in sorted(tensors.items())}
        lesson, earlier, watched = (self._seen(part) for part in (data.lesson, data.earlier, data.watched))

        def loss(shown: ShownPictures) -> torch.Tensor:
            return functional.cross_entropy(self.network.scores(held, shown.pictures), shown.labels)

        def look() -> float:
            with torch.no_grad():
                return float(loss(watched))

        run = Optimisation[ShownPictures](held, loss, recipe, moments)
        fitted = run.run(_turns(lesson, earlier, recipe, seed), look if data.watched else None)
        return pack({name: value.detach() for name, value in held.items()}, fitted), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """The likeliest class, or one drawn; no answer depends on what else is asked."""
        pictures = self._pictures([shown[:1] for _, shown in asked])
        scores = self._scores(weights, pictures)
        if decoding.temperature:
            draws = [stream(seed, "answer", _place(a)).gumbel(size=len(self._names)) for a in asked]
            scores = scores / decoding.temperature + np.array(draws).reshape(scores.shape)
        return [self._names[i] for i in scores.argmax(1).tolist()]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Negative log probability of each example's class, in nats."""
        chances = self._log_chances(weights, examples)
        return [max(0.0, -float(row[self._label(e)])) for row, e in zip(chances, examples, strict=True)]

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Entropy of the predicted classes of each example's picture, in nats; at most the log of their number."""
        chances = self._log_chances(weights, examples)
        found: list[float] = np.maximum(0.0, -(np.exp(chances) * chances).sum(1)).tolist()
        return found

    def guide(self, weights: bytes) -> Callable[[Floats], tuple[Floats, Floats]]:
        """What steers a generator towards pictures that the student is unsure of.

        Returns:
            A function of pictures ``(n, side, side)`` in [0, 1] that gives the entropy of the predicted classes
            ``(n,)`` in nats, and its gradient with respect to the pixels, of the pictures' shape.
        """
        held = self._held(weights)

        def entropy(pictures: Floats) -> tuple[Floats, Floats]:
            import torch

            if pictures.shape[1:] != (self.side, self.side):
                raise ValueError(
                    f"student_args.side is {self.side}, and the generator draws {pictures.shape[2]}x"
                    f"{pictures.shape[1]} pixels; give student_args.side = {pictures.shape[1]}"
                )
            with torch.enable_grad():
                x = torch.tensor(pictures, requires_grad=True)
                chances = self.network.scores(held, x).log_softmax(1)
                found = -(chances.exp() * chances).sum(1)
                (gradient,) = torch.autograd.grad(found.sum(), x)
            return np.asarray(found.detach().numpy()), np.asarray(gradient.numpy())

        return entropy

    def tokens(self, example: Example) -> int:
        """One: a picture."""
        return 1

    def refuse(self, example: Example) -> str | None:
        """``alphabet`` for a class that it does not know, ``length`` for more than one picture."""
        if len(example.media) > 1:
            return "length"
        return None if example.response.strip(" ") in self._labels else "alphabet"

    def export(self, weights: bytes, folder: Path) -> None:
        """Write the weights as safetensors, and the classes and sizes as ``config.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors, _ = unpack(weights)
        (folder / "model.safetensors").write_bytes(pack(tensors))
        (folder / "config.json").write_text(canonical_json({"student": self.name, **self.args}), encoding="utf-8")

    def _label(self, example: Example) -> int:
        return self._labels[example.response.strip(" ")]

    def _held(self, weights: bytes) -> dict[str, torch.Tensor]:
        import torch

        torch.set_num_threads(self.threads)
        return unpack(weights)[0]

    def _scores(self, weights: bytes, pictures: Floats) -> npt.NDArray[np.float64]:
        import torch

        held = self._held(weights)
        with torch.no_grad():
            parts = [
                self.network.scores(held, torch.from_numpy(pictures[i : i + PASS])).double().numpy()
                for i in range(0, len(pictures), PASS)
            ]
        return np.concatenate([np.zeros((0, len(self._names))), *parts])

    def _log_chances(self, weights: bytes, examples: Sequence[Example]) -> npt.NDArray[np.float64]:
        scores = self._scores(weights, self._of(examples))
        scores = scores - scores.max(1, keepdims=True, initial=-np.inf)
        return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)))

    def _seen(self, examples: Sequence[Example]) -> ShownPictures:
        import torch

        labels = np.array([self._label(e) for e in examples], np.int64)
        return ShownPictures(torch.from_numpy(self._of(examples)), torch.from_numpy(labels), len(examples))

    def _of(self, examples: Sequence[Example]) -> Floats:
        return self._pictures([tuple(map(media.picture, e.media[:1])) for e in examples])

    def _pictures(self, shown: Sequence[tuple[bytes, ...]]) -> Floats:
        """What it sees of each, ``(n, side, side)`` in [0, 1]."""
        out = np.zeros((len(shown), self.side, self.side), np.float32)
        for i, files in enumerate(shown):
            for file in files:
                out[i] = sized(media.grey(file), self.side) / 255
        return out


def _place(asked: Asked) -> int:
    """A number that names what is asked, for draws of its own."""
    return zlib.crc32(b"".join((asked.text.encode("utf-8", "surrogatepass"), *asked.media)))


def _turns(lesson: ShownPictures, earlier: ShownPictures, recipe: Recipe, seed: int) -> Iterator[ShownPictures]:
    """Batches without end: the lesson in epochs (``walked``), and what is replayed again and again."""
    import torch

    rng = stream(seed, "replay")
    replayed = round(recipe.batch * recipe.replay) if earlier.tokens else 0
    for picked in walked(lesson.tokens, recipe.batch - replayed, recipe, seed):
        parts = [(lesson, torch.tensor(picked))]
        if replayed:
            parts.append((earlier, torch.from_numpy(rng.integers(earlier.tokens, size=replayed))))
        pictures = torch.cat([part.pictures[rows] for part, rows in parts])
        yield ShownPictures(pictures, torch.cat([part.labels[rows] for part, rows in parts]), len(pictures))


class ImageMlp(ImageClassifier):
    """A perceptron with one hidden layer.

    Args:
        classes: The names of the classes.
        side: Height and width of what it sees, in pixels.
        width: Hidden units.
        threads: Threads while it trains or answers.
    """

    name = "image-mlp"
    network = PERCEPTRON

    def __init__(self, classes: Sequence[str] = DIGITS, side: int = 12, width: int = 128, threads: int = 1) -> None:
        super().__init__(classes, side, width, threads)


class ImageCnn(ImageClassifier):
    """Two convolutions and one dense layer.

    Args:
        classes: The names of the classes.
        side: Height and width of what it sees, in pixels.
        width: Channels of the first convolution; the second has twice as many.
        threads: Threads while it trains or answers.
    """

    name = "image-cnn"
    network = CONVOLUTION

    def __init__(self, classes: Sequence[str] = DIGITS, side: int = 12, width: int = 16, threads: int = 1) -> None:
        super().__init__(classes, side, width, threads)
