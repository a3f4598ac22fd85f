"""``arithmetic``: sums, digit-wise operations and chains in one prompt grammar, learnt at very different speeds."""

from tasks.arithmetic.task import Arithmetic

__all__ = ["Arithmetic"]
