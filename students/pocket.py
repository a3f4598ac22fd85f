"""``pocket``: a 0.1 M-parameter Llama from a ``transformers`` config, trained from scratch, one second of CPU a step.

Characters are tokens (printable ASCII), so there is no tokenizer to fit. Batches are right-padded and prompts are
decoded in groups of equal length, so no attention mask is ever needed and a token's position is its place in the text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.loop import IGNORE, Batch, Encoded, Optimisation, batches, pack, unpack
from students.methods import CODE, METHODS, beyond
from students.policy import Policy
from tasks.records import Example

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

    Tensors = dict[str, torch.Tensor]

PAD, EOS, FIRST = 0, 1, 2
ALPHABET = "".join(map(chr, range(32, 127)))


def _encode(text: str) -> list[int]:
    return [code - 32 + FIRST for code in text.encode("ascii")]


def _decode(ids: Sequence[int]) -> str:
    """Text up to the end-of-answer token; a pad the student writes itself ends the answer too."""
    letters = []
    for token in ids:
        if token < FIRST:
            break
        letters.append(chr(token - FIRST + 32))
    return "".join(letters)


def _ended(ids: Sequence[int]) -> list[int]:
    """Tokens up to the one that ends an answer, with it."""
    end = next((i for i, token in enumerate(ids) if token < FIRST), len(ids) - 1)
    return list(ids[: end + 1])


class Pocket(Student):
    """The pocket student.

    Args:
        width: Hidden size; a multiple of ``4 * heads`` is fastest.
        layers: Transformer blocks.
        heads: Attention heads.
        context: Longest prompt and response together, in characters and one end token.
        threads: Torch threads while it trains or answers. Results are bit-exact within one number of threads.
    """

    name = "pocket"
    methods, code, has_policy = METHODS, CODE, True

    def __init__(self, width: int = 64, layers: int = 2, heads: int = 4, context: int = 64, threads: int = 1) -> None:
        super().__init__(width=width, layers=layers, heads=heads, context=context, threads=threads)
        for field, value in self.args.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"student_args.{field} is {value!r}; it must be a whole number of at least 1")
        if width % (2 * heads):
            raise ValueError(f"student_args.width is {width}; it must be a multiple of twice heads ({2 * heads})")
        self.width, self.layers, self.heads, self.context, self.threads = width, layers, heads, context, threads

    @property
    def base(self) -> dict[str, Any]:
        """Architecture and tokenizer; there are no base weights, for the student is trained from scratch."""
        return {"architecture": "llama", "alphabet": "ascii-printable", "special": ["pad", "eos"]}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """CPU, float32, the number of threads, the instruction set, and the releases that compute."""
        import torch

        capability = torch.backends.cpu.get_cpu_capability()
        return {
            "device": "cpu",
            "dtype": "float32",
            "threads": self.threads,
            "isa": capability,
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
            "transformers": version("transformers"),  # the model's code is theirs
        }

    def initial(self, seed: int) -> bytes:
        """Freshly initialised weights of a seed, without optimiser state."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._build()
        return pack(model.state_dict())

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW (betas 0.9, 0.95) on ``data``; see ``Student.fit``."""
        import torch
        import torch.nn.functional as F

        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        torch.set_num_threads(self.threads)
        model, moments = self._unpack(weights, trunk=True)

        def loss_of(batch: Batch) -> torch.Tensor:
            logits = model(input_ids=torch.from_numpy(batch.ids[:, :-1]), use_cache=False).logits
            flat = torch.from_numpy(batch.targets[:, 1:]).reshape(-1)
            return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), flat, ignore_index=IGNORE)

        def look() -> float:
            model.eval()
            loss = float(np.mean(_losses(model, data.watched)))
            model.train()
            return loss

        model.train()
        if recipe.method != "sft":
            fitted = beyond(self._policy(model), data, recipe, seed, moments)
        else:
            optimisation = Optimisation(dict(model.named_parameters()), loss_of, recipe, moments)
            endless = batches(_encoded(data.lesson), _encoded(data.earlier), recipe, seed)
            fitted = optimisation.run(endless, look if data.watched else None)
        return pack(model.state_dict(), fitted), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """Decode in groups of prompts of equal length, with a key-value cache, until every answer has ended."""
        import torch

        torch.set_num_threads(self.threads)
        model, _ = self._unpack(weights)
        model.eval()
        generator = torch.Generator().manual_seed(seed)
        rows = [_encode(text) if len(text) < self.context else [] for text, _ in asked]
        return [_decode(row) for row in self._write(model, rows, decoding.max_tokens, decoding.temperature, generator)]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        import torch

        torch.set_num_threads(self.threads)
        model, _ = self._unpack(weights)
        model.eval()
        return _losses(model, examples)

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean predictive entropy over the response of each example, in nats; at most the log of the vocabulary."""
        import torch

        torch.set_num_threads(self.threads)
        model, _ = self._unpack(weights)
        model.eval()
        return _each(model, examples, _entropy)

    def tokens(self, example: Example) -> int:
        """Characters of prompt and response, and the end token."""
        return len(example.prompt) + len(example.response) + 1

    def refuse(self, example: Example) -> str | None:
        """``length`` over the context, ``alphabet`` for anything but printable ASCII."""
        if self.tokens(example) > self.context:
            return "length"
        text = example.prompt + example.response
        return None if text.isascii() and text.isprintable() else "alphabet"

    def export(self, weights: bytes, folder: Path) -> None:
        """Write config, safetensors weights and a character tokenizer; ``AutoModelForCausalLM`` loads the folder."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        model, _ = self._unpack(weights)
        model.save_pretrained(folder)
        vocabulary = {"<pad>": PAD, "<eos>": EOS} | {c: i + FIRST for i, c in enumerate(ALPHABET)}
        characters = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
        characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        characters.decoder = decoders.Fuse()
        characters.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
        PreTrainedTokenizerFast(
            tokenizer_object=characters, pad_token="<pad>", eos_token="<eos>", clean_up_tokenization_spaces=False
        ).save_pretrained(folder)

    def _write(
        self,
        model: LlamaForCausalLM,
        rows: Sequence[Sequence[int]],
        most: int,
        temperature: float,
        generator: torch.Generator,
    ) -> list[list[int]]:
        """What the model writes behind rows, nothing where there is no room; it may run on after an end token."""
        import torch

        groups: dict[int, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            groups[len(row)].append(i)
        written: list[list[int]] = [[] for _ in rows]
        for length, members in sorted(groups.items()):
            room = min(most, self.context - length)
            if room < 1 or length < 1:
                continue
            ids = torch.tensor([rows[i] for i in members])
            for i, row in zip(members, _generate(model, ids, room, temperature, generator), strict=True):
                written[i] = row
        return written

    def _policy(self, model: LlamaForCausalLM) -> Policy:
        """The model as methods beyond next-token loss see it."""
        import torch

        def write(
            rows: Sequence[Sequence[int]], most: int, temperature: float, generator: torch.Generator
        ) -> list[list[int]]:
            return [_ended(row) for row in self._write(model, rows, most, temperature, generator)]

        def score(batch: Batch, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
            logits = model(input_ids=torch.from_numpy(batch.ids[:, :-1]), use_cache=False).logits / temperature
            targets = torch.from_numpy(batch.targets[:, 1:])
            return -_cross_entropy(logits, targets), targets != IGNORE

        return Policy(
            parameters=dict(model.named_parameters()),
            prompt=lambda example: _encode(example.prompt),
            response=lambda text: [*_encode(text), EOS],
            write=write,
            read=_decode,
            score=score,
            pad=PAD,
        )

    def _build(self) -> LlamaForCausalLM:
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=FIRST + len(ALPHABET),
            hidden_size=self.width,
            intermediate_size=3 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=False,
            pad_token_id=PAD,
            bos_token_id=None,
            eos_token_id=EOS,
            attn_implementation="sdpa",
        )
        return LlamaForCausalLM(config)

    def _unpack(self, weights: bytes, trunk: bool = False) -> tuple[LlamaForCausalLM, Tensors]:
        """The model and AdamW's moments; with ``trunk`` the model to go on with, not the branch that exams see."""
        import torch
        from transformers.initialization import no_init_weights

        tensors, moments = unpack(weights, trunk)
        with torch.random.fork_rng(devices=[]), no_init_weights():
            model = self._build()
        model.load_state_dict(tensors)
        return model, moments


def _encoded(examples: Sequence[Example]) -> Encoded:
    return Encoded([(_encode(e.prompt), [*_encode(e.response), EOS]) for e in examples], PAD)


def _losses(model: LlamaForCausalLM, examples: Sequence[Example]) -> list[float]:
    """Mean response loss of each example, in nats per token."""
    return _each(model, examples, _cross_entropy)


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as F

    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")


def _entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    likely = logits.log_softmax(-1)
    return -(likely.exp() * likely).sum(-1) * (targets != IGNORE)


def _each(
    model: LlamaForCausalLM, examples: Sequence[Example], measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> list[float]:
    """The mean over the response of what is measured at each token.

    Args:
        model: In evaluation mode.
        examples: Any number.
        measure: From logits (rows, length, vocabulary) and targets (rows, length) to (rows, length), zero where a
            target is ignored.
    """
    import torch

    encoded, out = _encoded(examples), []
    with torch.inference_mode():
        for start in range(0, len(encoded), 512):
            ids = torch.from_numpy(encoded.ids[start : start + 512])
            targets = torch.from_numpy(encoded.targets[start : start + 512])[:, 1:]
            measured = measure(model(input_ids=ids[:, :-1], use_cache=False).logits, targets)
            out.extend((measured.sum(1) / (targets != IGNORE).sum(1)).tolist())
    return [float(x) for x in out]


def _generate(
    model: LlamaForCausalLM, ids: torch.Tensor, room: int, temperature: float, generator: torch.Generator
) -> list[list[int]]:
    """At most ``room`` new tokens for each row of ``ids`` (rows, length); rows may run on after their end token."""
    import torch

    with torch.inference_mode():
        out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        columns, ended = [], torch.zeros(len(ids), dtype=torch.bool)
        for step in range(room):
            logits = out.logits[:, -1]
            if temperature > 0:
                token = torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]
            else:
                token = logits.argmax(-1)
            columns.append(token)
            ended |= token < FIRST
            if bool(ended.all()) or step == room - 1:
                break
            out = model(input_ids=token[:, None], past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
    rows: list[list[int]] = torch.stack(columns, 1).tolist()
    return rows
