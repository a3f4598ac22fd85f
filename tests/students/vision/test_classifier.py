"""Small image classifiers: pure, exact gradients, one sentence for what they cannot be shown."""

from collections.abc import Callable

import numpy as np
import pytest

from students.base import Asked, Data, Decoding, Recipe, TrainingDivergedError
from students.training.loop import pack, unpack_arrays
from students.vision.classifier import ImageClassifier, ImageCnn, ImageMlp
from tasks import media
from tasks.records import Example, stream
from tests.pictures import halves

ONE = Decoding(max_tokens=1)
STUDENTS = [ImageMlp, ImageCnn]


def _asked(examples: list[Example]) -> list[Asked]:
    return [Asked(e.prompt, tuple(map(media.picture, e.media))) for e in examples]


@pytest.mark.parametrize("student", STUDENTS)
def test_it_learns_what_pictures_show(student: Callable[[], ImageClassifier]) -> None:
    made, fresh = student(), halves(40, seed=1)
    weights, trained = made.fit(made.initial(0), Data(tuple(halves(40))), Recipe(updates=60, batch=16, rate=1e-2), 0)
    assert trained.tokens == 60 * 16
    assert made.answer(weights, _asked(fresh), ONE, 0) == [e.response for e in fresh]
    assert np.mean(made.entropies(weights, fresh)) < 0.2 < np.mean(made.entropies(made.initial(0), fresh))


@pytest.mark.parametrize("student", STUDENTS)
def test_the_guide_is_the_gradient_of_entropy(student: Callable[[], ImageClassifier]) -> None:
    made = student()
    guide = made.guide(made.initial(3))
    pictures = stream(0, "x").random((3, 12, 12)).astype(np.float32)
    entropy, gradient = guide(pictures)
    step = 3e-3 * gradient / np.linalg.norm(gradient.reshape(3, -1), axis=1)[:, None, None]
    up, down = guide(pictures + step)[0], guide(pictures - step)[0]
    expected = 2 * (gradient * step).sum((1, 2))
    np.testing.assert_allclose(up - down, expected, rtol=0.05)
    assert (up > entropy).all()


def test_entropy_of_a_guided_picture_is_that_of_its_example() -> None:
    made, (example, *_) = ImageMlp(), halves(1)
    picture = media.grey(media.picture(example.media[0])).astype(np.float32)[None] / 255
    weights = made.initial(0)
    np.testing.assert_allclose(made.guide(weights)(picture)[0], made.entropies(weights, [example]), rtol=1e-5)


def test_a_picture_of_another_size_is_brought_to_its_own() -> None:
    made = ImageMlp()
    small = np.arange(144, dtype=np.uint8).reshape(12, 12)
    large = media.encode(np.kron(small, np.ones((3, 3), np.uint8)))
    seen = made._pictures([(media.encode(small),), (large,), ()])
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-6)
    assert not seen[2].any()


def test_replay_is_trained_on() -> None:
    made, some = ImageMlp(), halves(8)
    recipe = Recipe(updates=4, batch=4, replay=0.5)
    with_, _ = made.fit(made.initial(0), Data(tuple(some[:4]), tuple(some[4:])), recipe, 0)
    without, _ = made.fit(made.initial(0), Data(tuple(some[:4])), recipe, 0)
    assert with_ != without


def test_patience_looks_at_what_is_watched() -> None:
    made, some = ImageMlp(), halves(8)
    watched = tuple(e.model_copy(update={"response": "01"[e.response == "0"]}) for e in halves(8, seed=2))
    recipe = Recipe(updates=400, batch=8, rate=1e-2, patience=2, interval=4)
    _, trained = made.fit(made.initial(0), Data(tuple(some), (), watched), recipe, 0)
    assert trained.updates < 100
    assert trained.looks > 2


def test_a_loss_without_end_is_said() -> None:
    made, some = ImageMlp(), halves(8)
    weights = pack({name: value * np.nan for name, value in unpack_arrays(made.initial(0))[0].items()})
    with pytest.raises(TrainingDivergedError, match=r"lower recipe\.rate"):
        made.fit(weights, Data(tuple(some)), Recipe(updates=4, batch=8), 0)


def test_what_it_cannot_learn_is_refused() -> None:
    made, (example, *_) = ImageMlp(classes=["0", "1"]), halves(1)
    assert made.refuse(example) is None
    assert made.refuse(example.model_copy(update={"response": "7"})) == "alphabet"
    assert made.refuse(example.model_copy(update={"media": example.media * 2})) == "length"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"classes": ["0"]}, r"student_args\.classes is \['0'\]; give two or more"),
        ({"classes": ["0", "0"]}, "give two or more distinct names"),
        ({"side": 3}, r"student_args\.side is 3; it must be a whole number of at least 4"),
        ({"width": 0}, r"student_args\.width is 0"),
    ],
)
def test_bad_arguments_are_one_sentence(args: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ImageCnn(**args)  # type: ignore[arg-type]


def test_a_guide_of_another_size_says_what_to_change() -> None:
    made = ImageMlp(side=8)
    with pytest.raises(ValueError, match=r"give student_args\.side = 12"):
        made.guide(made.initial(0))(np.zeros((1, 12, 12), np.float32))


def test_its_folder_holds_what_it_is(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import json

    from safetensors.numpy import load_file

    made = ImageMlp()
    made.export(made.initial(0), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["classes"] == list("0123456789")
    assert {n.removeprefix("model.") for n in load_file(tmp_path / "model.safetensors")} == {
        "hidden", "hidden.bias", "dense", "dense.bias"
    }  # fmt: skip
