"""Students that a server trains."""
