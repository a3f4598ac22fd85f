"""The student ``tinker``, through the real package, on a fake server that really trains a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import check_student, registry
from dataenv.checks.student import PLAIN, SHORT
from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError, UnansweredError, UnsupportedError
from students.base import Data, Decoding, TrainingDivergedError, asked
from students.causal_lm.student import CausalLM
from students.remote.service import LostCheckpointError
from students.remote.tinker import Tinker
from students.remote.training import Checkpoint, packed, unpacked
from tests.rl.legs import package
from tests.tiny_lm import save_tiny
from tests.toys import TOYS

package("tinker", leg="tinker")

from tests.fake_tinker import MODEL, Fake, serving  # noqa: E402 (needs the package)

RECIPE = SHORT.model_copy(update={"updates": 4, "weight_decay": 0.1, "warmup": 2, "clip": 0.5})
PROMPTS = asked(e.prompt for e in PLAIN)
GREEDY = Decoding(max_tokens=6)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    with serving(save_tiny(tmp_path_factory.mktemp("tinker") / "tiny")) as server:
        yield server


@pytest.fixture(autouse=True)
def sound(fake: Fake) -> Iterator[None]:
    yield
    fake.faults, fake.other, fake.spoilt, fake.slow = {}, {}, False, 0.0


def student(fake: Fake, **args: Any) -> Tinker:
    given = {"base_model": MODEL, "tokenizer": str(fake.folder), "url": fake.url, "key_env": "", "rank": 4}
    return Tinker(**(given | {"context": 96, "deadline": 120} | args))


@pytest.fixture
def remote(fake: Fake) -> Tinker:
    return student(fake)


@pytest.fixture(scope="module")
def local(fake: Fake) -> CausalLM:
    """The same model by our own arithmetic, with the adapter that the server draws from a seed."""
    return CausalLM(path=str(fake.folder), rank=4, alpha=32, context=96)


def test_keeps_the_contract(remote: Tinker) -> None:
    check_student(remote)


def test_equals_causal_lm_to_rounding(remote: Tinker, local: CausalLM) -> None:
    """Same adapter, batches, order, rates and AdamW: losses, answers, and training that goes on from a checkpoint."""
    data, more = Data(PLAIN[:6], earlier=PLAIN[6:]), Data(PLAIN[2:])
    recipe = RECIPE.model_copy(update={"replay": 0.25})
    blobs = [each.initial(3) for each in (remote, local)]
    for some, how in ((data, recipe), (more, RECIPE), (more, RECIPE.model_copy(update={"optimiser": "reset"}))):
        fitted = [each.fit(blob, some, how, 5) for each, blob in zip((remote, local), blobs, strict=True)]
        blobs = [blob for blob, _ in fitted]
        (_, there), (_, here) = fitted
        assert there.loss == pytest.approx(here.loss, rel=1e-4)
        assert (there.updates, there.tokens) == (here.updates, here.tokens)
    losses = [each.losses(blob, PLAIN) for each, blob in zip((remote, local), blobs, strict=True)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    answers = [each.answer(blob, PROMPTS, GREEDY, 0) for each, blob in zip((remote, local), blobs, strict=True)]
    assert answers[0] == answers[1]
    assert len(set(answers[0])) > 1


def test_untaught_it_answers_and_measures_as_the_base_model(remote: Tinker, local: CausalLM) -> None:
    there, here = remote.initial(1), local.initial(1)
    np.testing.assert_allclose(remote.losses(there, PLAIN), local.losses(here, PLAIN), rtol=1e-4)
    assert remote.answer(there, PROMPTS, GREEDY, 0) == local.answer(here, PROMPTS, GREEDY, 0)


def test_after_a_branch_training_goes_on_from_the_trunk(remote: Tinker, local: CausalLM) -> None:
    recipe = RECIPE.model_copy(update={"updates": 2, "cooldown": 2})
    blobs = [each.fit(each.initial(0), Data(PLAIN), recipe, 1)[0] for each in (remote, local)]
    held = unpacked(blobs[0])
    assert held.trunk
    assert held.trunk != held.training
    (_, there), (_, here) = (
        each.fit(blob, Data(PLAIN), RECIPE, 2) for each, blob in zip((remote, local), blobs, strict=True)
    )
    assert there.loss == pytest.approx(here.loss, rel=1e-4)


def test_patience_looks_at_what_is_watched(remote: Tinker, local: CausalLM) -> None:
    recipe = SHORT.model_copy(update={"updates": 6, "patience": 1, "interval": 1, "rate": 0.3})
    data = Data(PLAIN[:4], watched=PLAIN[4:])
    (_, there), (_, here) = (each.fit(each.initial(0), data, recipe, 1) for each in (remote, local))
    assert (there.looks, there.updates) == (here.looks, here.updates)
    assert there.looks < 6


def test_what_is_sent_to_train(fake: Fake, remote: Tinker) -> None:
    fake.asked.clear()
    remote.fit(remote.initial(0), Data(PLAIN), RECIPE, 1)
    steps = [body["adam_params"] for word, _, body in fake.asked if word == "optim_step"]
    rates = [step["learning_rate"] for step in steps]
    assert rates == pytest.approx([RECIPE.rate * share for share in (1 / 3, 2 / 3, 1, 1)])
    sent = {name: steps[0][name] for name in ("beta1", "beta2", "eps", "weight_decay", "grad_clip_norm")}
    assert sent == {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "grad_clip_norm": 0.5}
    saved = [body for word, _, body in fake.asked if word.startswith("save_weights")]
    assert {body["ttl_seconds"] for body in saved} == {30 * 86_400}
    (config,) = (body["lora_config"] for word, _, body in fake.asked if word == "create_model")
    assert config == {"rank": 4, "seed": 0, "train_unembed": False, "train_mlp": True, "train_attn": True}


def test_a_warm_answer_depends_on_its_prompt_and_the_seed_alone(remote: Tinker) -> None:
    warm, weights = Decoding(temperature=1.0, max_tokens=6), remote.initial(0)
    answers = remote.answer(weights, [*PROMPTS[:2], PROMPTS[0]], warm, 4)
    assert answers[1] == remote.answer(weights, [PROMPTS[1]], warm, 4)[0]
    assert answers[0] != answers[2]  # asked twice, drawn twice
    assert answers[0] != remote.answer(weights, [PROMPTS[0]], warm, 5)[0]


def test_a_prompt_without_room_is_answered_with_nothing(fake: Fake, remote: Tinker) -> None:
    fake.asked.clear()
    assert remote.answer(remote.initial(0), asked(["x" * 96, "<e><s>system: "]), GREEDY, 0) == ["", ""]
    assert fake.asked == []  # the server is not troubled


def test_a_checkpoint_that_is_gone_is_one_sentence(fake: Fake, remote: Tinker) -> None:
    gone = packed(Checkpoint(seed=0, training="tinker://a/weights/b", sampler="tinker://a/sampler_weights/b"))
    for act in (
        lambda: remote.fit(gone, Data(PLAIN), RECIPE, 1),
        lambda: remote.answer(gone, PROMPTS, GREEDY, 0),
        lambda: remote.losses(gone, PLAIN),
    ):
        with pytest.raises(LostCheckpointError, match=r"no longer has checkpoint tinker://a/\w+/b .*start a new"):
            act()


def test_a_loss_that_is_no_number_has_diverged(fake: Fake, remote: Tinker) -> None:
    fake.spoilt = True
    with pytest.raises(TrainingDivergedError, match=r"the loss became nan at update 1; lower recipe\.rate"):
        remote.fit(remote.initial(0), Data(PLAIN), RECIPE, 1)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"lora_rank": 8}, r"student_args\.rank is 4 and .* makes an adapter of rank 8"),
        ({"model_name": "big"}, r"student_args\.base_model is 'tiny/llama' and .* trains 'big'"),
    ],
)
def test_another_adapter_or_model_is_refused_before_it_is_trained(
    fake: Fake, remote: Tinker, other: dict[str, Any], sentence: str
) -> None:
    fake.other = other
    fake.asked.clear()
    with pytest.raises(SettingError, match=sentence):
        remote.fit(remote.initial(0), Data(PLAIN), RECIPE, 1)
    assert not {"forward_backward", "optim_step"} & {word for word, _, _ in fake.asked}


def test_the_server_is_asked_for_its_models_before_anything(fake: Fake, remote: Tinker) -> None:
    remote.admit()
    with pytest.raises(SettingError, match=r"base_model is 'no/such', which .* does not have; give one of tiny/llama"):
        student(fake, base_model="no/such").admit()
    with pytest.raises(SettingError, match=r"context is 500 and .* has 128 for 'tiny/llama'"):
        student(fake, context=500).admit()


def test_a_refusal_is_one_sentence_with_the_servers_words(fake: Fake, remote: Tinker) -> None:
    fake.faults = {"create_model": 400}
    with pytest.raises(UnansweredError, match=r"does not make an adapter \(HTTP 400: .*create_model is not to be had"):
        remote.fit(remote.initial(0), Data(PLAIN), RECIPE, 1)


def test_an_episode_survives_a_server_that_is_away(fake: Fake, toys: None, tmp_path: Path) -> None:
    args = {
        "base_model": MODEL,
        "tokenizer": str(fake.folder),
        "url": fake.url,
        "key_env": "",
        "rank": 4,
        "context": 96,
    }
    setting = TOYS | {
        "student": "tinker",
        "student_args": args | {"deadline": 120},
        "recipe": {"updates": 2, "batch": 4},
    }
    env = TeachingEnv("open-ended", store=str(tmp_path / "store"), **setting)
    env.reset(seed=0)
    lesson = env.task.generate("short", 8, np.random.default_rng(0))
    fake.faults = {"create_model": 401}
    with pytest.raises(UnansweredError, match="does not make an adapter"):
        env.step(lesson)
    fake.faults = {}
    env.step(lesson)
    fake.asked.clear()
    again = TeachingEnv("open-ended", store=str(tmp_path / "store"), **setting)
    again.reset(seed=0)
    again.step(lesson)
    assert [step.selection for step in again.history] == [step.selection for step in env.history]
    assert fake.asked == []  # all of it is in the store


def test_its_name_does_not_tell_where_the_tokenizer_lies(fake: Fake, remote: Tinker, tmp_path: Path) -> None:
    again = student(fake, tokenizer=str(save_tiny(tmp_path / "again")), deadline=60, keep_days=None)
    assert again.fingerprint == remote.fingerprint
    assert student(fake, rank=8).fingerprint != remote.fingerprint
    assert student(fake, template="plain").fingerprint != remote.fingerprint
    assert remote.numerics["rebuilt"] == "not bit by bit"


def test_validate_is_told_and_export_is_refused(remote: Tinker) -> None:
    (caution,) = remote.cautions
    assert caution.endswith("a run on it is not rebuilt bit by bit")
    with pytest.raises(UnsupportedError, match="by the server's own tools"):
        remote.export(remote.initial(0), Path())


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"url": "ftp://x"}, "student_args.url is no address"),
        ({"url": "http://me:secret@host"}, "student_args.url holds a key or a query"),
        ({"key_env": "tml-aaaaaaaa"}, "student_args.key_env is no name"),
        ({"rank": 0}, "student_args.rank is 0"),
        ({"keep_days": 0}, "student_args.keep_days is 0"),
        ({"deadline": 0}, "student_args.deadline is 0"),
        ({"layers": ["head"]}, "student_args.layers is"),
        ({"template": "other"}, "student_args.template is 'other'"),
        ({"context": 5}, "context is 5 and the prompt format alone takes"),
        ({"tokenizer": "no/such/folder"}, "no folder on this machine and none that the hub gives"),
    ],
)
def test_bad_arguments_are_one_sentence(fake: Fake, args: dict[str, Any], sentence: str) -> None:
    given = {"base_model": MODEL, "tokenizer": str(fake.folder), "url": fake.url, "key_env": ""} | args
    with pytest.raises(SettingError, match=sentence) as caught:
        registry.build("student", "tinker", given)
    assert "secret" not in str(caught.value)
    assert "tml-aaaaaaaa" not in str(caught.value)
