"""The discoverers: clusters of what a student loses, clusters of texts, and a language model that names."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataenv import registry
from dataenv.discovery.discover import DiscoveryScene, discover
from dataenv.errors import SettingError
from dataenv.execution.runner import Runner
from dataenv.execution.store import Store
from dataenv.setting import make_setting
from tasks.discovered import Discovered, Discovery, item_key
from tasks.records import SPLITS, Example, stream
from teachers.chat import load
from teachers.chat.scripted import ScriptedTurn, Server, serving
from teachers.discovery.chat import ByChat
from teachers.discovery.clusters import kmeans, named
from tests.chatting import backwards
from tests.toys import PLENTY, Apprentice, Plenty

pytestmark = pytest.mark.usefixtures("toys")
CASSETTE = Path(__file__).with_name("discovery.jsonl")
DEAD = {"base_url": "http://127.0.0.1:9/v1", "model": "scripted", "retries": 0}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server(backwards)) as running:
        yield running


def find(by: str, args: dict[str, Any], store: Store | None = None, **fields: Any) -> Any:
    return discover(make_setting(PLENTY | fields), by, args, Runner(store or Store()), items=12, least=2)


def ask(server: Server, **args: Any) -> Any:
    return find("chat", {"chat": {"base_url": server.base_url, "model": "scripted"}, **args})


def test_kmeans_finds_what_is_apart_and_draws_from_its_generator_alone() -> None:
    rng = np.random.default_rng(0)
    sizes = [40, 25, 10]
    points = np.concatenate([rng.normal(9 * i, 1, (n, 3)) for i, n in enumerate(sizes)])
    labels = kmeans(points, 3, stream(0, "t"))
    assert labels == [i for i, n in enumerate(sizes) for _ in range(n)]
    assert kmeans(points, 8, stream(1, "t")) == kmeans(points, 8, stream(1, "t"))
    assert named(labels) == ("cluster-01", "cluster-02", "cluster-03")


def test_kmeans_makes_no_more_clusters_than_there_are_points() -> None:
    assert kmeans(np.array([[0.0], [0.0], [1.0]]), 16, stream(0, "t")) == [0, 0, 1]


class Slow(Apprentice):
    """Loses less on words of a length, the more of them it was taught; on long ones later."""

    name = "slow"

    def losses(self, weights: bytes, examples: Sequence[Example]) -> list[float]:
        taught = [len(prompt) for prompt in json.loads(weights)]
        return [len(e.prompt) / (1 + taught.count(len(e.prompt))) + len(set(e.prompt)) / 1000 for e in examples]


def test_items_that_are_learnt_alike_are_one_skill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.STUDENTS, "slow", f"{__name__}:Slow")
    monkeypatch.setattr("dataenv.execution.jobs.student_of", lambda spec: Slow())
    monkeypatch.setattr("dataenv.setting.student_of", lambda spec: Slow())
    runner = Runner(Store())
    made = discover(make_setting(PLENTY), "loss", {"skills": 2, "runs": 2, "checkpoints": 3}, runner, 12, 2)
    assert made.quality["labelled"].ami == 1
    assert made.quality["rule"].ami == 1
    assert runner.trained == 6
    tokens = [len(e.prompt) + len(e.response) for e in Plenty().pool()]
    assert 2 * 4 * 12 * min(tokens) + 3 * 6 * 12 * min(tokens) <= made.cost["student_tokens"]
    assert made.cost["student_tokens"] <= 2 * 4 * 12 * max(tokens) + 3 * 6 * 12 * max(tokens)
    again = discover(make_setting(PLENTY), "loss", {"skills": 2, "runs": 2, "checkpoints": 3}, runner, 12, 2)
    assert (again, runner.trained) == (made, 6), "what the store knows is not trained again"


def test_texts_that_are_alike_are_one_skill() -> None:
    made = find("text", {"skills": 2})
    assert made.skills == ("cluster-01", "cluster-02")
    assert made.counts["labelled"] == 12
    assert made.cost == {}


def test_a_model_names_groups_and_labels(server: Server) -> None:
    made = ask(server)
    assert made.skills == ("4 letters", "6 letters") or made.skills == ("6 letters", "4 letters")
    assert made.quality["labelled"].ami == 1
    assert made.counts == {"items": 12, "labelled": 12, "skills dropped": 0, "named": 12, "names": 2, "unassigned": 0}
    assert made.cost["teacher_tokens"] > 0
    assert len(server.heard) == 12 + 1 + 12


def test_no_sealed_problem_and_no_skill_of_the_tasks_own_is_told(server: Server) -> None:
    ask(server)
    said = json.dumps(server.heard)
    assert not [p.prompt for split in SPLITS for p in Plenty().split(split) if p.prompt in said]
    assert not [skill for skill in Plenty.skills if f'"{skill}' in said or f'\\"{skill}' in said]


def test_a_recorded_discovery_comes_back_without_a_server(tmp_path: Path) -> None:
    """``RECORD=1`` records it anew. The cassette is a snapshot of the prompts as well."""
    if os.environ.get("RECORD"):
        with serving(Server(backwards)) as running:
            asker = ByChat({"base_url": running.base_url, "model": "scripted"})
            asker.discover(scene(Store()))
        asker.chat.save(CASSETTE)
    store = Store()
    for key, row in load(CASSETTE).rows.items():
        store.put("chats", key, row)
    offline = ByChat(DEAD)
    assert offline.discover(scene(store)).labels == tuple(i % 2 for i in range(6))
    offline.chat.save(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == CASSETTE.read_bytes()


def scene(store: Store) -> DiscoveryScene:
    """Three short words and three long ones in turn."""
    pool = [e.model_copy(update={"skills": ()}) for e in Plenty().pool()]
    items = tuple(pool[i] for pair in zip(range(3), range(200, 203), strict=True) for i in pair)
    return DiscoveryScene(items, (), make_setting(PLENTY), Runner(store), 0)


def test_what_has_no_label_is_asked_again_and_then_left_out(server: Server) -> None:
    def moody(turn: ScriptedTurn) -> str:
        title = (turn.schema or {}).get("title")
        if title == "Label" and turn.seed < 2 and zlib.crc32(turn.messages[0]["content"].encode()) % 3:
            return json.dumps({"skill": "cooking"})
        return backwards(turn)

    server.script = moody
    assert ask(server, tries=3).counts["unassigned"] == 0
    server.heard.clear()
    asker = ByChat({"base_url": server.base_url, "model": "scripted"}, tries=1)
    labels = asker.discover(scene(Store())).labels
    assert 0 < labels.count(None) < 6
    assert all(label in (None, i % 2) for i, label in enumerate(labels))


LABEL = {"title": "Label", "type": "object", "properties": {"skill": {"type": "string"}}, "required": ["skill"]}


def several(turn: ScriptedTurn) -> str:
    """Long words need reading too, and say so twice; a label that is none of the list cannot be used."""
    if (turn.schema or {}).get("title") != "Labels":
        return backwards(turn)
    first = json.loads(backwards(ScriptedTurn(turn.messages, turn.seed, LABEL)))["skill"]
    return json.dumps({"skills": [first] if first == "4 letters" else [first, "4 letters", first]})


def test_an_item_may_need_several_skills(server: Server) -> None:
    """STAT's catalogue has up to five skills an item; what is drawn by skill then finds it under each of them."""
    server.script = several
    made = ask(server, several=3)
    assert set(made.further) == {key for key, skill in made.items.items() if skill == "6 letters"}
    assert set(made.further.values()) == {("4 letters",)}
    task = Discovered(Plenty(), made)
    labelled = [e for e in task.pool() if item_key(task.task, e.prompt) in made.items]
    assert {e.skills for e in labelled} == {("4 letters",), ("6 letters", "4 letters")}
    assert {len(p.skills) for p in task.split("test")} == {1}
    one = Discovered(Plenty(), Discovery.model_validate(made.model_dump() | {"further": {}}))
    assert one.version != task.version


def test_one_skill_an_item_asks_as_before_and_leaves_no_further_ones(server: Server) -> None:
    made = ask(server)
    assert made.further == {}
    assert "further" not in made.model_dump(mode="json")


@pytest.mark.parametrize(
    "wrong", [{"nobody": ["4 letters"]}, {"first": []}, {"first": ["unknown"]}, {"first": ["6 letters"]}]
)
def test_further_skills_that_do_not_fit_are_refused(server: Server, wrong: dict[str, list[str]]) -> None:
    made = ask(server).model_dump(mode="json")
    key = next(key for key, skill in made["items"].items() if skill == "6 letters")
    further = {key if name == "first" else name: skills for name, skills in wrong.items()}
    with pytest.raises(ValueError, match=r"further\."):
        Discovery.model_validate(made | {"further": further})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"chat": DEAD, "several": 0}, "several is 0"),
        ({}, "discoverer_args of discoverer 'chat' do not fit: missing a required argument: 'chat'"),
        ({"chat": {"model": "m"}}, "base_url is missing"),
        ({"chat": DEAD, "skills": 1}, "skills is 1; give a whole number of at least 2"),
        ({"chat": DEAD, "tries": 0}, "tries is 0"),
        ({"chat": DEAD}, r"none of 12 items could be named \(replies: no-server"),
    ],
)
def test_bad_arguments_and_a_server_that_is_not_there(args: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        find("chat", args)


def test_a_model_that_finds_one_skill_has_found_none(server: Server) -> None:
    server.script = lambda turn: json.dumps({"skills": ["reading", "reading"]} if "Cat" in str(turn.schema)[:99] else {"skill": "reading"})  # fmt: skip # noqa: E501
    with pytest.raises(SettingError, match="could not be grouped into two skills or more"):
        ask(server)
