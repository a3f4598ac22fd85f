"""The sessions of a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataenv.errors import ActionError, SettingError, SnapshotError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.serve.hub import Hub, NoSeedLeftError, UnknownSessionError
from dataenv.setting import make_setting
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")
FIELDS: dict[str, Any] = TOYS | {"budget": {"student_tokens": 3_000}}
EVENLY = {"mixture": {"short": 1.0, "long": 1.0}}


def hub(runner: Runner, folder: Path | None = None, seeds: tuple[int, ...] = (3, 5), **changes: Any) -> Hub:
    return Hub(make_setting(FIELDS | changes), "skill-list", seeds, runner, folder)


def test_each_session_has_a_seed_of_its_own_and_no_seed_is_taught_twice() -> None:
    here = hub(Runner(Store()))
    first, second = here.open(), here.open()
    assert [here.session(name).seed for name in (first, second)] == [3, 5]
    here.call(first, "stop", {})
    with pytest.raises(NoSeedLeftError, match="all 2 seeds"):
        here.open()
    with pytest.raises(UnknownSessionError):
        here.session("other")
    with pytest.raises(SettingError, match="seeds is empty"):
        hub(Runner(Store()), seeds=())


def test_a_server_that_was_ended_goes_on_where_it_stood(tmp_path: Path) -> None:
    store = Store()
    before = hub(Runner(store), tmp_path)
    name = before.latest
    told = before.call(name, "teach", EVENLY)
    with pytest.raises(ActionError):
        before.call(name, "teach", {"mixture": {"nothing": 1.0}})
    after = hub(Runner(store), tmp_path)
    assert after.latest == name
    assert after.call(name, "look", {})["purse"] == told["purse"]
    assert after.call(name, "look", {})["total_reward"] == told["total_reward"]
    assert after.session(after.open()).seed == 5
    with pytest.raises(SnapshotError, match="another Setting"):
        hub(Runner(store), tmp_path, lesson_size=4)


def test_a_file_that_is_no_session_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(SnapshotError, match="no session"):
        hub(Runner(Store()), tmp_path)
    (tmp_path / "x.json").write_text(json.dumps({"seed": -1}))
    with pytest.raises(SnapshotError, match="seed"):
        hub(Runner(Store()), tmp_path)
