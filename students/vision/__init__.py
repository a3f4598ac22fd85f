"""Students that look at pictures."""
