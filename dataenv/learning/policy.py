"""The policy of a learned teacher: from what is seen of each skill to how much of it comes next.

One small network looks at every skill in the same way and at the mean over skills beside it (Deep Sets, arXiv
1703.06114), so it knows no skill by its place, and a policy that was trained on sixteen skills teaches five. A policy
may know skills by name besides, by a number for each (``SKILLS``) that is added to what the network makes of it: what
it has learnt of them on other students. It then teaches those skills and no others. All is written once for NumPy,
which acts, and for torch, which trains (``dataenv.learning.training``).

An action is ``(k,)`` numbers in [0, 1], each from a Beta distribution that is unimodal (Chou et al., ICML 2017): with
``m`` the network's and ``c`` one for all, ``Beta(1 + c m, 1 + c (1 - m))``. A policy that is frozen takes the mode, m.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from dataenv.errors import SettingError
from dataenv.validation import explain
from dataenv.wrappers.numeric import as_shares
from tasks.records import Record, digest, stream

Floats = npt.NDArray[np.float64]
Algorithm = Literal["ppo", "reinforce", "es"]
PER_SKILL, OVERALL = {"accuracy": 1.0, "loss": 1.0, "counts": np.inf}, ("score", "budget")
FEATURES = 7
WEIGHTS, CARD = "policy.safetensors", "policy.json"
HIDDEN = 32
WIDEST = 256
SKILLS = "actor.skills"
"""The weight ``(k,)`` of a policy that knows its skills by name, in logits."""
CONCENTRATION = 10.0
"""Of the Beta distributions of a policy that has learnt nothing: a standard deviation of 0.14 to 0.26."""


class Card(Record):
    """What ``policy.json`` says beside the weights.

    Attributes:
        version: Of this form.
        algorithm: What trained it.
        floor: Share of a lesson that is dealt out evenly, in [0, 1].
        weights: BLAKE2b of the bytes of ``policy.safetensors``.
        skills: Those that it knows by name, in the order of its weight; none where it knows no skill by name.
        prior: Student tokens that it has used: real lessons it gave, and those behind the curves of simulated students.
        trained: How, in the order in which it was: plans of the training, and what on (student, task and its skills).
        curve: Mean return of its episodes, by iteration of the last training.
    """

    version: Literal[1] = 1
    algorithm: Algorithm
    floor: Annotated[float, Field(ge=0, le=1)]
    weights: str
    skills: tuple[str, ...] = ()
    prior: Annotated[int, Field(ge=0)]
    trained: tuple[dict[str, Any], ...]
    curve: tuple[float, ...] = ()

    @property
    def trained_on(self) -> str:
        """What it was trained on, in words: tasks, and how many skills they have."""
        told = [on for on in self.trained if {"task", "skills"} <= on.keys()]
        known = dict.fromkeys((str(on["task"]), len(on["skills"])) for on in told)
        return ", ".join(f"{task} ({n} skills)" for task, n in known) or "a task that its file does not name"


@dataclass(frozen=True)
class TeacherPolicy:
    """Weights by name, float32, and the floor under every skill's share."""

    weights: dict[str, npt.NDArray[np.float32]]
    floor: float

    @property
    def identity(self) -> str:
        """Names what it does: equal for equal weights and floor, wherever they lie."""
        return digest([_sum(_bytes(self.weights)), self.floor])

    def mode(self, features: Floats) -> Floats:
        """The most likely action, ``(…, k)``, of features ``(…, k, 7)``."""
        weights = {name: w.astype(np.float64) for name, w in self.weights.items()}
        return np.asarray(modes(weights, features, np.tanh))

    def mixture(self, actions: Floats) -> npt.NDArray[np.float32]:
        """Actions as mixtures, ``(…, k)``, rows of sum 1: ``(1 - floor) a / sum(a) + floor / k``."""
        whole = np.maximum(actions.sum(-1, keepdims=True), 1e-9)
        shares = (1 - self.floor) * actions / whole + self.floor / actions.shape[-1]
        return np.asarray(shares, np.float32)


def fresh(rng: np.random.Generator, floor: float, hidden: int = HIDDEN) -> TeacherPolicy:
    """A policy that has learnt nothing: about even shares, and no skill is like another by more than what is seen."""
    weights: dict[str, npt.NDArray[Any]] = {"log_concentration": np.array([np.log(CONCENTRATION)])}
    for net, last in (("actor", 0.01), ("critic", 1.0)):
        for layer, (rows, columns) in enumerate(((FEATURES, hidden), (hidden, hidden))):
            for part in ("own", "mean"):
                weights[f"{net}.{layer}.{part}"] = rng.standard_normal((rows, columns)) / np.sqrt(2 * rows)
            weights[f"{net}.{layer}.bias"] = np.zeros(columns)
        weights[f"{net}.out"] = last * rng.standard_normal((hidden, 1)) / np.sqrt(hidden)
        weights[f"{net}.bias"] = np.zeros(1)
    return TeacherPolicy({name: w.astype(np.float32) for name, w in weights.items()}, floor)


def by_name(policy: TeacherPolicy, k: int) -> TeacherPolicy:
    """A policy that acts as this one does and can learn what each of ``k`` skills is worth by itself.

    Raises:
        SettingError: If it knows another number of skills by name already.
    """
    known = policy.weights.get(SKILLS)
    if known is not None and len(known) != k:
        raise SettingError(f"start knows {len(known)} skills by name and there are {k}; start from another policy")
    return TeacherPolicy({SKILLS: np.zeros(k, np.float32)} | policy.weights, policy.floor)


def modes(weights: Mapping[str, Any], x: Any, tanh: Callable[[Any], Any]) -> Any:
    """Mode of each skill's Beta distribution, ``(…, k)`` in (0, 1).

    Args:
        weights: By name, of NumPy or torch.
        x: Features ``(…, k, 7)``, of the same.
        tanh: Of the same.
    """
    logits = _tower(weights, x, "actor", tanh)
    if SKILLS in weights:
        logits = logits + weights[SKILLS]
    return 0.5 + 0.5 * tanh(0.5 * logits)  # the logistic function


def values(weights: Mapping[str, Any], x: Any, tanh: Callable[[Any], Any]) -> Any:
    """What is still to be gained, ``(…,)``; see ``modes``."""
    return _tower(weights, x, "critic", tanh).mean(-1)


def _tower(weights: Mapping[str, Any], x: Any, net: str, tanh: Callable[[Any], Any]) -> Any:
    """One number a skill, ``(…, k)``: two layers over the skill and the mean of all skills, then a sum."""
    for layer in range(2):
        at = f"{net}.{layer}"
        across = x.mean(-2)[..., None, :] @ weights[f"{at}.mean"]
        x = tanh(x @ weights[f"{at}.own"] + across + weights[f"{at}.bias"])
    return (x @ weights[f"{net}.out"] + weights[f"{net}.bias"])[..., 0]


def look(observation: Mapping[str, Any]) -> dict[str, Floats]:
    """The numbers of skill-list observations, one or a batch, as ``dataenv.numeric`` gives them."""
    fields = PER_SKILL | dict.fromkeys(OVERALL, 1.0)
    seen = {name: as_shares(name, np.asarray(observation[name], np.float64), most) for name, most in fields.items()}
    return {name: np.clip(shares, 0.0, 1.0).astype(np.float32).astype(np.float64) for name, shares in seen.items()}


def features(now: Mapping[str, Floats], before: Mapping[str, Floats]) -> Floats:
    """What the network sees of each skill, ``(…, k, 7)``.

    Accuracy, loss, the share of all examples times k (so that 1 is an even share, whatever k), what the last lesson
    changed in accuracy and in loss, score, budget. The first lesson has nothing before it: ``before`` is then ``now``.
    """
    accuracy, loss, counts = (now[name] for name in PER_SKILL)
    k = accuracy.shape[-1]
    columns = [
        accuracy,
        loss,
        np.minimum(counts * k, 4.0) / 2,
        2 * (accuracy - before["accuracy"]),
        4 * (before["loss"] - loss),
        *(np.broadcast_to(now[name], accuracy.shape) for name in OVERALL),
    ]
    return np.stack(columns, -1)


def save(policy: TeacherPolicy, card: Mapping[str, Any], folder: Path) -> Card:
    """Write a policy and what is known of it.

    Args:
        policy: The policy.
        card: The fields of ``Card`` but for ``weights`` and ``floor``.
        folder: Made if need be.
    """
    body = _bytes(policy.weights)
    written = Card(weights=_sum(body), floor=policy.floor, **card)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(body)
    (folder / CARD).write_text(written.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return written


def load(folder: Path) -> tuple[TeacherPolicy, Card]:
    """Read a policy.

    Raises:
        SettingError: If one of its two files is not there, or they are not what ``save`` wrote, weight for weight.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as tensors

    mend = "give a folder that dataenv train-teacher wrote"
    try:
        body, text = (folder / WEIGHTS).read_bytes(), (folder / CARD).read_bytes()
    except OSError as error:
        raise SettingError(f"path {folder} holds no policy ({error.strerror}: {error.filename}); {mend}") from None
    try:
        card = Card.model_validate_json(text)
    except ValidationError as error:
        raise SettingError(f"path {folder / CARD}: {explain(error, Card, quoting=False)}; {mend}") from None
    if _sum(body) != card.weights:
        raise SettingError(f"path {folder / WEIGHTS} is damaged, or is not what {CARD} was written with; {mend}")
    try:
        weights = tensors(body)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())
        raise SettingError(f"path {folder / WEIGHTS} holds no float32 weights ({said:.80}); {mend}") from None
    if wrong := _wrong(weights, len(card.skills)):
        raise SettingError(f"path {folder / WEIGHTS}: {wrong}; {mend}")
    return TeacherPolicy(weights, card.floor), card


def _wrong(weights: Mapping[str, npt.NDArray[Any]], k: int) -> str:
    """Why weights do not fit a policy that knows ``k`` skills by name; empty if they fit."""
    width = weights["actor.0.bias"].size if "actor.0.bias" in weights else HIDDEN
    policy = fresh(stream(0, "shapes"), 0.0, min(max(width, 1), WIDEST))
    like = (by_name(policy, k) if k else policy).weights
    for name in sorted(like.keys() | weights.keys()):
        if name not in weights or name not in like:
            return f"{name} is {'not there' if name in like else 'no weight of a policy'}"
        has, wants = weights[name], like[name]
        if (has.shape, has.dtype) != (wants.shape, wants.dtype):
            return f"{name} is {has.dtype} of shape {has.shape} where a policy has {wants.dtype} of {wants.shape}"
        if not np.isfinite(has).all():
            return f"{name} holds a number that is not finite"
    return ""


def _bytes(weights: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    from safetensors.numpy import save as tensors

    return tensors({name: np.ascontiguousarray(weights[name]) for name in sorted(weights)})


def _sum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
