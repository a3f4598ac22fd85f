"""``pocket-vlm``: a small student that sees a picture and answers a question about it with one word."""
