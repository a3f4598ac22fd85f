"""Written: a lesson as the store and the workers get it, listed, made to JSON and hashed once.

The JSON is ``canonical_json(as_objects(examples))`` to the letter, for a lesson's name is the hash of it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from functools import cached_property
from json.encoder import encode_basestring

from tasks.records import Example, canonical_json

_quoted = encode_basestring
"""JSON of a text, as ``json.dumps(ensure_ascii=False)`` writes it."""


class Written:
    """The JSON of a lesson and its name.

    Args:
        examples: In order; without them it has the name of an empty lesson.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)

    @cached_property
    def text(self) -> str:
        """Its canonical JSON."""
        return lesson_json(self.examples)

    @cached_property
    def data(self) -> bytes:
        """The same in UTF-8."""
        return self.text.encode("utf-8", "surrogatepass")

    @cached_property
    def name(self) -> str:
        """SHA-256 of that, in hex: the lesson's digest."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def body(self) -> bytes:
        """The same, as a row of the store holds it."""
        return packed(self.data)


def packed(data: bytes) -> bytes:
    """JSON as a row of the store holds it."""
    return zlib.compress(data, 1)


def lesson_json(examples: Sequence[Example]) -> str:
    """``canonical_json(as_objects(examples))``, without an object for each example."""
    ends: dict[tuple[tuple[str, ...], str, str], tuple[str, str, str]] = {}  # by skills, kind and origin: few a lesson
    rows = []
    for e in examples:
        held = e.__dict__  # read once; the attributes of a record are looked up slowly
        alike = held["skills"], held["kind"], held["origin"]
        if (end := ends.get(alike)) is None:
            skills, kind, origin = map(canonical_json, alike)
            end = ends[alike] = (f'"kind":{kind}', f',"origin":{origin},"prompt":', f',"skills":{skills}}}')
        check, media, rejected = held["check"], held["media"], held["rejected"]
        first = "{" if check is None else f'{{"check":{_quoted(check)},'
        shown = f',"media":{canonical_json(media)}' if media else ""
        worse = "" if rejected is None else f',"rejected":{_quoted(rejected)}'
        prompt, response = _quoted(held["prompt"]), _quoted(held["response"])
        rows.append(f'{first}{end[0]}{shown}{end[1]}{prompt}{worse},"response":{response}{end[2]}')
    return f"[{','.join(rows)}]"
