"""Budgets: the purse of student tokens, the price of a lesson, and what a teacher spends on language models."""
