"""What the imitated models say: Markdown from templates, related to the question as far as templates can."""

from .prose import answer, essay, thought
from .structured import arguments, citations

__all__ = ["answer", "arguments", "citations", "essay", "thought"]
