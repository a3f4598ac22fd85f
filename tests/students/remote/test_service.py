"""Sessions: every wait has an end, every failure is one sentence, and a key goes nowhere else."""

from __future__ import annotations

import logging
import pickle
import random
from collections.abc import Iterator

import pytest

from dataenv.errors import SettingError, UnansweredError
from students.remote.service import Endpoint, RefusedByServerError, models, session
from tests.rl.legs import package
from tests.tiny_lm import save_tiny

tinker = package("tinker", leg="tinker")

from tests.fake_tinker import MODEL, Fake, serving  # noqa: E402 (needs the package)

KEY = "tml-Ab3dEf6hIj9kLm2n"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    with serving(save_tiny(tmp_path_factory.mktemp("service") / "tiny")) as server:
        yield server


@pytest.fixture(autouse=True)
def sound(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD", "DATAENV_KEYS"):
        monkeypatch.delenv(name, raising=False)
    yield
    fake.faults, fake.slow = {}, 0.0


def place(fake: Fake, key_env: str = "", deadline: float = 60.0) -> Endpoint:
    return Endpoint(fake.url, key_env, deadline)


def test_a_session_is_opened_and_ended(fake: Fake) -> None:
    fake.asked.clear()
    with session(place(fake)) as opened:
        assert opened.client is not None
    words = [word for word, _, _ in fake.asked]
    assert words[-1] == "finish"
    assert "telemetry" not in words
    assert [model.model_name for model in models(place(fake))] == [MODEL]


def test_what_the_package_draws_for_its_waits_shifts_nobody(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    before, drawn, once = random.getstate(), [], fake.on_create_session
    monkeypatch.setattr(fake, "on_create_session", lambda body: (drawn.append(random.random()), once(body))[1])
    with session(place(fake)):
        assert random.getstate() != before
    assert len(drawn) == 1
    assert random.getstate() == before


def test_a_server_that_is_away_ends_the_wait(fake: Fake) -> None:
    away = Endpoint("http://127.0.0.1:9", "", 2.0)
    with (
        pytest.raises(UnansweredError, match=r"127\.0\.0\.1:9 (does not open a session within 2 s|cannot be reached)"),
        session(away),
    ):
        pass


def test_a_slow_answer_ends_at_the_deadline(fake: Fake) -> None:
    with session(place(fake)) as opened:
        fake.slow = 3.0
        slow = opened.client.create_lora_training_client(MODEL, 4, 0, True, True, False)
        opened.place = place(fake, deadline=0.5)
        with pytest.raises(UnansweredError, match=r"does not train within 0\.5 s; raise student_args\.deadline"):
            opened.wait(slow, "train")
        fake.slow = 0.0


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, r"HTTP 401: .*put this server's key into the variable"), (404, r"HTTP 404: .*mend student_args")],
)
def test_what_a_status_means(fake: Fake, status: int, sentence: str) -> None:
    with session(place(fake)) as opened:
        fake.faults = {"create_model": status}
        made = opened.client.create_lora_training_client(MODEL, 4, 0, True, True, False)
        with pytest.raises(UnansweredError, match=sentence) as caught:
            opened.wait(made, "make an adapter")
        assert isinstance(caught.value, RefusedByServerError) is (status == 404)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it comes home from a worker


def test_a_key_is_sent_where_it_may_go_and_shown_nowhere(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    with pytest.raises(SettingError, match=r"not to be sent to 127\.0\.0\.1 unless you say so") as caught:
        place(fake, "TINKER_API_KEY").key()
    assert KEY not in str(caught.value)
    monkeypatch.setenv("DATAENV_KEYS", "TINKER_API_KEY=127.0.0.1")
    fake.asked.clear()
    with caplog.at_level(logging.DEBUG), session(place(fake, "TINKER_API_KEY")) as opened:
        fake.faults = {"create_model": 400}
        with pytest.raises(UnansweredError) as refused:
            opened.wait(opened.client.create_lora_training_client(MODEL, 4, 0, True, True, False), "make an adapter")
    assert {headers.get("x-api-key") for _, headers, _ in fake.asked} == {KEY}
    said = capsys.readouterr()
    assert "sends $TINKER_API_KEY to 127.0.0.1" in said.err
    assert KEY not in f"{said} {caplog.text} {refused.value} {opened!r}"


def test_without_a_key_none_of_the_environment_is_sent(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    fake.asked.clear()
    with session(place(fake)):
        pass
    assert {headers.get("x-api-key") for _, headers, _ in fake.asked} == {"tml-none"}


def test_no_key_in_clear_and_nothing_that_the_package_would_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINKER_API_KEY", KEY)
    monkeypatch.setenv("DATAENV_KEYS", "TINKER_API_KEY=far.example.org")
    with pytest.raises(SettingError, match=r"student_args\.url is http, and a key would be sent in clear"):
        Endpoint("http://far.example.org", "TINKER_API_KEY", 1.0).key()
    assert Endpoint("https://far.example.org", "TINKER_API_KEY", 1.0).key() == KEY
    monkeypatch.setenv("TINKER_CREDENTIAL_CMD", "print-a-key")
    assert Endpoint("https://far.example.org", "TINKER_API_KEY", 1.0).key() == KEY
    with pytest.raises(SettingError, match=r"would use \$TINKER_CREDENTIAL_CMD at other\.example\.org"):
        Endpoint("https://other.example.org", "", 1.0).key()


def test_a_missing_key_is_one_sentence() -> None:
    with pytest.raises(SettingError, match="key_env names TINKER_API_KEY, which is not set"):
        Endpoint("https://tinker.thinkingmachines.dev/x", "TINKER_API_KEY", 1.0).key()


def test_places_are_named_by_host() -> None:
    assert Endpoint("http://127.0.0.1:8000/v1", "", 1.0).host == "127.0.0.1:8000"
