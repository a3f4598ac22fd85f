"""Lessons: from a plan to examples that are made, screened and paid for."""
