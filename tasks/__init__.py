"""Tasks: problem families with skills, sealed splits and a checker. One file a task."""
