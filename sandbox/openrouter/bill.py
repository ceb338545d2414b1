"""Pieces of a reply, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.model import Model


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk carries. `raw` replaces the JSON text of the content in the chunk, byte for byte."""

    delta: dict[str, Any]
    tokens: int
    reasoning: bool = False
    raw: bytes | None = None


@dataclass(slots=True)
class Bill:
    """Tokens written so far, and their price."""

    model: Model
    prompt_tokens: int
    cached_tokens: int
    searches: int = 0
    images: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    free: bool = False

    def add(self, piece: Piece) -> None:
        """Counts a piece that was generated."""
        self.completion_tokens += piece.tokens
        if piece.reasoning:
            self.reasoning_tokens += piece.tokens

    @property
    def prompt_cost(self) -> Decimal:
        """USD for the prompt, cached tokens at their own price where the model has one."""
        price = self.model.price("prompt", self.prompt_tokens)
        cached_price = self.model.price("input_cache_read") or price
        return price * (self.prompt_tokens - self.cached_tokens) + cached_price * self.cached_tokens

    @property
    def completion_cost(self) -> Decimal:
        """USD for the tokens written."""
        return self.model.price("completion", self.prompt_tokens) * self.completion_tokens

    @property
    def cost(self) -> Decimal:
        """USD in total, exact."""
        if self.free:
            return Decimal(0)
        extras = self.model.price("request") + self.model.price("web_search") * self.searches
        extras += self.model.price("image") * self.images
        return self.prompt_cost + self.completion_cost + extras

    def usage(self) -> dict[str, Any]:
        """The `usage` object."""
        free = self.free
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "cost": float(self.cost),
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "image_tokens": 0,
                "audio_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 0.0 if free else float(self.prompt_cost),
                "upstream_inference_completions_cost": 0.0 if free else float(self.completion_cost),
            },
            **({"server_tool_use_details": {"web_search_requests": self.searches}} if self.searches else {}),
        }
