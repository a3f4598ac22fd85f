"""``tools``: requests that are answered by a plan of tool calls, which is run and judged by what it comes to."""

from tasks.tools.checking import CallScore, Verdict, call_score
from tasks.tools.task import Tools

__all__ = ["CallScore", "Tools", "Verdict", "call_score"]
