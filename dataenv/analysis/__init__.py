"""Analysis: what skills teach each other, what a lesson was worth, and runs as data for others."""
