"""``jsonl``: one's own benchmark, from a JSONL, JSON or CSV file or a data set of ``datasets``."""

from tasks.jsonl.task import Jsonl

__all__ = ["Jsonl"]
