"""Statistics: scores, paired differences with intervals, and the standings and sentences made of them."""
