"""Seeds until decided: a group-sequential test of every teacher, and boards that are played by it."""
