"""``pocket``: a small transformer that is trained from scratch, in NumPy or PyTorch, alone or many at once."""
