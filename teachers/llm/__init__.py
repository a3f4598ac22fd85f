"""Teachers that are language models, one file each with its prompts; the chat they talk through is ``teachers.chat``."""
