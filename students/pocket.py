"""``pocket``: a 0.1 M-parameter Llama from a ``transformers`` config, trained from scratch, one second of CPU a step.

Characters are tokens (printable ASCII), so there is no tokenizer to fit. Batches are right-padded and prompts are
decoded in groups of equal length, so no attention mask is ever needed and a token's position is its place in the text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from students.base import Data, Decoding, Recipe, Student, Trained, TrainingDiverged
from tasks.records import Example, stream

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

    Tensors = dict[str, torch.Tensor]

PAD, EOS, FIRST = 0, 1, 2
ALPHABET = "".join(map(chr, range(32, 127)))
IGNORE = -100
ADAM_BETAS = (0.9, 0.95)


class Encoded:
    """Examples as token arrays ``(n, longest)``: ``ids`` padded, ``targets`` with everything but responses ignored."""

    def __init__(self, examples: Sequence[Example]) -> None:
        rows = [[*_encode(e.prompt + e.response), EOS] for e in examples]
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.ids = np.full((len(rows), int(self.lengths.max(initial=1))), PAD, dtype=np.int64)
        self.targets = np.full_like(self.ids, IGNORE)
        for i, (row, example) in enumerate(zip(rows, examples, strict=True)):
            self.ids[i, : len(row)] = row
            start = len(example.prompt)
            self.targets[i, start : len(row)] = row[start:]

    def __len__(self) -> int:
        return len(self.lengths)


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
        return self._pack(model, {})

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW (betas 0.9, 0.95) on the responses of ``data``; see ``Student.fit``."""
        import torch
        import torch.nn.functional as F

        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        torch.set_num_threads(self.threads)
        model, moments = self._unpack(weights)
        optimiser = _adamw(model, recipe, {} if recipe.optimiser == "reset" else moments)
        lesson, earlier = Encoded(data.lesson), Encoded(data.earlier)
        losses, tokens = [], 0
        model.train()
        for update, batch in enumerate(_batches(lesson, earlier, recipe, seed)):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * min(1.0, (update + 1) / (recipe.warmup + 1))
            ids, targets, count = batch
            logits = model(input_ids=torch.from_numpy(ids[:, :-1]), use_cache=False).logits
            flat = torch.from_numpy(targets[:, 1:]).reshape(-1)
            loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), flat, ignore_index=IGNORE)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.item())
            tokens += count
            if not math.isfinite(losses[-1]):
                raise TrainingDiverged(f"the loss became {losses[-1]} at update {update + 1}; lower recipe.rate")
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):  # by the very last update
            raise TrainingDiverged(f"weights are not finite after {len(losses)} updates; lower recipe.rate")
        eighth = max(1, len(losses) // 8)
        ends = (float(np.mean(losses[:eighth])), float(np.mean(losses[-eighth:])))
        report = Trained(loss=ends, updates=len(losses), tokens=tokens)
        return self._pack(model, _moments(model, optimiser)), report

    def answer(self, weights: bytes, prompts: Sequence[str], decoding: Decoding, seed: int) -> list[str]:
        """Decode in groups of prompts of equal length, with a key-value cache, until every answer has ended."""
        import torch

        torch.set_num_threads(self.threads)
        model, _ = self._unpack(weights)
        model.eval()
        generator = torch.Generator().manual_seed(seed)
        groups: dict[int, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            groups[len(prompt)].append(i)
        answers = [""] * len(prompts)
        for length, members in sorted(groups.items()):
            room = min(decoding.max_tokens, self.context - length)
            if room < 1 or length < 1:
                continue
            ids = torch.tensor([_encode(prompts[i]) for i in members])
            for i, row in zip(members, _generate(model, ids, room, decoding.temperature, generator), strict=True):
                answers[i] = _decode(row)
        return answers

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        import torch
        import torch.nn.functional as F

        if not examples:
            return []
        torch.set_num_threads(self.threads)
        model, _ = self._unpack(weights)
        model.eval()
        encoded, out = Encoded(examples), []
        with torch.inference_mode():
            for start in range(0, len(encoded), 512):
                ids = torch.from_numpy(encoded.ids[start : start + 512])
                targets = torch.from_numpy(encoded.targets[start : start + 512])[:, 1:]
                logits = model(input_ids=ids[:, :-1], use_cache=False).logits
                each = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")
                out.extend((each.sum(1) / (targets != IGNORE).sum(1)).tolist())
        return [float(x) for x in out]

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

    def _pack(self, model: LlamaForCausalLM, moments: Tensors) -> bytes:
        from safetensors.torch import save

        tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
        return save(tensors | {f"adam.{k}": v.contiguous() for k, v in moments.items()})

    def _unpack(self, weights: bytes) -> tuple[LlamaForCausalLM, Tensors]:
        import torch
        from safetensors.torch import load
        from transformers.initialization import no_init_weights

        tensors = load(weights)
        with torch.random.fork_rng(devices=[]), no_init_weights():
            model = self._build()
        model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        return model, {k[5:]: v for k, v in tensors.items() if k.startswith("adam.")}


def _batches(
    lesson: Encoded, earlier: Encoded, recipe: Recipe, seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]]:
    """``recipe.updates`` batches (ids, targets, tokens), trimmed to their longest row.

    The lesson is walked in shuffled epochs, so nothing repeats before everything was seen; replay is drawn with
    replacement.
    """
    order_rng, replay_rng = stream(seed, "order"), stream(seed, "replay")
    replayed = round(recipe.batch * recipe.replay) if len(earlier) else 0
    fresh = recipe.batch - replayed
    order: list[int] = []
    for _ in range(recipe.updates):
        while len(order) < fresh:
            order.extend(order_rng.permutation(len(lesson)).tolist())
        picked, order = order[:fresh], order[fresh:]
        parts = [(lesson, np.array(picked, dtype=np.int64))]
        if replayed:
            parts.append((earlier, replay_rng.integers(len(earlier), size=replayed)))
        width = max(int(source.lengths[rows].max()) for source, rows in parts)
        ids = np.concatenate([_trim(source.ids[rows], width, PAD) for source, rows in parts])
        targets = np.concatenate([_trim(source.targets[rows], width, IGNORE) for source, rows in parts])
        yield ids, targets, sum(int(source.lengths[rows].sum()) for source, rows in parts)


def _trim(rows: npt.NDArray[np.int64], width: int, fill: int) -> npt.NDArray[np.int64]:
    """Rows cut or padded to ``width`` columns."""
    if rows.shape[1] >= width:
        return rows[:, :width]
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=fill)


def _adamw(model: LlamaForCausalLM, recipe: Recipe, moments: Tensors) -> torch.optim.AdamW:
    import torch

    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=ADAM_BETAS, weight_decay=recipe.weight_decay, fused=True
    )
    if moments:
        for name, parameter in model.named_parameters():
            optimiser.state[parameter] = {
                "step": moments["step"].clone(),
                "exp_avg": moments[f"exp_avg.{name}"].clone(),
                "exp_avg_sq": moments[f"exp_avg_sq.{name}"].clone(),
            }
    return optimiser


def _moments(model: LlamaForCausalLM, optimiser: torch.optim.AdamW) -> Tensors:
    out: Tensors = {}
    for name, parameter in model.named_parameters():
        state = optimiser.state[parameter]
        out["step"] = state["step"]
        out[f"exp_avg.{name}"] = state["exp_avg"]
        out[f"exp_avg_sq.{name}"] = state["exp_avg_sq"]
    return out


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
