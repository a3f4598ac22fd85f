"""Written: a lesson as the store and the workers get it, listed, made to JSON and hashed once.

The JSON is ``canonical_json(as_objects(examples))`` to the letter, for a lesson's name is the hash of it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from functools import cached_property
from json.encoder import encode_basestring

from tasks.columns import ExampleColumns
from tasks.records import Example, canonical_json

_quoted = encode_basestring
"""JSON of a text, as ``json.dumps(ensure_ascii=False)`` writes it."""


class Written:
    """The JSON of a lesson and its name.

    Args:
        examples: In order; without them it has the name of an empty lesson.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples if isinstance(examples, ExampleColumns) else tuple(examples)

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
    if isinstance(examples, ExampleColumns):
        return _columns_json(examples)
    ends: dict[tuple[tuple[str, ...], str, str], tuple[str, str, str]] = {}  # by skills, kind and origin: few a lesson
    rows = []
    for e in examples:
        held = e.__dict__  # read once; the attributes of a record are looked up slowly
        alike = held["skills"], held["kind"], held["origin"]
        if (end := ends.get(alike)) is None:
            end = ends[alike] = _around(*alike)
        check, media, rejected = held["check"], held["media"], held["rejected"]
        first = "{" if check is None else f'{{"check":{_quoted(check)},'
        shown = f',"media":{canonical_json(media)}' if media else ""
        worse = "" if rejected is None else f',"rejected":{_quoted(rejected)}'
        prompt, response = _quoted(held["prompt"]), _quoted(held["response"])
        rows.append(f'{first}{end[0]}{shown}{end[1]}{prompt}{worse},"response":{response}{end[2]}')
    return f"[{','.join(rows)}]"


def _around(skills: tuple[str, ...], kind: str, origin: str) -> tuple[str, str, str]:
    """What stands around the texts of an example with these labels."""
    listed, named, made = map(canonical_json, (skills, kind, origin))
    return f'"kind":{named}', f',"origin":{made},"prompt":', f',"skills":{listed}}}'


def _columns_json(examples: ExampleColumns) -> str:
    """``lesson_json`` of columns."""
    prompts, responses = examples.prompts, examples.responses
    whole, quote = "".join((*prompts, *responses)), '"'
    if not whole.isprintable() or '"' in whole or "\\" in whole:  # else JSON writes them as they are
        prompts, responses, quote = tuple(map(_quoted, prompts)), tuple(map(_quoted, responses)), ""
    ends, between = dict[int, tuple[str, str]](), f'{quote},"response":{quote}'
    for labels in examples.alike:
        kind, origin, skills = _around(*labels)
        ends[id(labels)] = f"{{{kind}{origin}{quote}", f"{quote}{skills}"
    around = map(ends.__getitem__, map(id, examples.labels))
    rows = zip(around, prompts, responses, strict=True)
    return f"[{','.join([f'{first}{prompt}{between}{response}{last}' for (first, last), prompt, response in rows])}]"
