"""Reports: a board as a table in the terminal, as files, and as one page to read."""
