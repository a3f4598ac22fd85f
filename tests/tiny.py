"""A Setting that trains a real student on real problems in a tenth of a second a step."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "task": "arithmetic",
    "student": "pocket",
    "student_args": {"width": 16, "layers": 1, "heads": 2, "context": 32},
    "warm_start": {"examples": 256, "recipe": {"updates": 8, "batch": 16, "rate": 0.01}},
    "recipe": {"updates": 4, "batch": 16, "rate": 0.01, "replay": 0.25},
    "lesson_size": 64,
    "items": {"feedback": 3, "selection": 3, "test": 4, "transfer": 6},
    "budget": {"student_tokens": 20_000},
}
"""A step costs about 3,200 student tokens here, so an episode has six steps and a shorter seventh."""
