"""Vectors: many environments side by side, with real students or with simulated ones."""
