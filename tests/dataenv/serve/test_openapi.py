"""The published document is the one in tests/golden; clients are made from it."""

from __future__ import annotations

import json
from pathlib import Path

from dataenv.serve.openapi import openapi
from dataenv.serve.tools import ARGUMENTS, about

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "openapi.json"


def test_the_document_is_the_published_one() -> None:
    assert openapi() == json.loads(GOLDEN.read_text(encoding="utf-8")), (
        "the HTTP face has changed: clients use it. If that was meant, say so in CHANGELOG.md and write "
        "tests/golden/openapi.json anew: python -m tests.golden.make"
    )


def test_it_names_every_tool_and_every_reference_is_there() -> None:
    document = openapi()
    assert {path.rpartition("/")[2] for path in document["paths"]} >= set(ARGUMENTS)
    text = json.dumps(document)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])
    assert all(about(tool) in text for tool in ARGUMENTS)
