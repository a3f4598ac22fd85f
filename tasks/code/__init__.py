"""Code that a benchmark asks for: how an answer is read, how published tests are taken apart, how it is judged.

Nothing here runs code of a row or of a student. Programs run in ``tasks.sandbox`` alone, and what they have to give
stays outside.
"""

from tasks.code.grading import CodeGrader
from tasks.code.records import CodeCase, CodeTests

__all__ = ["CodeCase", "CodeGrader", "CodeTests"]
