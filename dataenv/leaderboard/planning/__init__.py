"""Planning: what a board will take and what would fail in it, before it is played."""
