"""easy-VQA: the published parts stay apart, and the judge knows no sealed picture."""

from __future__ import annotations

import pytest

pytest.importorskip("easy_vqa", reason="make dev installs the extra vision")

from tasks import media
from tasks.errors import SettingError
from tasks.records import SPLITS, Example
from tasks.vqa import Vqa, published
from tasks.vqa.published import Facts, pictures_of, questions_of
from tasks.vqa.task import SKILLS, answer_to, skill_of

TASK = Vqa()


def test_the_published_parts() -> None:
    assert [len(questions_of(part)) for part in ("train", "test")] == [38_575, 9_673]
    assert [len(pictures_of(part).names) for part in ("train", "test")] == [4_000, 1_000]
    test = {name for p in TASK.split("test") for name in p.media}
    assert test == set(pictures_of("test").names)
    assert len(TASK.split("test")) == 9_673


def test_no_picture_is_in_two_parts() -> None:
    shown = [{name for p in TASK.split(split) for name in p.media} for split in SPLITS]
    shown.append({name for e in TASK.pool() for name in e.media})
    assert len(set().union(*shown)) == sum(map(len, shown))
    assert {p.suite for p in TASK.split("transfer")} == {"turned", "noisy"}


@pytest.mark.parametrize(
    ("text", "skill", "answer"),
    [
        ("what color is the triangle?", "color", "teal"),
        ("what is the teal shape?", "shape", "triangle"),
        ("what shape does the image contain?", "shape", "triangle"),
        ("is there a teal shape?", "is-color", "yes"),
        ("does the image contain a circle?", "is-shape", "no"),
        ("is no teal shape present?", "not-color", "no"),
        ("is there not a circle in the image?", "not-shape", "yes"),
        ("what is the red shape?", "shape", None),
    ],
)
def test_kinds_and_answers(text: str, skill: str, answer: str | None) -> None:
    assert skill_of(text) == skill
    assert answer_to(text, Facts("teal", "triangle")) == answer


def test_the_judge_agrees_with_the_published_answers() -> None:
    said = [TASK.judge(example) for example in TASK.pool()]
    assert said.count(False) == 0
    assert said.count(True) > 0.9 * len(said)
    sealed = TASK.split("test")[0]
    example = Example(prompt=sealed.prompt, response=sealed.answer, media=sealed.media)
    assert TASK.judge(example) is None, "of a sealed picture it tells nobody"


def test_every_prefix_is_mixed() -> None:
    for skill in SKILLS:
        rows = [p for p in TASK.split("test") if p.skills[0] == skill][:200]
        assert len({p.media for p in rows}) > 150


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"needs the package easy-vqa; install it: pip install 'dataenv\[vision\]'"):
        published._folder()


def test_a_missing_file(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "1.png").write_bytes(media.picture(pictures_of("train").names[0]))
    with pytest.raises(media.PictureError, match=r"picture 0 of .* is not there"):
        published.Pictures(folder)
