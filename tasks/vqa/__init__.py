"""easy-VQA: questions about pictures of one coloured shape, with the train and test parts as they were published."""

from tasks.vqa.task import Vqa

__all__ = ["Vqa"]
