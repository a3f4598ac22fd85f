"""The student ``pocket-vlm``: 0.08 M parameters, trained from scratch, that answer a question about a picture.

It answers with one of a closed list of texts. So an answer is one token, and what it is not asked to tell apart it does
not have to learn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.pocket.decoding import choose, draws_for
from students.pocket_vlm.words import ANSWERS, SIZE, AnswerList, rows_of
from students.training.loop import IGNORE, Batch, Encoded, Optimisation, batches, pack, unpack
from tasks import media
from tasks.media.likeness import averaged
from tasks.records import Example

if TYPE_CHECKING:
    import torch

    from students.pocket_vlm.network import FilmNetwork

PASS = 256
"""Examples that are measured at once."""
CONTEXT = 24
"""Most words of a question."""
SIDE = 32
Pictures = npt.NDArray[np.uint8]


class _Shown(NamedTuple):
    """Rows for the network, and what they show: pictures ``(n, 3, SIDE, SIDE)``, of which each row names one first."""

    rows: Encoded
    pictures: Pictures


class PocketVlm(Student):
    """A small student that sees: convolutions that the words of the question scale and shift, then one answer.

    Args:
        answers: All that it can answer; those of the tasks ``vqa`` and ``scenes`` and the digits, if not given.
        width: Channels; a multiple of 4.
        blocks: Blocks of the network that the question conditions.
        threads: Torch's. Results are bit-exact within one number of threads.
    """

    name = "pocket-vlm"
    sees: ClassVar[tuple[str, ...]] = ("text", "image")
    code: ClassVar[tuple[str, ...]] = (
        "students.pocket.decoding",
        "students.pocket_vlm.network",
        "students.pocket_vlm.words",
        "students.training.adamw",
        "students.training.loop",
        "tasks.media.likeness",
        "tasks.media.png",
    )

    def __init__(
        self, answers: Sequence[str] | None = None, width: int = 32, blocks: int = 2, threads: int = 1
    ) -> None:
        sizes = {"width": width, "blocks": blocks, "threads": threads}
        super().__init__(**sizes, answers=list(ANSWERS if answers is None else answers))
        for field, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"student_args.{field} is {value!r}; it must be a whole number of at least 1")
        if width % 4:
            raise ValueError(f"student_args.width is {width}; it must be a multiple of 4")
        self.answers = AnswerList(ANSWERS if answers is None else answers)
        self.width, self.blocks, self.threads = width, blocks, threads

    @property
    def base(self) -> dict[str, Any]:
        """Architecture; there are no base weights, for the student is trained from scratch."""
        return {"architecture": "film", "side": SIDE, "context": CONTEXT}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """CPU, float32, the number of threads, the instruction set, and the library that computes."""
        import torch

        return {
            "device": "cpu",
            "dtype": "float32",
            "threads": self.threads,
            "isa": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__.split("+")[0],
        }

    def initial(self, seed: int) -> bytes:
        """Freshly initialised weights of a seed, without optimiser state."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return pack(self._network().state_dict())

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW on ``data``; see ``Student.fit``."""
        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        network, moments = self._loaded(weights, trunk=True)
        lesson = self._shown(data.lesson)
        earlier = self._shown(data.earlier, first=len(lesson.pictures))
        pictures = self._tensor(np.concatenate([lesson.pictures, earlier.pictures]))

        def loss_of(batch: Batch) -> torch.Tensor:
            logits, targets = self._logits(network, pictures, batch.ids, batch.targets)
            return torch.nn.functional.cross_entropy(logits, targets)

        def look() -> float:
            return float(np.mean(self._measured(network, data.watched)[0]))

        import torch

        endless = batches(lesson.rows, earlier.rows, recipe, seed)
        run = Optimisation(dict(network.named_parameters()), loss_of, recipe, moments)
        fitted = run.run(endless, look if data.watched else None)
        return pack(network.state_dict(), fitted), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """One text of the list for each question; nothing for a question that is too long."""
        can = [i for i, one in enumerate(asked) if len(rows_of(one.text)) <= CONTEXT and len(one.media) <= 1]
        said = [""] * len(asked)
        if not can:
            return said
        some = [asked[i] for i in can]
        shown = _encoded([(one.text, one.media, 0) for one in some])
        logits = self._each(self._loaded(weights)[0], shown).numpy()
        names = [" ".join([text, *(hashlib.sha256(png).hexdigest() for png in pngs)]) for text, pngs in some]
        draws = draws_for(seed, names, 1)[:, 0] if decoding.temperature else np.zeros(len(some))
        for i, place in zip(can, choose(logits, decoding.temperature, draws).tolist(), strict=True):
            said[i] = self.answers.answers[place]
        return said

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """The loss of each response, in nats."""
        return self._measured(self._loaded(weights)[0], examples)[0] if examples else []

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """The entropy over all answers, in nats; at most the log of their number."""
        return self._measured(self._loaded(weights)[0], examples)[1] if examples else []

    def tokens(self, example: Example) -> int:
        """One for the picture, one for each word of the question, and one for the answer if there is any."""
        return 1 + len(rows_of(example.prompt)) + bool(example.response)

    def refuse(self, example: Example) -> str | None:
        """``length`` beyond ``CONTEXT`` words, ``media`` for several pictures, ``alphabet`` for what it cannot say."""
        if len(rows_of(example.prompt)) > CONTEXT:
            return "length"
        if len(example.media) > 1:
            return "media"
        return "alphabet" if example.response and self.answers.place(example.response) is None else None

    def export(self, weights: bytes, folder: Path) -> None:
        """Write ``model.safetensors`` and ``config.json``, of which ``FilmNetwork`` is built; not for transformers."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_bytes(pack(self._loaded(weights)[0].state_dict()))
        held = self.base | {"width": self.width, "blocks": self.blocks, "words": SIZE, "answers": self.answers.answers}
        (folder / "config.json").write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")

    def _network(self) -> FilmNetwork:
        import torch

        from students.pocket_vlm.network import FilmNetwork

        torch.set_num_threads(self.threads)
        return FilmNetwork(SIZE, len(self.answers.answers), self.width, self.blocks)

    def _loaded(self, weights: bytes, trunk: bool = False) -> tuple[FilmNetwork, dict[str, torch.Tensor]]:
        """The network of a State, and AdamW's moments."""
        import torch

        tensors, moments = unpack(weights, trunk)
        with torch.random.fork_rng(devices=[]):
            network = self._network()
        network.load_state_dict(tensors)
        return network, moments

    def _shown(self, examples: Sequence[Example], first: int = 0) -> _Shown:
        places = [self.answers.place(e.response) for e in examples]
        known = [IGNORE if place is None else place for place in places]
        rows = [(e.prompt, tuple(map(media.picture, e.media)), k) for e, k in zip(examples, known, strict=True)]
        return _encoded(rows, first)

    @staticmethod
    def _tensor(pictures: Pictures) -> torch.Tensor:
        import torch

        return torch.from_numpy(pictures)

    @staticmethod
    def _logits(
        network: FilmNetwork, pictures: torch.Tensor, ids: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of some rows, and what is right: the last target of each, the only one there is."""
        import torch

        words = torch.from_numpy(np.where(targets == IGNORE, ids, 0)[:, 1:])
        return network(pictures[torch.from_numpy(ids[:, 0])], words), torch.from_numpy(targets.max(1))

    def _each(self, network: FilmNetwork, shown: _Shown) -> torch.Tensor:
        """Logits of all rows, ``(n, answers)``."""
        import torch

        ids, targets, pictures = shown.rows.ids, shown.rows.targets, self._tensor(shown.pictures)
        with torch.inference_mode():
            parts = [
                self._logits(network, pictures, ids[i : i + PASS], targets[i : i + PASS])[0]
                for i in range(0, len(ids), PASS)
            ]
        return torch.cat(parts)

    def _measured(self, network: FilmNetwork, examples: Sequence[Example]) -> tuple[list[float], list[float]]:
        """Loss and entropy of each."""
        import torch

        shown = self._shown(examples)
        likely = self._each(network, shown).double().log_softmax(1)
        right = torch.from_numpy(shown.rows.targets.max(1))
        losses = -likely[torch.arange(len(right)), right]
        return losses.tolist(), (-(likely.exp() * likely).sum(1)).tolist()


def _encoded(rows: Sequence[tuple[str, tuple[bytes, ...], int]], first: int = 0) -> _Shown:
    """Rows of question, pictures and answer. Each row begins with the place of its picture, from ``first`` on."""
    places: dict[bytes, int] = {}
    held = [(places.setdefault(pngs[0] if pngs else b"", first + len(places)), text, k) for text, pngs, k in rows]
    pictures = [_seen(png) for png in places]
    encoded = Encoded([([place, *rows_of(text)], [k]) for place, text, k in held], 0)
    return _Shown(encoded, np.stack(pictures) if pictures else np.zeros((0, 3, SIDE, SIDE), np.uint8))


@lru_cache(maxsize=8192)
def _seen(png: bytes) -> Pictures:
    """A picture as the network takes it, ``(3, SIDE, SIDE)``; grey where there is none."""
    if not png:
        return np.full((3, SIDE, SIDE), 128, np.uint8)
    pixels = media.pixels(png)
    if pixels.shape[:2] != (SIDE, SIDE):
        planes = [averaged(pixels[..., c].astype(np.float64), SIDE, SIDE) for c in range(3)]
        pixels = np.stack(planes, 2).round().astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
