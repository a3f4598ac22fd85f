"""``digits``: real handwritten digits that Python packages bring along, and a small diffusion model of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tasks import media
from tasks.images.denoiser import Guide, Steering
from tasks.images.generator import Generator, read_generator
from tasks.images.packaged import Labels, Pictures, packaged
from tasks.images.sorting import sort_out
from tasks.images.task import ImageClasses
from tasks.records import Example

CLASSES = tuple("0123456789")
ROUNDS = 20
"""Times that pictures are drawn in place of those that the checker refused, or that are sealed."""


class Digits(ImageClasses):
    """Ten classes of small grey pictures.

    The generator and the classifier that checks its labels have seen the pool alone. They are used when examples are
    generated, and loaded then.

    Args:
        source: ``mnist``, 12x12, or ``optical``, 8x8; see ``tasks.images.packaged``.
        generator: A file of ``python -m tasks.images.pretrain``; empty for the one that comes along.
        imbalance: How many times as many pictures the pool holds of 0 as of 9.
    """

    name: ClassVar[str] = "digits"
    version: ClassVar[str] = "1"
    code: ClassVar[tuple[str, ...]] = (
        "tasks.images.convolution",
        "tasks.images.denoiser",
        "tasks.images.generator",
        "tasks.images.packaged",
        "tasks.images.sorting",
    )
    """Modules that decide what is drawn."""

    def __init__(self, source: str = "mnist", generator: str = "", imbalance: float = 1.0) -> None:
        data = sort_out(*packaged(source))
        super().__init__(data, CLASSES, imbalance)
        self._path = Path(generator) if generator else Path(__file__).with_name(f"{source}.safetensors")

    def judge(self, example: Example) -> bool | None:
        """Whether the class is right: as it is known of a real picture, and as the checking classifier sees another."""
        return self.judges([example])[0]

    def judges(self, examples: Sequence[Example]) -> list[bool | None]:
        """See ``judge``. The classifier looks at all of them at once."""
        verdicts = [super(Digits, self).judge(example) for example in examples]
        unknown = [
            i for i, (e, said) in enumerate(zip(examples, verdicts, strict=True)) if said is None and self._fits(e)
        ]
        pictures = np.array([media.grey(media.picture(examples[i].media[0])) for i in unknown], np.uint8)
        for i, label in zip(unknown, self._checked(pictures) if unknown else [], strict=True):
            verdicts[i] = examples[i].response.strip(" ") == self.skills[label]
        return verdicts

    def generate(self, skill: str, n: int, rng: np.random.Generator, difficulty: float | None = None) -> list[Example]:
        """``n`` pictures of one class by the generator, unguided, whose class the checking classifier confirms.

        ``difficulty`` changes nothing: a picture has none before a student has seen it.

        Raises:
            ValueError: If the skill is unknown, ``n`` is negative, or the generator's file cannot be used.
        """
        self.check_request(skill, n, difficulty)
        return self.draw([(skill, n)], rng, Steering())[0]

    def draw(
        self,
        requests: Sequence[tuple[str, int]],
        rng: np.random.Generator,
        steering: Steering,
        checked: bool = True,
        guide: Guide | None = None,
    ) -> list[list[Example]]:
        """Pictures by the generator.

        Args:
            requests: Skills, and how many pictures of each.
            rng: Where every draw comes from.
            steering: How they are drawn.
            checked: Whether pictures are drawn again whose class the checking classifier does not confirm.
            guide: The student's entropy and its gradient; see ``Guide``.

        Returns:
            The examples of each request; fewer, where ``ROUNDS`` rounds did not give more.
        """
        made: list[dict[str, Example]] = [{} for _ in requests]
        for _ in range(ROUNDS):
            missing = [n - len(found) for found, (_, n) in zip(made, requests, strict=True)]
            owners = np.repeat(np.arange(len(requests)), missing)
            if not len(owners):
                break
            labels = np.array([self.skills.index(requests[i][0]) for i in owners.tolist()], np.int64)
            drawn = self.generator.draw(labels, rng, steering, guide)
            pictures = np.rint(drawn * 255).astype(np.uint8)
            right = self._checked(pictures) == labels if checked else np.ones(len(labels), bool)
            origin = f"{self.name}/diffusion"
            examples = self.examples(pictures[right], labels[right], origin)
            for owner, example in zip(owners[right].tolist(), examples, strict=True):
                if example.prompt not in self.sealed:
                    made[owner].setdefault(example.prompt, example)
        return [list(found.values()) for found in made]

    @cached_property
    def maker(self) -> dict[str, Any]:
        """The generator's weights, and what computes it."""
        import torch

        isa = torch.backends.cpu.get_cpu_capability()
        return {"generator": self.generator.digest, "isa": isa, "torch": torch.__version__.split("+")[0]}

    @cached_property
    def generator(self) -> Generator:
        """The trained generator.

        Raises:
            ValueError: If its file is not there, damaged, or made for other pictures.
        """
        found = read_generator(self._path)
        side = self._data.pictures.shape[1]
        if (found.network.side, found.network.classes) != (side, len(self.skills)):
            raise ValueError(
                f"task_args.generator is {str(self._path)!r}, which draws {found.network.classes} classes of "
                f"{found.network.side}x{found.network.side}; give one for {len(self.skills)} of {side}x{side}"
            )
        return found

    def _checked(self, pictures: Pictures) -> Labels:
        return self.generator.checked((pictures / 255).astype(np.float32))

    def _fits(self, example: Example) -> bool:
        """Whether the checking classifier can look at it."""
        if len(example.media) != 1 or not media.has(example.media[0]):
            return False
        return media.grey(media.picture(example.media[0])).shape == self._data.pictures.shape[1:]
