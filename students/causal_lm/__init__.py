"""``causal-lm``: pre-trained language models of ``transformers``, what they are checked for and asked in."""
