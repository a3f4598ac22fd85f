"""``pocket``: a 0.1 M-parameter Llama, trained from scratch, half a second of CPU a step.

Characters are tokens (printable ASCII), so there is no tokenizer to fit, and a token's position is its place in the
text. NumPy computes it (``pocket.transformer``); PyTorch and ``transformers`` compute the same to rounding, and are
the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from students.base import Asked, Data, Decoding, Recipe, Student, Trained
from students.pocket.by_numpy import NumpyModel
from students.pocket.by_torch import TorchModel
from students.pocket.decoding import Draws, draws_for
from students.pocket.transformer import Parameters
from students.pocket.vocabulary import EOS, FIRST, PAD, Characters, Vocabulary
from students.training.loop import Batch, Encoded, batches, pack
from students.training.methods import CODE, METHODS, beyond
from students.training.policy import Policy
from tasks.columns import columns
from tasks.records import Example, stream

if TYPE_CHECKING:
    import torch

BACKENDS: dict[str, type[NumpyModel] | type[TorchModel]] = {"numpy": NumpyModel, "torch": TorchModel}
Model = NumpyModel | TorchModel
INITIAL_SD = 0.02
"""Of matrices before any training."""


class Pocket(Student):
    """The pocket student.

    Args:
        width: Hidden size; a multiple of ``4 * heads`` is fastest.
        layers: Transformer blocks.
        heads: Attention heads.
        context: Longest prompt and response together, in characters and one end token.
        threads: Threads while it trains or answers. Results are bit-exact within one number of threads.
        backend: ``numpy``, or ``torch``, which is the reference and takes twice as long.
    """

    name = "pocket"
    methods, has_policy = METHODS, True
    code: ClassVar[tuple[str, ...]] = (
        *CODE,
        "students.pocket.arrays",
        "students.pocket.decoding",
        "students.pocket.packed",
        "students.pocket.by_numpy",
        "students.pocket.by_torch",
        "students.pocket.transformer",
        "students.pocket.vocabulary",
    )

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        context: int = 64,
        threads: int = 1,
        backend: str = "numpy",
    ) -> None:
        sizes = {"width": width, "layers": layers, "heads": heads, "context": context, "threads": threads}
        super().__init__(**sizes, backend=backend)
        for field, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"student_args.{field} is {value!r}; it must be a whole number of at least 1")
        if width % (2 * heads):
            raise ValueError(f"student_args.width is {width}; it must be a multiple of twice heads ({2 * heads})")
        if backend not in BACKENDS:
            raise ValueError(f"student_args.backend is {backend!r}; give one of {', '.join(BACKENDS)}")
        self.width, self.layers, self.heads, self.context, self.threads = width, layers, heads, context, threads
        self.backend = backend
        self.vocabulary: Vocabulary = Characters()

    @property
    def base(self) -> dict[str, Any]:
        """Architecture and tokenizer; there are no base weights, for the student is trained from scratch."""
        return {"architecture": "llama", "alphabet": "ascii-printable", "special": ["pad", "eos"]}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """CPU, float32, the number of threads, the instruction set, and the libraries that compute."""
        return {"device": "cpu", "dtype": "float32", "threads": self.threads} | BACKENDS[self.backend].numerics()

    def initial(self, seed: int) -> bytes:
        """Freshly initialised weights of a seed, without optimiser state; the same for both back ends."""
        return pack(untaught(self.vocabulary.size, self.width, self.layers, stream(seed, "weights")))

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW (betas 0.9, 0.95) on ``data``; see ``Student.fit``."""
        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        model = self._model(weights, trunk=True)

        def look() -> float:
            return float(np.mean(self._losses(model, data.watched)))

        if recipe.method != "sft":
            parameters, moments = model.tensors()
            fitted = beyond(self._policy(model, parameters), data, recipe, seed, moments)
        else:
            endless = batches(self._encoded(data.lesson), self._encoded(data.earlier), recipe, seed)
            fitted = model.optimisation(recipe).run(endless, look if data.watched else None)
        return pack(model.state, fitted), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked], decoding: Decoding, seed: int) -> list[str]:
        """Decode with a key-value cache until every answer has ended; no answer depends on what else is asked."""
        encode, count = self.vocabulary.encode, self.vocabulary.count
        rows = [encode(text) if count(text) < self.context else [] for text, _ in asked]
        draws = np.zeros((len(rows), decoding.max_tokens))
        if decoding.temperature:
            draws = draws_for(seed, [text for text, _ in asked], decoding.max_tokens)
        written = self._write(self._model(weights), rows, decoding.temperature, draws)
        return [self.vocabulary.decode(row) for row in written]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        return self._losses(self._model(weights), examples)

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean predictive entropy over the response of each example, in nats; at most the log of the vocabulary."""
        encoded = self._encoded(examples)
        return self._model(weights).entropies(encoded.ids, encoded.targets)

    def tokens(self, example: Example) -> int:
        """Tokens of prompt and response, and the end token."""
        return self.vocabulary.count(example.prompt) + self.vocabulary.count(example.response) + 1

    def refuse(self, example: Example) -> str | None:
        """``length`` over the context, ``alphabet`` for what the vocabulary does not know."""
        if self.tokens(example) > self.context:
            return "length"
        known = self.vocabulary.knows(example.prompt) and self.vocabulary.knows(example.response)
        return None if known else "alphabet"

    def token_counts(self, examples: Sequence[Example]) -> list[int]:
        """See Student. The vocabulary counts all texts at once."""
        return self._survey(examples)[0] if self._reads_as_pocket else super().token_counts(examples)

    def refusals(self, examples: Sequence[Example]) -> list[str | None]:
        """See Student. A lesson that can be read throughout is looked at once; any other one by one."""
        if self._reads_as_pocket:
            counts, known = self._survey(examples)
            if known and max(counts, default=0) <= self.context:
                return [None] * len(examples)
        return super().refusals(examples)

    @property
    def _reads_as_pocket(self) -> bool:
        """Whether no class that derives from this one counts or refuses in a way of its own."""
        return type(self).tokens is Pocket.tokens and type(self).refuse is Pocket.refuse

    def _survey(self, examples: Sequence[Example]) -> tuple[list[int], bool]:
        """The tokens of each example, and whether all texts are known."""
        prompts, responses = columns(examples, "prompt", "response")
        counts, known = self.vocabulary.survey([*prompts, *responses])
        both = zip(counts[: len(prompts)], counts[len(prompts) :], strict=True)
        return [prompt + response + 1 for prompt, response in both], known

    def export(self, weights: bytes, folder: Path) -> None:
        """Write config, safetensors weights and the tokenizer; ``AutoModelForCausalLM`` loads the folder."""
        from tokenizers import processors
        from transformers import PreTrainedTokenizerFast

        TorchModel(weights, False, self.heads, self.context, self.threads).model.save_pretrained(folder)
        tokenizer = self.vocabulary.tokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", clean_up_tokenization_spaces=False
        ).save_pretrained(folder)

    def _write(self, model: Model, rows: Sequence[Sequence[int]], temperature: float, draws: Draws) -> list[list[int]]:
        """What the model writes behind rows with the token that ends it; nothing where there is no room."""
        written: list[list[int]] = [[] for _ in rows]
        some = [i for i, row in enumerate(rows) if 0 < len(row) < self.context]
        rooms = np.array([min(draws.shape[1], self.context - len(rows[i])) for i in some], np.int64)
        found = model.write([rows[i] for i in some], rooms, temperature, draws[some], FIRST)
        for i, tokens in zip(some, found, strict=True):
            written[i] = tokens
        return written

    def _policy(self, model: Model, parameters: dict[str, torch.nn.Parameter]) -> Policy:
        """The model as methods beyond next-token loss see it."""

        def write(
            rows: Sequence[Sequence[int]], most: int, temperature: float, generator: torch.Generator
        ) -> list[list[int]]:
            import torch

            draws = torch.rand((len(rows), most), generator=generator, dtype=torch.float64).numpy()
            return self._write(model, rows, temperature, draws)

        def score(batch: Batch, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
            return model.score(parameters, batch, temperature)

        return Policy(
            parameters=parameters,
            prompt=lambda example: self.vocabulary.encode(example.prompt),
            response=lambda text: [*self.vocabulary.encode(text), EOS],
            write=write,
            read=self.vocabulary.decode,
            score=score,
            pad=PAD,
        )

    def _model(self, weights: bytes, trunk: bool = False) -> Model:
        """The model of a State; with ``trunk`` the one to go on with, not the branch that exams see."""
        return BACKENDS[self.backend](weights, trunk, self.heads, self.context, self.threads)

    def _encoded(self, examples: Sequence[Example]) -> Encoded:
        encode = self.vocabulary.encode
        return Encoded([(encode(e.prompt), [*encode(e.response), EOS]) for e in examples], PAD)

    def _losses(self, model: Model, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        encoded = self._encoded(examples)
        return model.losses(encoded.ids, encoded.targets)


def untaught(vocabulary: int, width: int, layers: int, rng: np.random.Generator) -> Parameters:
    """Parameters as ``transformers`` begins with: normal matrices (to, from), norms of one, no padding."""
    inner = 3 * width
    block = {f"self_attn.{part}_proj": (width, width) for part in "qkvo"}
    block |= {"mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner)}
    matrices = {"model.embed_tokens": (vocabulary, width), "lm_head": (vocabulary, width)}
    matrices |= {f"model.layers.{i}.{name}": shape for i in range(layers) for name, shape in block.items()}
    norms = ["model.norm"]
    norms += [f"model.layers.{i}.{name}_layernorm" for i in range(layers) for name in ("input", "post_attention")]
    out: Parameters = {f"{name}.weight": np.ones(width, np.float32) for name in norms}
    for name, shape in matrices.items():
        out[f"{name}.weight"] = INITIAL_SD * rng.standard_normal(shape, np.float32)
    out["model.embed_tokens.weight"][PAD] = 0
    return out
