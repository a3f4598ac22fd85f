"""Discoverers: what finds skills in a task's items. See ``docs/skills.md``."""
