"""``programs``: one-line Python functions from short descriptions, graded by running them where they do no harm."""

from tasks.programs.task import Programs

__all__ = ["Programs"]
