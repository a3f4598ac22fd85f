"""Generated pictures of coloured shapes, and questions about colours, shapes, counts, places and relations."""

from tasks.scenes.task import Scenes

__all__ = ["Scenes"]
