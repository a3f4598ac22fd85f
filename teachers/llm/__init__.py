"""Teachers that are language models, each with its prompts; the chat they talk through is ``teachers.chat``."""
