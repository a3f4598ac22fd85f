"""Answers from a serving engine: a server is asked in the student's place, with the State's adapter loaded in it."""
