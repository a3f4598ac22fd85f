"""``word-lm``: ``pocket`` with words for tokens and weights that were pre-trained here."""
