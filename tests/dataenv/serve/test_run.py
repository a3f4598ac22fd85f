"""Where a server may be bound, and its token."""

from __future__ import annotations

import pytest

from dataenv.errors import SettingError
from dataenv.serve.run import TOKEN, require_loopback, token_from


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_only_this_machine_unless_asked(host: str) -> None:
    with pytest.raises(SettingError, match="--anywhere"):
        require_loopback(host, False)
    require_loopback(host, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine(host: str) -> None:
    require_loopback(host, False)


def test_a_token_is_given_or_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    (one, fresh), (other, _) = token_from(), token_from()
    assert fresh
    assert one != other
    assert len(one) >= 32
    monkeypatch.setenv(TOKEN, "x" * 20)
    assert token_from() == ("x" * 20, False)
    for wrong in ("short", "x" * 20 + "\n", "with spaces in its middle", "ü" * 20):
        monkeypatch.setenv(TOKEN, wrong)
        with pytest.raises(SettingError, match="is no token"):
            token_from()
