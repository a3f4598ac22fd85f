"""The environment: a Gymnasium environment whose step fine-tunes a student, its exams, its records and its branches."""
