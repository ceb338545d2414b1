"""Which of OpenRouter's providers stop writing, and billing, when their reader leaves.

As OpenRouter documents it. Whoever is not listed goes on: the owner is billed to the end, so we read to it.
docs/stopping.md is this table in words.
"""

from __future__ import annotations

from typing import Final

STOPS: Final = (
    "AnyScale",
    "Anthropic",
    "Avian",
    "Azure",
    "Chutes",
    "Cloudflare",
    "Cohere",
    "DeepInfra",
    "DeepSeek",
    "Fireworks",
    "Friendli",
    "Hyperbolic",
    "Infermatic",
    "Lepton",
    "Liquid",
    "Mancer",
    "Nineteen",
    "Novita",
    "OctoAI",
    "OpenAI",
    "Recursal",
    "SFCompute",
    "Together",
    "xAI",
)
GOES_ON: Final = (
    "AI21",
    "Alibaba",
    "AionLabs",
    "Amazon Bedrock",
    "Featherless",
    "Google",
    "Google AI Studio",
    "Groq",
    "HuggingFace",
    "InferenceNet",
    "Inflection",
    "Kluster",
    "Lambda",
    "Lynn",
    "Minimax",
    "Mistral",
    "Modal",
    "Nebius",
    "Perplexity",
    "Reflection",
    "Replicate",
    "SambaNova",
    "Targon",
    "ZeroOneAI",
)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


_STOPS: Final = frozenset(_plain(name) for name in STOPS)


def stops_on_cancel(kind: str, provider: str) -> bool:
    """Whether closing the connection ends the writing.

    ``kind`` is the upstream's: a server of one's own (``openai``) stops. ``provider`` is what OpenRouter's
    chunks name, empty when none has come yet.
    """
    return kind != "openrouter" or _plain(provider) in _STOPS
