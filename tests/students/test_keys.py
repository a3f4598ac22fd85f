"""Keys of servers: where they may go, and that none is shown."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataenv import registry
from dataenv.errors import SettingError
from dataenv.validation import validated
from students import keys
from tasks.records import Record

OPENAI = "https://api.openai.com/v1"
LIKE_KEYS = [
    "sk-proj-0aZ9bY8cX7dW6eV5", "sk-ant-api03-0aZ9bY8cX7dW", "sk-or-v1-0a9b8c7d6e5f4a3b", "sk-REDTEAM-SECRET-KEY",
    "gsk_0aZ9bY8cX7dW6eV5fU4g", "hf_0aZ9bY8cX7dW6eV5fU4g", "xai-0aZ9bY8cX7dW6eV5fU4g", "AKIA0123456789ABCDEF",
    "AIzaSy0aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0k", "ghp_0aZ9bY8cX7dW6eV5fU4gT3", "eyJhbGciOiJIUzI1.eyJzdWIiOiIx.0aZ9bY8c",
    "Bearer 0aZ9bY8cX7dW6eV5", "xoxb-123456789012-abc", "nvapi-0aZ9bY8cX7dW6eV5fU4g",
]  # fmt: skip
NO_KEYS = [
    "qwen2.5-7b-instruct", "meta-llama/Llama-3.3-70B-Instruct", "sk-learn", "task-0aZ9bY8cX7dW6eV5", "risk-adjusted-x",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90", "stat-sel-pool", "OPENAI_API_KEY", "disk-0123456789-ABCDEF", "hf_model",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.ALLOWED, "")


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "_KEY", "A1_KEY", "AWS_SECRET_ACCESS_KEY"])
def test_names(name: str) -> None:
    assert keys.is_name(name)


@pytest.mark.parametrize(
    "name", [*LIKE_KEYS, "PATH", "my_key", "KEY ", "KEY\n", "1_KEY", "SECRET", "", "A-KEY", "ÄKEY"]
)
def test_no_names(name: str) -> None:
    assert not keys.is_name(name)


def test_a_key_goes_to_its_maker_alone() -> None:
    assert keys.refusal("OPENAI_API_KEY", OPENAI) is None
    for name, url in (
        ("OPENAI_API_KEY", "https://api.openai.com.evil.org/v1"),
        ("OPENAI_API_KEY", "https://openai.com/v1"),
        ("OPENAI_API_KEY", "https://api.anthropic.com/v1"),
        ("OPENAI_API_KEY", "http://127.0.0.1:8080/v1"),
        ("AWS_SECRET_ACCESS_KEY", OPENAI),
        ("AWS_SECRET_ACCESS_KEY", "http://127.0.0.1:8080/v1"),
        ("AZURE_OPENAI_API_KEY", "https://mine.openai.azure.com/openai/v1"),
    ):
        said = keys.refusal(name, url)
        assert said is not None
        assert f"--allow-key {name}=" in said, "the mend"
        mend = re.search(r"--allow-key (\S+),", said)
        assert mend is not None
        keys.allow(mend[1])
        assert keys.refusal(name, url) is None, "which works"


def test_a_pair_is_for_this_name_and_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.ALLOWED, " MY_KEY=Models.Example.org , OTHER_TOKEN=10.0.0.7:8443,")
    assert keys.refusal("MY_KEY", "https://models.example.org/v1") is None
    assert keys.refusal("MY_KEY", "https://MODELS.example.org:8443/v1") is None
    assert keys.refusal("OTHER_TOKEN", "https://10.0.0.7:8443/v1") is None
    for name, url in (
        ("MY_KEY", "https://example.org/v1"),
        ("MY_KEY", "https://x.models.example.org/v1"),
        ("YOUR_KEY", "https://models.example.org/v1"),
        ("OTHER_TOKEN", "https://10.0.0.7/v1"),
        ("OTHER_TOKEN", "https://10.0.0.7:8444/v1"),
    ):
        assert keys.refusal(name, url) is not None


@pytest.mark.parametrize("url", ["http://models.example.org/v1", "http://10.0.0.7/v1", "http://127.0.0.1.nip.io/v1"])
def test_no_key_goes_in_clear_whoever_allows_it(url: str) -> None:
    keys.allow_for("MY_KEY", url)
    assert "in clear" in (keys.refusal("MY_KEY", url) or "")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:8/v1", "http://127.9.9.9/v1"]
)
def test_on_this_machine_it_may_if_it_is_allowed(url: str) -> None:
    assert "--allow-key" in (keys.refusal("MY_KEY", url) or "")
    keys.allow_for("MY_KEY", url)
    assert keys.refusal("MY_KEY", url) is None


@pytest.mark.parametrize(
    "url", [r"https://api.openai.com\@evil.org/v1", r"https://api.openai.com\.evil.org", "https://%61/"]
)
def test_an_address_that_two_could_read_in_two_ways_gets_none(url: str) -> None:
    keys.allow_for("OPENAI_API_KEY", url)
    assert keys.refusal("OPENAI_API_KEY", url) is not None


def test_the_local_server_asks_for_none() -> None:
    assert keys.refusal("MY_KEY", "local") is None


@pytest.mark.parametrize(
    "pair", ["MY_KEY", "=a.org", "my_key=a.org", "MY_KEY=", "MY_KEY=https://a.org", "MY_KEY=*", *LIKE_KEYS]
)
def test_what_is_no_pair_is_refused_and_not_repeated(pair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="is not NAME=host") as caught:
        keys.allow(pair)
    assert "sk-" not in str(caught.value)
    assert os.environ[keys.ALLOWED] == ""
    monkeypatch.setenv(keys.ALLOWED, pair)
    with pytest.raises(SettingError, match=r"\$DATAENV_KEYS is not NAME=host"):
        keys.refusal("MY_KEY", "https://a.org/v1")
    with pytest.raises(SettingError, match="is not NAME=host") as caught:
        keys.allow(f"OPENAI_API_KEY={LIKE_KEYS[0]}")
    assert LIKE_KEYS[0] not in str(caught.value)


def test_it_is_said_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_said", set())
    for _ in range(3):
        keys.announce("OPENAI_API_KEY", OPENAI)
    assert capsys.readouterr().err == "dataenv: sends $OPENAI_API_KEY to api.openai.com\n"


@pytest.mark.parametrize("text", LIKE_KEYS)
def test_what_looks_like_a_key_is_hidden(text: str) -> None:
    assert keys.held({"a": [{"b": f"x {text} y"}]}) == "a.0.b"
    assert keys.held({text: 1}) == "a name"
    masked = keys.masked(f"x {text} y")
    assert masked.startswith("x ")
    assert text[-8:] not in masked


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_does_not_stays(text: str) -> None:
    assert keys.held({"a": text, "b": [text]}) is None
    assert keys.masked(text) == text


def test_what_the_environment_holds_is_hidden_whatever_it_looks_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct horse battery")
    monkeypatch.setenv("SHORT_KEY", "arithmetic"[:8])
    monkeypatch.setenv("SSH_KEY", "/home/me/.ssh/id_ed25519")
    assert keys.held({"a": "the correct horse battery"}) == "a"
    assert keys.masked("a correct horse battery") == "a [key]"
    assert keys.held({"a": "arithmetic", "b": "/home/me/.ssh/id_ed25519"}) is None


def test_what_the_environment_holds_is_hidden_in_any_case_and_as_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "AbCd-Correct-Horse-1")
    assert keys.masked("a ABCD-CORRECT-HORSE-1, b abcd-correct-horse-1") == "a [key], b [key]"
    assert keys.held({"a": ["x", "abcd-correct-horse-1"]}) == "a.1"
    assert keys.held({"a": {"AbCd-Correct-Horse-1": 1}}) == "a.a name"


@given(st.text(alphabet="abcXYZ019-_.", min_size=keys.SHORTEST, max_size=50), st.text(), st.text())
def test_hiding_leaves_nothing_of_it(secret: str, before: str, after: str) -> None:
    clean = keys.hiding([secret, ""])
    for said in (secret, secret.upper(), secret.swapcase()):
        assert secret.casefold() not in clean(before + said + after).replace("[key]", "\0").casefold()
    assert keys.hiding(["abc", ""])("abc") == "abc"


class Plain(Record):
    """Some fields."""

    number: int = 0


@pytest.mark.parametrize("value", LIKE_KEYS)
def test_no_sentence_repeats_one(value: str) -> None:
    with pytest.raises(SettingError, match="number is") as caught:
        validated(Plain, {"number": value}, "plain", SettingError)
    assert value not in str(caught.value)
    for args in ({"prior": value}, {"x": {"y": [value]}}):
        with pytest.raises(SettingError, match=r"teacher_args\.\S+ of teacher 'stratified' holds a key") as caught:
            registry.build("teacher", "stratified", args)
        assert value not in str(caught.value)


def test_names_of_fields_that_are_keys() -> None:
    for name in ("api_key", "apiKey", "API-KEY", "authorization", "x-api-key", "password", "access_token"):
        assert keys.named({"a": {name: "x"}}) == f"a.{name}"
        assert keys.named({"a": [1, {name: "x"}]}) == f"a.1.{name}"
    fields: dict[str, Any] = {"max_tokens": "9", "stop_token": "x", "api_key": "", "logprobs": True, "keys": "a"}
    assert keys.named(fields) is None
