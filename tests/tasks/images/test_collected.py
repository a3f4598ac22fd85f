"""Pictures of one's own: folders and tables come to the same task, and what is wrong is said in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks import media
from tasks.images import ImageCollection
from tasks.records import SPLITS
from tests.pictures import picture_folder


def _table(folder: Path) -> Path:
    table = folder.parent / "table.jsonl"
    rows = [{"file": str(p.relative_to(folder.parent)), "kind": p.parent.name} for p in sorted(folder.rglob("*.png"))]
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("PIL")
    return picture_folder(tmp_path / "pictures")


def test_a_folder_is_split_by_class(folder: Path) -> None:
    task = ImageCollection(str(folder), side=8)
    assert task.skills == ("bright", "dark")
    assert {name: len(task.split(name)) for name in SPLITS} == {
        "feedback": 2,
        "selection": 4,
        "test": 14,
        "transfer": 4 * 14,
    }
    assert len(task.pool()) == 20
    for problem in task.split("test"):
        assert (media.grey(media.picture(problem.media[0])).mean() > 120) == (problem.answer == "bright")


def test_a_table_gives_the_same_task_as_the_folder(folder: Path) -> None:
    task = ImageCollection(str(_table(folder)), image="file", label="kind", side=8)
    assert task.fingerprint == ImageCollection(str(folder), side=8).fingerprint


def test_colour_is_kept_where_it_is_asked_for(folder: Path) -> None:
    task = ImageCollection(str(folder), side=8, colour=True)
    shown = media.pixels(media.picture(task.pool()[0].media[0]))
    assert np.ptp(shown, axis=2).any()


def test_columns_of_a_data_set_are_read(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = sorted(folder.rglob("*.png"))
    rows = {
        "image": [{"bytes": p.read_bytes(), "path": p.name} for p in files],
        "label": [p.parent.name for p in files],
    }
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    task = ImageCollection(f"datasets:{tmp_path / 'saved'}", side=8)
    assert task.fingerprint == ImageCollection(str(folder), side=8).fingerprint


def test_bad_files_are_named_in_one_sentence(folder: Path) -> None:
    (folder / "dark" / "3.png").write_bytes(b"no picture")
    (folder / "dark" / "4.png").write_bytes((folder / "dark" / "5.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"2 of 40 pictures that cannot be used.*dark/3\.png .*dark/4\.png ") as said:
        ImageCollection(str(folder))
    assert "\n" not in str(said.value)


def test_a_missing_file_of_a_table_is_named(folder: Path) -> None:
    table = _table(folder)
    (folder / "bright" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 40 pictures.*table\.jsonl, line 1 .*is not there"):
        ImageCollection(str(table), image="file", label="kind")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"source": "nowhere"}, "which is not there; give a folder"),
        ({"side": 2}, "task_args.side is 2; give a whole number of pixels from 4"),
        ({"imbalance": 0.5}, "task_args.imbalance is 0.5; give a number of at least 1"),
    ],
)
def test_bad_arguments_are_one_sentence(folder: Path, args: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ImageCollection(**{"source": str(folder), **args})  # type: ignore[arg-type]


def test_a_file_beside_the_classes_is_refused(folder: Path) -> None:
    (folder / "readme.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match=r"readme\.txt lies beside the class folders"):
        ImageCollection(str(folder))


def test_one_class_and_few_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no column 'image'; give task_args\.image, one of 'file', 'kind'"):
        ImageCollection(str(_table(folder)))
    for path in (folder / "dark").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="1 class"):
        ImageCollection(str(folder))
    (folder / "dark" / "0.png").write_bytes((folder / "bright" / "0.png").read_bytes())
    with pytest.raises(ValueError, match="1 pictures of class 'dark'; give at least 20"):
        ImageCollection(str(folder))
