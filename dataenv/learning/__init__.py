"""Learning: policies that teach, how they are trained, and the best that could be done."""
