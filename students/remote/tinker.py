"""``tinker``: a language model that a server trains and that answers there, through Tinker's API.

The server keeps the weights, and a State is the name of a checkpoint. Batches, their order and the rate are this
project's, the same as those of ``causal-lm``; the arithmetic is the server's, so no State is rebuilt bit by bit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from students import keys
from students.base import Asked, Data, Decoding, Recipe, Student, Trained, code_digest
from students.causal_lm.chat_format import Format
from students.causal_lm.checkpoint import CheckpointError, guarded
from students.remote.rebuilding import NOT_REBUILT, REBUILT
from students.remote.service import Endpoint, Session, models, session
from students.remote.training import PAD, Checkpoint, RemoteAdamW, datum, nats, packed, unpacked
from students.training.loop import Encoded, Optimisation, batches
from tasks.errors import SettingError, UnsupportedError
from tasks.records import Example, digest

TINKER = "https://tinker.thinkingmachines.dev/services/tinker-prod"
"""The service of those who made the API."""
LAYERS = ("attn", "mlp", "unembed")
"""Kinds of layers that may get an adapter."""
FETCHED = ("*.json", "*.jinja", "*.model", "*.txt")
"""Files of a tokenizer on the hub."""
DAY = 86_400


class Tinker(Student):
    """A language model on a server that speaks Tinker's API, taught by LoRA.

    Args:
        base_model: As the server names it, such as ``Qwen/Qwen3-8B``.
        tokenizer: A folder with the model's tokenizer, or a name on the hub; empty for ``base_model``.
        url: Address of the server.
        key_env: The environment variable that holds the server's key; empty where it asks for none.
        rank: Of the adapter's matrices.
        layers: Kinds of layers that get an adapter: ``attn``, ``mlp``, ``unembed``.
        template: ``chat``, the tokenizer's chat template; ``plain``, the prompt and a line break.
        system: System message before each prompt; empty for what the template says by itself.
        template_args: Further arguments of the chat template.
        context: Longest prompt and response together, in tokens, the template's included.
        deadline: Seconds for each answer of the server.
        keep_days: Days for which the server keeps a checkpoint; ``None`` for ever.
    """

    name = "tinker"
    code = (
        "students.training.adamw",
        "students.training.loop",
        "students.remote.training",
        "students.causal_lm.chat_format",
        "students.causal_lm.chat_template",
        "students.causal_lm.chat_template_child",
    )

    def __init__(
        self,
        base_model: str,
        tokenizer: str = "",
        url: str = TINKER,
        key_env: str = "TINKER_API_KEY",
        rank: int = 16,
        layers: Sequence[str] = ("attn", "mlp"),
        template: str = "chat",
        system: str = "",
        template_args: Mapping[str, Any] | None = None,
        context: int = 256,
        deadline: float = 600.0,
        keep_days: int | None = 30,
    ) -> None:
        args = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**args)
        _check(args)
        self.context = context
        self._place = Endpoint(url, key_env, deadline)
        self._folder = tokenizer_folder(tokenizer or base_model)
        with guarded(f"tokenizer {tokenizer or base_model!r} cannot be used", "give another", own=ValueError):
            self._format = Format(self._folder, template, system, template_args)
        least = len(self._format.prompt("")) + 2
        if context < least:
            raise ValueError(
                f"context is {context} and the prompt format alone takes {least - 2}; give at least {least}"
            )

    @cached_property
    def fingerprint(self) -> str:
        """As ``Student.fingerprint``, without what only says how to reach the server, and the tokenizer's place."""
        without = ("tokenizer", "key_env", "deadline", "keep_days")
        args = {name: value for name, value in self.args.items() if name not in without}
        return digest([self.name, args, code_digest(type(self)), self.base, self.numerics])

    @cached_property
    def base(self) -> dict[str, Any]:
        """The model's name, as the server has it, and digests of the tokenizer and of how it is spoken to."""
        files = sorted(file for pattern in FETCHED for file in self._folder.glob(pattern) if "index" not in file.name)
        read = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        return {"model": self.args["base_model"], "tokenizer": digest(read), "format": digest(self._format.base)}

    @cached_property
    def numerics(self) -> dict[str, Any]:
        """The service. Its API does not say which release or hardware computes, nor promise equal bits."""
        return {"service": "tinker", "version": "not reported", REBUILT: NOT_REBUILT}

    def admit(self) -> None:
        """Ask the server whether it trains the model, with room for the context.

        Raises:
            SettingError: If it does not.
            UnansweredError: If it is away.
        """
        wanted, known = self.args["base_model"], {model.model_name: model for model in models(self._place)}
        if wanted not in known:
            there = ", ".join(sorted(map(str, known))) or "none"
            raise SettingError(
                f"student_args.base_model is {wanted!r}, which {self._place.host} does not have; "
                f"give one of {there:.300}"
            )
        if known[wanted].trainable is False:
            raise SettingError(
                f"student_args.base_model is {wanted!r}, which {self._place.host} does not train; give another"
            )
        longest = known[wanted].max_context_length
        if longest is not None and longest < self.context:
            raise SettingError(
                f"student_args.context is {self.context} and {self._place.host} has {longest} for {wanted!r}; "
                "give at most that"
            )

    def initial(self, seed: int) -> bytes:
        """The name of the adapter that the server would draw from this seed. The server is not asked."""
        return packed(Checkpoint(seed=seed))

    def fit(self, weights: bytes, data: Data, recipe: Recipe, seed: int) -> tuple[bytes, Trained]:
        """Train with AdamW on the responses and the tokens that end them; see ``Student.fit``.

        Raises:
            TrainingDivergedError: If the loss is not finite.
            UnansweredError: If the server is away, or refuses.
            LostCheckpointError: If the server no longer has the State.
        """
        if not data.lesson:
            raise ValueError("data.lesson is empty; a lesson of which nothing was kept is not trained")
        held = unpacked(weights)
        lesson, earlier = (Encoded([self._format.row(e) for e in part], PAD) for part in (data.lesson, data.earlier))
        with session(self._place) as opened:
            trainer = self._trainer(opened, held, held.trunk or held.training, recipe.optimiser == "carry")
            remote = RemoteAdamW(opened, trainer, recipe, self._seconds)

            def look() -> float:
                return float(np.mean(self._losses(opened, trainer, data.watched)))

            moments = {"training": held.training} if held.training else {}
            optimisation = Optimisation({}, lambda batch: None, recipe, moments, lambda *_: remote)
            fitted = optimisation.run(batches(lesson, earlier, recipe, seed), look if data.watched else None)
            training, sampler = remote.save("state"), remote.save_to_answer("state")
        after = Checkpoint(seed=held.seed, training=training, sampler=sampler, trunk=fitted.trunk.get("training", ""))
        return packed(after), fitted.report

    def answer(self, weights: bytes, asked: Sequence[Asked | str], decoding: Decoding, seed: int) -> list[str]:
        """Ask the server for a response to each prompt. A text may stand for itself.

        A prompt that fills the context, or that holds the tokenizer's own marks, is answered with nothing.
        """
        import tinker

        prompts = [each if isinstance(each, str) else each.text for each in asked]
        # Where nothing is drawn, alike prompts are asked once.
        chosen = prompts if decoding.temperature else sorted(set(prompts))
        encoded = [() if self._format.forges(prompt) else self._format.prompt(prompt) for prompt in chosen]
        places = [i for i, ids in enumerate(encoded) if 0 < len(ids) < self.context]
        said = [""] * len(chosen)
        seeds = _seeds(seed, chosen)
        with self._sampler(unpacked(weights), bool(places)) as (opened, sampler):
            promised = [
                sampler.sample(
                    tinker.ModelInput.from_ints(list(encoded[i])),
                    1,
                    tinker.SamplingParams(
                        max_tokens=min(decoding.max_tokens, self.context - len(encoded[i])),
                        seed=seeds[i],
                        stop=sorted(self._format.stops),
                        temperature=decoding.temperature,
                    ),
                )
                for i in places
            ]
            for i, one in zip(places, promised, strict=True):
                (sequence,) = opened.wait(one, "answer").sequences
                said[i] = self._format.read(sequence.tokens)
        if decoding.temperature:
            return said
        known = dict(zip(chosen, said, strict=True))
        return [known[prompt] for prompt in prompts]

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        """Mean response loss of each example, in nats per token: a forward pass on the server."""
        if not examples:
            return []
        held = unpacked(weights)
        with session(self._place) as opened:
            return self._losses(opened, self._trainer(opened, held, held.training, carry=False), examples)

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
        """Not from here: the weights are the server's.

        Raises:
            UnsupportedError: Always.
        """
        path = unpacked(weights).sampler or "that it has for the untaught student"
        raise UnsupportedError(
            f"student 'tinker' is kept by {self._place.host}, which has no folder of it to give; "
            f"download checkpoint {path} by the server's own tools"
        )

    def written(self, response: str) -> str:
        """A response as it would be read if the student wrote it: what its tokens hold of it."""
        return self._format.read(self._format.response(response))

    @property
    def cautions(self) -> list[str]:
        """What a person should know before a board is played, a sentence each."""
        return [f"student: {self._place.host} trains 'tinker', and a run on it is not rebuilt bit by bit"]

    @property
    def _seconds(self) -> int | None:
        days = self.args["keep_days"]
        return None if days is None else days * DAY

    def _trainer(self, opened: Session, held: Checkpoint, path: str, carry: bool) -> Any:
        """The package's ``TrainingClient``, at a checkpoint or before any training; none with another adapter."""
        client, base_model, rank = opened.client, self.args["base_model"], self.args["rank"]
        if path:
            weights_alone = client.create_training_client_from_state
            whole = client.create_training_client_from_state_with_optimizer
            trainer = opened.load(path, lambda: (whole if carry else weights_alone)(path))
        else:
            trains = {f"train_{layer}": layer in self.args["layers"] for layer in LAYERS}
            made = client.create_lora_training_client(base_model, rank, held.seed % 2**31, **trains)
            trainer = opened.wait(made, "make an adapter")
        info = trainer.get_info()
        if info.lora_rank not in (None, rank):
            raise SettingError(
                f"student_args.rank is {rank} and {self._place.host} makes an adapter of rank {info.lora_rank}; "
                "give that"
            )
        if info.model_data.model_name not in (None, base_model):
            raise SettingError(
                f"student_args.base_model is {base_model!r} and {self._place.host} trains "
                f"{info.model_data.model_name!r}; give that"
            )
        return trainer

    @contextmanager
    def _sampler(self, held: Checkpoint, needed: bool) -> Iterator[tuple[Session, Any]]:
        """A session, and the package's ``SamplingClient``; neither where nothing is asked."""
        if not needed:
            yield Session(None, self._place), None
            return
        with session(self._place) as opened:
            if held.sampler:
                made = opened.load(held.sampler, lambda: opened.client.create_sampling_client(model_path=held.sampler))
            else:  # an adapter changes nothing before it is trained
                base_model = self.args["base_model"]
                made = opened.wait(opened.client.create_sampling_client(base_model=base_model), "begin to answer")
            yield opened, made

    def _losses(self, opened: Session, trainer: Any, examples: Sequence[Example]) -> list[float]:
        rows = [self._inside(*self._format.row(example)) for example in examples]
        encoded = Encoded(rows, PAD)
        data = [datum(ids, targets, 1.0) for ids, targets in zip(encoded.ids, encoded.targets, strict=True)]
        out = opened.wait(trainer.forward(data, "cross_entropy"), "measure losses")
        return [float(np.mean(values)) for values in nats(out, encoded.targets)]

    def _inside(self, prompt: tuple[int, ...], response: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A row as it fits the context: of one that is longer the front of the prompt is left out."""
        response = response[: self.context - 1]
        return prompt[-(self.context - len(response)) :], response


def tokenizer_folder(name: str) -> Path:
    """The folder of a tokenizer: a folder, or a name on the hub, of which no weights are fetched.

    Raises:
        CheckpointError: If there is none.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(FETCHED)))
    except (OSError, ValueError) as error:  # what huggingface_hub raises is one of the two
        raise CheckpointError(
            f"tokenizer {name!r} is no folder on this machine and none that the hub gives ({type(error).__name__}); "
            "give student_args.tokenizer a folder that save_pretrained wrote, or go online"
        ) from error


def _check(args: Mapping[str, Any]) -> None:
    """Refuse arguments that cannot be used."""
    if find_spec("tinker") is None:
        raise ValueError("student 'tinker' needs the package tinker; pip install 'dataenv[tinker]'")
    keys.require_address(args["url"], "student_args.url", "http://127.0.0.1:8000")
    if args["key_env"] and not keys.is_name(args["key_env"]):
        raise ValueError(
            "student_args.key_env is no name of a variable in capitals that ends in KEY or TOKEN; put the key into "
            "such a variable, and give its name"
        )
    for field in ("rank", "context", *(["keep_days"] if args["keep_days"] is not None else [])):
        if type(args[field]) is not int or args[field] < 1:
            raise ValueError(f"student_args.{field} is {args[field]!r}; it must be a whole number of at least 1")
    if not isinstance(args["deadline"], int | float) or not args["deadline"] > 0:
        raise ValueError(f"student_args.deadline is {args['deadline']!r}; give seconds above 0")
    layers = args["layers"]
    if isinstance(layers, str) or not layers or not set(layers) <= set(LAYERS):
        raise ValueError(f"student_args.layers is {layers!r}; give some of {', '.join(LAYERS)}")
    if args["template"] not in ("chat", "plain"):
        raise ValueError(f"student_args.template is {args['template']!r}; give one of chat, plain")


def _seeds(seed: int, prompts: Sequence[str]) -> list[int]:
    """A seed for each prompt, by its text and how often it came before: whatever else is asked has no part."""
    before: Counter[str] = Counter()
    out = []
    for prompt in prompts:
        out.append(int(digest([seed, prompt, before[prompt]])[:15], 16) % 2**31)
        before[prompt] += 1
    return out
