"""Execution: jobs, the executors that compute them, and the store that keeps their outcomes."""
