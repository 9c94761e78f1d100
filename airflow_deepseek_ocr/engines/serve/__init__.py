"""The resident server: the in-process engine behind OpenAI's chat completions, for one host."""
