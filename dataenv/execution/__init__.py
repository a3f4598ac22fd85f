"""Execution: jobs, who computes them, and the store that remembers what came of them."""
