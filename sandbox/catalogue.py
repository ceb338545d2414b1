"""The models that the imitated OpenRouter offers. Prices are invented, in USD per token, as strings."""

from __future__ import annotations

from typing import Any

from .model import REASONING, SAMPLING, TOOLS, Model


def _prices(prompt: str, completion: str, **more: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, "request": "0", "image": "0", **more}


IMAGES = ("text", "image")
FILES = ("text", "image", "file")

HEALTHY = (
    Model(
        "openai/gpt-4o-mini",
        "OpenAI: GPT-4o-mini (sandbox)",
        _prices("0.00000015", "0.0000006", input_cache_read="0.000000075", web_search="0.01"),
        128_000,
        16_384,
        "OpenAI",
        FILES,
    ),
    Model(
        "openai/gpt-4o",
        "OpenAI: GPT-4o (sandbox)",
        _prices("0.0000025", "0.00001", input_cache_read="0.00000125", web_search="0.01"),
        128_000,
        16_384,
        "OpenAI",
        FILES,
    ),
    Model(
        "openai/o4-mini",
        "OpenAI: o4 Mini (sandbox)",
        _prices("0.0000011", "0.0000044", input_cache_read="0.000000275"),
        200_000,
        100_000,
        "OpenAI",
        FILES,
        SAMPLING + TOOLS + REASONING,
        reasons=True,
    ),
    Model(
        "anthropic/claude-sonnet-4.5",
        "Anthropic: Claude Sonnet 4.5 (sandbox)",
        _prices("0.000003", "0.000015", input_cache_read="0.0000003", input_cache_write="0.00000375"),
        200_000,
        64_000,
        "Anthropic",
        FILES,
    ),
    Model(
        "anthropic/claude-haiku-4.5",
        "Anthropic: Claude Haiku 4.5 (sandbox)",
        _prices("0.000001", "0.000005", input_cache_read="0.0000001", input_cache_write="0.00000125"),
        200_000,
        64_000,
        "Anthropic",
        IMAGES,
    ),
    Model(
        "google/gemini-2.5-flash",
        "Google: Gemini 2.5 Flash (sandbox)",
        _prices("0.0000003", "0.0000025", input_cache_read="0.00000003"),
        1_048_576,
        65_535,
        "Google AI Studio",
        FILES,
    ),
    Model(
        "meta-llama/llama-3.3-70b-instruct",
        "Meta: Llama 3.3 70B Instruct (sandbox)",
        _prices("0.00000012", "0.0000003"),
        131_072,
        16_384,
        "DeepInfra",
    ),
    Model(
        "meta-llama/llama-3.3-70b-instruct:free",
        "Meta: Llama 3.3 70B Instruct (free, sandbox)",
        _prices("0", "0"),
        65_536,
        8_192,
        "Together",
    ),
    Model(
        "deepseek/deepseek-chat",
        "DeepSeek: DeepSeek Chat (sandbox)",
        _prices("0.00000028", "0.00000088", input_cache_read="0.000000028"),
        163_840,
        32_768,
        "DeepSeek",
    ),
    Model(
        "deepseek/deepseek-r1",
        "DeepSeek: R1 (sandbox)",
        _prices("0.0000004", "0.000002"),
        163_840,
        65_536,
        "Novita",
        parameters=SAMPLING + REASONING,
        reasons=True,
    ),
    Model(
        "mistralai/mistral-large",
        "Mistral Large (sandbox)",
        _prices("0.000002", "0.000006"),
        131_072,
        32_768,
        "Mistral",
    ),
    Model(
        "qwen/qwen2.5-vl-72b-instruct",
        "Qwen: Qwen2.5 VL 72B Instruct (sandbox)",
        _prices("0.0000002", "0.0000006", image="0.0003"),
        32_768,
        8_192,
        "Novita",
        IMAGES,
        SAMPLING,
    ),
    Model(
        "x-ai/grok-4-fast",
        "xAI: Grok 4 Fast (sandbox)",
        _prices("0.0000002", "0.0000005", request="0.0001"),
        2_000_000,
        30_000,
        "xAI",
        IMAGES,
    ),
    Model(
        "google/gemini-2.5-pro",
        "Google: Gemini 2.5 Pro (sandbox)",
        _prices(
            "0.00000125",
            "0.00001",
            overrides=[{"min_prompt_tokens": 200_000, "prompt": "0.0000025", "completion": "0.000015"}],
        ),
        1_048_576,
        65_536,
        "Google",
        FILES,
        SAMPLING + TOOLS + REASONING,
        reasons=True,
    ),
)

ODD = (
    Model(
        "openrouter/auto",
        "Auto Router (sandbox)",
        {"prompt": "-1", "completion": "-1"},
        2_000_000,
        None,
        resolves_to="openai/gpt-4o-mini",
    ),
    Model(
        "~openai/gpt-mini-latest",
        "OpenAI: newest mini (sandbox)",
        {"prompt": "-1", "completion": "-1"},
        128_000,
        None,
        resolves_to="openai/gpt-4o-mini",
    ),
    Model("oddities/null-context", "Oddity: no context length", _prices("0.0000005", "0.0000015"), None, None),
    Model("oddities/no-pricing", "Oddity: no prices at all", {}),
    Model("oddities/no-completion-price", "Oddity: no completion price", {"prompt": "0.0000005"}),
    Model("oddities/null-price", "Oddity: null prices", {"prompt": None, "completion": None}),
    Model("oddities/nan-price", "Oddity: a price that is no number", _prices("NaN", "Infinity")),
    Model("oddities/word-price", "Oddity: a price in words", _prices("cheap", "")),
    Model("oddities/exponent-price", "Oddity: prices in exponent form", _prices("1.5e-7", "6E-7")),
    Model(
        "oddities/number-price",
        "Oddity: prices as numbers",
        _prices("0", "0") | {"prompt": 5e-7, "completion": 1e-6},
    ),
    Model(
        "oddities/overrides",
        "Oddity: long prompts cost more",
        _prices(
            "0.0000005",
            "0.000001",
            overrides=[{"min_prompt_tokens": 1_000, "prompt": "0.000001", "completion": "0.000002"}],
        ),
    ),
    Model(
        "oddities/time-overrides",
        "Oddity: another price by the hour",
        _prices(
            "0.0000005",
            "0.000001",
            overrides=[{"utc_start": "16:30", "utc_end": "00:30", "prompt": "0.00000025"}],
        ),
    ),
    Model(
        "oddities/expired",
        "Oddity: removed long ago",
        _prices("0.0000005", "0.0000015"),
        expires="2025-01-31",
    ),
    Model(
        "oddities/expires-later",
        "Oddity: removal announced",
        _prices("0.0000005", "0.0000015"),
        expires="2099-12-31",
    ),
    Model(
        "oddities/bare",
        "Oddity: a row with little in it",
        _prices("0.0000005", "0.0000015"),
        left_out=(
            "architecture",
            "top_provider",
            "supported_parameters",
            "per_request_limits",
            "description",
            "default_parameters",
            "expiration_date",
            "links",
            "canonical_slug",
            "hugging_face_id",
        ),
    ),
    Model(
        "oddities/small-context",
        "Oddity: a context of 2048 tokens",
        _prices("0.0000005", "0.0000015"),
        2_048,
        1_024,
    ),
)
