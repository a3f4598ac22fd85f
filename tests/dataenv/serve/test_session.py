"""One episode taught from outside: six tools, plain JSON, and nothing that another teacher could not see."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

from dataenv.environment.env import TeachingEnv
from dataenv.errors import ActionError, BudgetSpentError, DataenvError, SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.serve.session import BusyError, Saved, TeachingSession
from dataenv.setting import make_setting
from tests.toys import TOYS

pytestmark = pytest.mark.usefixtures("toys")
FIELDS: dict[str, Any] = TOYS | {"budget": {"student_tokens": 3_000}}
EVENLY = {"mixture": {"short": 1.0, "long": 1.0}}


def session(level: str = "skill-list", runner: Runner | None = None, saved: Saved | None = None) -> TeachingSession:
    return TeachingSession(make_setting(FIELDS), level, 0, runner or Runner(Store()), saved)


def test_a_session_teaches_to_the_end_of_its_purse_as_a_teacher_does() -> None:
    here = session()
    told = here.call("look", {})
    assert told["skills"] == ["short", "long"]
    assert set(told["observation"]["accuracy"]) == {"short", "long"}
    env = TeachingEnv("skill-list", runner=Runner(Store()), **FIELDS)
    env.reset(seed=0)
    while not told["ended"]:
        told = json.loads(json.dumps(here.call("teach", EVENLY)))
        _, reward, *_, info = env.step(np.ones(2))
        assert (told["reward"], told["info"]) == (float(reward), info)
    assert told["ended"] == "spent"
    assert here.env.snapshot() == env.snapshot()
    for tool, given in (("teach", EVENLY), ("fork", {}), ("sample", {"prompts": ["ab>"]})):
        with pytest.raises(DataenvError, match="ended"):
            here.call(tool, given)
    assert here.call("look", {})["ended"] == "spent"
    assert here.call("stop", {})["ended"] == "spent"


def test_probes_samples_and_branches_are_paid() -> None:
    here = session()
    spent = [here.call("look", {})["purse"]["spent"]]
    found = here.call("probe", {"examples": [{"prompt": "abc>", "response": "cba"}]})
    assert len(found["values"]) == 1
    spent.append(found["purse"]["spent"])
    answers = here.call("sample", {"prompts": ["abc>", "abd>"], "n": 2})
    assert [len(said) for said in answers["answers"]] == [2, 2]
    spent.append(answers["purse"]["spent"])
    branch = here.call("fork", {})["branch"]
    taught = here.call("teach", EVENLY | {"branch": branch})
    spent.append(taught["purse"]["spent"])
    assert spent == sorted(set(spent))
    assert here.call("look", {"branch": branch})["observation"] != here.call("look", {})["observation"]
    assert here.call("look", {})["step"] == 0
    here.call("stop", {"branch": branch})
    with pytest.raises(SettingError, match="not open"):
        here.call("look", {"branch": branch})
    with pytest.raises(BudgetSpentError):
        here.call("sample", {"prompts": ["abc>"] * 1000, "n": 50})


def test_sealed_problems_cannot_be_asked_or_taught() -> None:
    here = session("open-ended")
    sealed = here.env.setting.exam_items("test")[0]
    with pytest.raises(SettingError, match="would not pass the screen"):
        here.call("probe", {"examples": [{"prompt": sealed.prompt, "response": sealed.answer}]})
    told = here.call("teach", {"examples": [{"prompt": sealed.prompt, "response": sealed.answer}]})
    assert told["info"]["rejected/leak"] == 1
    assert sealed.prompt not in json.dumps(here.call("look", {}))


@pytest.mark.parametrize(
    ("tool", "given", "error", "said"),
    [
        ("cheat", {}, SettingError, "tool 'cheat' is unknown"),
        ("look", {"branch": -1}, SettingError, "branch is -1"),
        ("look", {"paths": 1}, SettingError, "paths"),
        ("probe", {"examples": [{"prompt": "x" * 5000, "response": "y"}]}, SettingError, "at most 4096"),
        ("sample", {"prompts": "abc"}, SettingError, "prompts"),
        ("teach", {}, ActionError, "needs 'mixture'"),
        ("teach", {"mixture": {"shrt": 1}}, ActionError, "did you mean 'short'"),
        ("teach", {"mixture": {"short": 2.0}}, ActionError, "0 to 1"),
        ("teach", {"mixture": {"short": 1.0}, "recipe": "x"}, ActionError, "give"),
        ("teach", EVENLY | {"branch": 7}, SettingError, "branch 7 is not open"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_costs_nothing(tool: str, given: Any, error: Any, said: str) -> None:
    here = session()
    with pytest.raises(error, match=said):
        here.call(tool, given)
    assert here.call("look", {})["purse"]["spent"] == 0


def test_every_level_can_be_taught() -> None:
    tree = session("skill-tree")
    look = tree.call("look", {})
    assert "explore" in look["lesson"]
    k, m = np.shape(look["observation"]["grown"])
    action = {"explore": [1] * k, "data": [1.0] * k, "allocation": np.zeros((k, m)).tolist()}
    assert tree.call("teach", {"action": action})["step"] == 1
    ended = session("open-ended")
    assert ended.call("stop", {})["ended"] == "stopped"


def test_it_goes_on_from_what_was_saved() -> None:
    runner = Runner(Store())
    first = session(runner=runner)
    first.call("teach", EVENLY)
    first.call("sample", {"prompts": ["abc>"], "temperature": 1.0})
    saved = Saved.model_validate_json(first.saved.model_dump_json())
    second = session(runner=runner, saved=saved)
    assert second.call("look", {})["purse"] == first.call("look", {})["purse"]
    for tool, given in (("sample", {"prompts": ["abc>"], "n": 3}), ("teach", EVENLY), ("stop", {})):
        assert second.call(tool, given) == first.call(tool, given)


def test_a_second_call_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    here, begun, go = session(), threading.Event(), threading.Event()
    plain = here.env.step

    def slow(action: Any) -> Any:
        begun.set()
        go.wait(60)
        return plain(action)

    monkeypatch.setattr(here.env, "step", slow)
    worker = threading.Thread(target=here.call, args=("teach", EVENLY))
    worker.start()
    begun.wait(60)
    assert here.busy[0] == "teach"
    with pytest.raises(BusyError, match=r"at work \(teach\)"):
        here.call("look", {})
    go.set()
    worker.join()
    assert here.busy == ("", 0.0)
    assert here.call("look", {})["step"] == 1
