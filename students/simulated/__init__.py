"""``simulated``: a student that is a learning curve, for teachers that need more lessons than a real one can take."""

from students.simulated.student import Simulated

__all__ = ["Simulated"]
