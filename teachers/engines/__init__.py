"""Engines that write: examples from a language model, in the place of the task's own generator or pool."""
