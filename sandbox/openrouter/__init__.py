"""OpenRouter, imitated: catalogue, chat completions with every known fault, generation records, key."""
