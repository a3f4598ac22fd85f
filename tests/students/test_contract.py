"""Every registered student keeps its contract, at its smallest size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataenv import check_student, registry
from dataenv.checks.student import WORDS
from students.pocket.student import untaught
from students.word_lm.student import Pretrained
from tasks.arithmetic import Arithmetic
from tasks.records import stream
from tests.pictures import halves
from tests.tiny_lm import save_tiny

SMALL: dict[str, dict[str, Any]] = {
    "image-cnn": {"width": 4},
    "image-mlp": {"width": 32},
    "piece-pocket": {"pieces": sorted({*WORDS, *(w[::-1] for w in WORDS), ">"}), "width": 16, "layers": 1, "heads": 2},
    "pocket": {"width": 16, "layers": 1, "heads": 2, "context": 32},
    "pocket-vlm": {"answers": sorted(w[::-1] for w in WORDS), "width": 8, "blocks": 1},
    "pocket-stacked": {"width": 16, "layers": 1, "heads": 2, "context": 32, "slots": 2, "device": "cpu"},
    "causal-lm": {"path": "tiny", "context": 96, "rank": 4},
    "simulated": {},
    "word-lm": {"path": "words"},
}


@pytest.mark.parametrize("name", sorted({*registry.STUDENTS} - {"tinker"}))  # see tests/students/remote/test_tinker.py
def test_student(name: str, tmp_path: Path) -> None:
    args = dict(SMALL[name])
    if args.get("path") == "tiny":
        args["path"] = str(save_tiny(tmp_path / "tiny"))
    if args.get("path") == "words":
        args["path"] = str(tmp_path / "words.safetensors")
        known = (*WORDS, *(word[::-1] for word in WORDS), ">")
        first = untaught(3 + len(known), 16, 1, stream(0, "weights"))
        Pretrained(first, known, heads=2, context=32).write(tmp_path / "words.safetensors")
    student = registry.build("student", name, args)
    if student.simulated:  # it knows one task alone, and has no model to write
        check_student(
            student, examples=[e for s in ("succ", "first") for e in Arithmetic().generate(s, 4, stream(0, s))]
        )
        return
    if name.startswith("image-"):  # it learns pictures alone, and is no model of transformers
        check_student(student, halves(8))
        return
    check_student(student, export=name != "pocket-vlm")  # no model of transformers
