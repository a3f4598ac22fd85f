"""Discovery: skills found in a task's items, subskills proposed, and how far labels agree."""
