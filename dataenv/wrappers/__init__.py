"""Wrappers: an environment with fields blanked, or in plain boxes of numbers."""
