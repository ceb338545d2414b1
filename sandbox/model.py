"""A model of the imitated OpenRouter: its row in the catalogue, its prices, its provider's habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

CREATED = 1_760_000_000

STOPS = "DeepInfra"
"""A provider of the published list that stops generating and billing when the reader leaves."""
GOES_ON = frozenset({"Google", "Google AI Studio", "Mistral", "Groq", "Amazon Bedrock"})
"""Providers that go on to the end, and bill it, though the reader left."""

SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed", "frequency_penalty", "presence_penalty")
TOOLS = ("tools", "tool_choice", "response_format", "structured_outputs")
REASONING = ("reasoning", "include_reasoning")


@dataclass(frozen=True, slots=True)
class Model:
    """A row of the catalogue, and what answering as this model needs. `pricing` is sent as it stands."""

    id: str
    name: str
    pricing: Mapping[str, Any]
    context_length: int | None = 128_000
    max_output: int | None = 16_384
    provider: str = STOPS
    inputs: tuple[str, ...] = ("text",)
    parameters: tuple[str, ...] = SAMPLING + TOOLS
    reasons: bool = False
    scenario: str | None = None
    expires: str | None = None
    resolves_to: str | None = None
    description: str = ""
    left_out: tuple[str, ...] = field(default=())

    @property
    def stops_on_cancel(self) -> bool:
        """Whether closing the connection ends generating and billing."""
        return self.provider not in GOES_ON

    def price(self, key: str, prompt_tokens: int = 0) -> Decimal:
        """USD per token (request, image, search). The last override that fits wins; nonsense counts as 0."""
        value = self.pricing.get(key, "0")
        for override in self.pricing.get("overrides", ()):
            if prompt_tokens > override.get("min_prompt_tokens", 0) and key in override:
                value = override[key]
        try:
            price = Decimal(str(value))
        except InvalidOperation:
            return Decimal(0)
        return price if price.is_finite() and price > 0 else Decimal(0)

    def as_json(self) -> dict[str, Any]:
        """The row of `GET /models`."""
        modality = "+".join(kind for kind in ("text", "image", "file") if kind in self.inputs)
        row: dict[str, Any] = {
            "id": self.id,
            "canonical_slug": self.id.split(":")[0],
            "hugging_face_id": None,
            "name": self.name,
            "created": CREATED,
            "description": self.description
            or f"A sandbox stand-in under the name {self.id}. It answers from templates.",
            "context_length": self.context_length,
            "architecture": {
                "modality": f"{modality}->text",
                "input_modalities": list(self.inputs),
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": dict(self.pricing),
            "top_provider": {
                "context_length": self.context_length,
                "max_completion_tokens": self.max_output,
                "is_moderated": self.provider == "OpenAI",
            },
            "per_request_limits": None,
            "supported_parameters": list(self.parameters),
            "default_parameters": {},
            "knowledge_cutoff": None,
            "expiration_date": self.expires,
            "links": {"details": f"/api/v1/models/{self.id}/endpoints"},
        }
        if self.reasons:
            row["reasoning"] = {
                "mandatory": False,
                "default_enabled": True,
                "default_effort": "medium",
                "supported_efforts": ["low", "medium", "high"],
                "supports_max_tokens": True,
            }
        for key in self.left_out:
            row.pop(key, None)
        return row
