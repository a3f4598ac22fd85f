"""``engine = "llm"``: a language model writes the lessons of any teacher, paid by the teacher's budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dataenv.lessons.engines import Engine, Request
from dataenv.lessons.outage import require_answer
from dataenv.lessons.scene import Scene
from tasks.records import Example
from teachers.engines.signature import Seen
from teachers.engines.writer import Writer, engine_spec


class LlmEngine(Engine):
    """A language model writes the examples of each skill, and keeps those on whose answer enough solutions agree.

    It is the engine of DataEnvGym (arXiv 2410.06215, section 3) with the filters of STAT-Syn (see ``Writer``), under
    any teacher of a structured level: the teacher says how much of each skill, the model writes it. Requests are paid
    by the budget's ``teacher_tokens`` and ``money``. What is too little in the end is a shorter lesson.

    Args:
        chat: The fields of ``ChatSpec``, or ``local``.
        **fields: The other fields of ``EngineSpec``: ``references``, ``questions``, ``solutions``, ``agree``, ``kept``,
            ``rounds``.
    """

    name = "llm"
    waits = True

    def __init__(self, chat: Mapping[str, Any] | str, **fields: Any) -> None:
        self.spec = engine_spec(chat, fields)

    def make(self, requests: Sequence[Request], rng: np.random.Generator, scene: Scene) -> list[list[Example]]:
        """See Engine.

        Raises:
            UnansweredError: If requests were sent and nobody answered any of them.
        """
        seen = Seen()
        seen.taught(example for lesson in scene.lessons for example in lesson)
        before = scene.teacher_purse.replies.copy()
        writer = Writer(scene, self.spec, self.name, seen=seen)
        made = writer.make(requests)
        scene.yields.update(writer.yields)
        require_answer(scene.teacher_purse.replies - before)
        return made

    def most_requests(self, lesson_size: int) -> int:
        """See Engine."""
        return self.spec.most_requests(lesson_size)
