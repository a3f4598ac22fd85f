"""``words``: short word problems and drills in plain English, for students that were pre-trained on such English."""

from tasks.words.task import Words

__all__ = ["Words"]
