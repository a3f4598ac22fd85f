"""Subskills by proposal: asked for and written by a language model, and what a forest makes of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import dataenv
from dataenv.cli import app
from dataenv.discovery.discover import propose
from dataenv.environment.env import TeachingEnv
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from tasks.proposed import Proposal, Proposed, Subskill
from tasks.records import Example, stream
from teachers.chat.scripted import ScriptedTurn, Server, serving
from tests.chatting import backwards
from tests.toys import PLENTY, Plenty

pytestmark = pytest.mark.usefixtures("toys")
SAID = ["Odd Words", "odd  words", "even/words", "Rare", "Words of More"]


def divides(turn: ScriptedTurn) -> str:
    """Five names for every skill, two of them one and one with a slash; for the rest it is backwards."""
    if turn.schema is not None and turn.schema["title"] == "Division":
        return json.dumps({"subskills": [{"name": name, "description": f"About {name}."} for name in SAID]})
    return backwards(turn)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(divides)) as running:
        yield running


def asked(server: Server, store: Store, **given: Any) -> Proposal:
    args = {"chat": {"base_url": server.base_url, "model": "scripted", "price_in": 1.0}}
    return propose(make_setting(PLENTY), "chat", args, Runner(store), **{"most": 3, "examples": 6} | given)


def test_names_are_tidied_copies_dropped_and_the_list_cut(server: Server) -> None:
    store = Store()
    found = asked(server, store)
    assert set(found.subskills) == {"short", "long"}
    for skill, parts in found.subskills.items():
        assert [part.name for part in parts] == ["odd words", "even words", "rare"]
        assert parts[0].description == "About Odd Words."
        for part in parts:
            assert 0 < len(part.examples) <= 6
            assert {e.skills for e in part.examples} == {(skill,)}
    assert found.counts["proposed"] == 6
    assert found.counts["right"] == sum(len(part.examples) for parts in found.subskills.values() for part in parts)
    assert 0 < found.cost["money"] < found.cost["teacher_tokens"] / 1e6
    before = len(server.heard)
    assert asked(server, store) == found
    assert len(server.heard) == before, "what the store knows is not asked again"


def test_the_description_is_in_the_prompt_of_its_examples_and_nothing_sealed_is_in_any(server: Server) -> None:
    found = asked(server, Store())
    said = [heard["messages"][0]["content"] for heard in server.heard]
    assert any('"name": "rare", "description": "About Rare."' in prompt for prompt in said)
    sealed = Plenty().sealed
    assert not any(p in prompt for p in sealed for prompt in said)
    assert not sealed & {e.prompt for parts in found.subskills.values() for part in parts for e in part.examples}


def test_a_forest_grows_what_was_proposed(server: Server, tmp_path: Path) -> None:
    path = str(tmp_path / "subskills.json")
    found = asked(server, Store())
    Path(path).write_text(found.model_dump_json())
    env = TeachingEnv("skill-tree", store="off", **PLENTY | {"subskills": path, "lesson_size": 6})
    observation, _ = env.reset(seed=0)
    assert observation["left"].tolist() == [3, 3]
    assert dataenv.Context(env).subskills("short") == ("odd words", "even words", "rare")
    grow = {"explore": np.array([1, 0]), "data": np.ones(2, np.float32), "allocation": np.zeros((2, 3), np.float32)}
    observation, *_, info = env.step(grow)
    assert observation["subskill_counts"].sum() == observation["subskill_counts"][0, 0] == info["kept"] > 0
    taught = {e.prompt for lesson in env._taught.lessons for e in lesson}
    assert taught <= {e.prompt for e in found.subskills["short"][0].examples}


def test_a_setting_is_named_by_what_the_file_holds(tmp_path: Path) -> None:
    one, other, changed = (str(tmp_path / name) for name in ("a.json", "b.json", "c.json"))
    for path in (one, other):
        Path(path).write_text(proposal().model_dump_json())
    Path(changed).write_text(proposal("dcba").model_dump_json())
    a, b, c = (make_setting(PLENTY | {"subskills": path}).digest for path in (one, other, changed))
    assert a == b != c
    assert "subskills" not in make_setting(PLENTY).model_dump()


def proposal(response: str = "cba", **changes: Any) -> Proposal:
    rows = (Example(prompt="abc>", response=response, skills=("short",)), Example(prompt="xyz>", response="zyx"))
    fields = {"task": "plenty", "subskills": {"short": (Subskill(name="all", examples=rows),)}}
    return Proposal.model_validate(fields | changes)


def test_more_than_was_written_comes_again_in_an_order_that_is_drawn() -> None:
    task = Proposed(Plenty(), proposal())
    made = task.generate_subskill("short", "all", 5, stream(0, "t"))
    assert sorted(e.prompt for e in made[:4]) == ["abc>", "abc>", "xyz>", "xyz>"]
    assert {e.skills for e in made} == {("short",)}
    assert task.subskills("long") == ()
    dataenv.check_task(task)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (proposal(task="lego"), "subskills are those of task 'lego', and this is 'plenty'"),
        (proposal(subskills={"shrt": ()}), "skill 'shrt' is not one of short, long"),
        (
            proposal(subskills={"short": ({"name": "all"},)}),
            "has no examples, and the procedural engine cannot",
        ),
    ],
)
def test_what_cannot_be_taught_is_one_sentence(found: Proposal, words: str, tmp_path: Path) -> None:
    path = tmp_path / "subskills.json"
    path.write_text(found.model_dump_json())
    with pytest.raises(dataenv.SettingError, match=words) as said:
        TeachingEnv("skill-tree", **PLENTY | {"subskills": str(path)})
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"subskills": "none.json"},
            "subskills 'none.json' cannot be read .*; make the file with `dataenv discover",
        ),
        ({"subskills": "x.json", "engine": "pool"}, "subskills is given and engine is 'pool', which divides no skill"),
    ],
)
def test_a_setting_without_its_file(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(dataenv.SettingError, match=words):
        TeachingEnv("skill-tree", **PLENTY | fields)


def test_the_command(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "made" / "subskills.json"
    words = ["discover", "plenty", "--student", "parrot", "--by", "chat", "--chat", server.base_url, "--subskills", "3"]
    rest = ["--chat-model", "scripted", "--examples", "2", "--out", str(out), "--store", "off"]
    done = CliRunner().invoke(app, [*words, *rest], catch_exceptions=False)
    assert done.exit_code == 0
    assert "odd words" in done.output
    made = Proposal.model_validate_json(out.read_text()).subskills["long"]
    assert [part.name for part in made] == ["odd words", "even words", "rare"]
    with pytest.raises(dataenv.SettingError, match="discoverer 'text' proposes no subskills; give --by chat"):
        propose(make_setting(PLENTY), "text", {}, Runner(Store()))
