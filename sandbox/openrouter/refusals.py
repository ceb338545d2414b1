"""The errors that the imitated OpenRouter answers over HTTP, body and headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.jsontext import compact

AFFORDABLE = 64
"""Output tokens that the account of `http-402-preflight` can still afford."""

LIVE_SECRET_LOOKALIKE = "sk-upstream-" + "leak" * 6
"""Stands in the provider's raw words, so that a test can see whether they reached a user."""


@dataclass(eq=False)
class Refused(Exception):
    """An answer that is no completion. `body` is sent as JSON, or as it stands when it is text."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        """The refusal as an HTTP response."""
        if isinstance(self.body, str):
            return web.Response(
                status=self.status, text=self.body, content_type="text/html", headers=dict(self.headers)
            )
        return web.Response(
            status=self.status,
            body=compact(self.body),
            content_type="application/json",
            headers=dict(self.headers),
        )


def refusal(
    status: int, message: str, error_type: str, *, headers: Mapping[str, str] | None = None, **metadata: Any
) -> Refused:
    """An error in OpenRouter's usual shape."""
    error = {"code": status, "message": message, "metadata": {"error_type": error_type, **metadata}}
    return Refused(status, {"error": error, "user_id": "user_sandbox"}, headers or {})


def availability(status: int, code: str, message: str, model: str, *, retryable: bool, with_code: bool) -> Refused:
    """An error with the newer `availability` object; its samples leave `code` out."""
    error: dict[str, Any] = {
        "message": message,
        "error_type": "provider_overloaded" if status == 503 else "not_found",
        "http_status": status,
        "availability": {
            "code": code,
            "retryable": retryable,
            "retry_after": 5 if retryable else None,
            "requested_models": [model],
            "affected_providers": ["SandboxCloud"],
            "excluded_by": [],
            "fallback_models": ["openai/gpt-4o-mini"],
        },
    }
    if with_code:
        error["code"] = status
    return Refused(status, {"error": error})


def invalid(message: str) -> Refused:
    """400 for a request that makes no sense."""
    return refusal(400, message, "invalid_request")


def unknown_model(model: str) -> Refused:
    """400 for a model that the catalogue does not have."""
    missing = {
        "code": "model_not_found",
        "retryable": False,
        "retry_after": None,
        "requested_models": [model],
    }
    message = f"{model} is not a valid model ID"
    metadata = {"error_type": "invalid_request"}
    return Refused(400, {"error": {"code": 400, "message": message, "metadata": metadata, "availability": missing}})


def preflight(asked: int, affordable: int) -> Refused:
    """402 because the output asked for costs more than is left."""
    return refusal(
        402,
        f"This request requires more credits, or fewer max_tokens. You requested up to {asked} tokens, but "
        f"can only afford {affordable}. To increase, add more credits to the account.",
        "payment_required",
        provider_name=None,
    )


def insufficient_credits() -> Refused:
    """402 because nothing is left."""
    return refusal(402, "Insufficient credits. Add more credits to the account and retry.", "payment_required")


EDGE_PAGE = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
    "</center><hr><center>sandbox edge</center></body></html>"
)


def scripted(name: str, model: str, asked: int) -> Refused | None:
    """The refusal of a scenario; None when the pre-flight check lets the request pass."""
    upstream = "Provider returned error"
    match name:
        case "400":
            return invalid('Input required: specify "prompt" or "messages"')
        case "400-context":
            return refusal(
                400,
                "This endpoint's maximum context length is 4096 tokens. However, you requested about 9000 "
                "tokens. Please reduce the length of either one.",
                "context_length_exceeded",
            )
        case "400-model":
            return unknown_model(model)
        case "401":
            return refusal(401, "User not found.", "authentication")
        case "402":
            return insufficient_credits()
        case "402-preflight":
            return preflight(asked, AFFORDABLE) if asked > AFFORDABLE else None
        case "402-key-limit":
            return refusal(402, "Prompt tokens limit exceeded: 4000 > 1200.", "payment_required")
        case "403-moderation":
            return refusal(
                403,
                f'{model} requires moderation on SandboxCloud. Your input was flagged for "harassment". '
                "No credits were charged.",
                "permission_denied",
                reasons=["harassment"],
                flagged_input="the first hundred characters of what was sent",
                provider_name="SandboxCloud",
                model_slug=model,
            )
        case "404":
            return refusal(404, f"No endpoints found for {model}.", "not_found")
        case "404-deprecated":
            return availability(
                404, "model_deprecated", f"{model} was retired.", model, retryable=False, with_code=True
            )
        case "408":
            return refusal(408, "Operation timed out. Please try again later.", "timeout")
        case "413":
            return refusal(413, "Request payload too large", "payload_too_large")
        case "422":
            return refusal(422, "Unprocessable entity", "unprocessable")
        case "429":
            return refusal(
                429,
                upstream,
                "rate_limit_exceeded",
                provider_name="SandboxCloud",
                raw=f"{model} is temporarily rate-limited upstream.",
            )
        case "429-retry-after":
            return refusal(429, "Rate limit exceeded", "rate_limit_exceeded", headers={"Retry-After": "2"})
        case "429-ms-reset":
            reset = {
                "X-RateLimit-Limit": "20",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int((time.time() + 3) * 1000)),
            }
            return _platform_limit(reset)
        case "500":
            return refusal(500, "Internal Server Error", "server")
        case "502":
            return refusal(502, upstream, "provider_unavailable", provider_name="SandboxCloud")
        case "502-raw":
            return refusal(
                502,
                upstream,
                "provider_unavailable",
                provider_name="SandboxCloud",
                raw=f'{{"error":"acct_77 out of quota","key":"{LIVE_SECRET_LOOKALIKE}","host":"10.0.0.7"}}',
            )
        case "502-html":
            return Refused(502, EDGE_PAGE)
        case "503":
            return refusal(
                503,
                "There is no available model provider that meets your routing requirements",
                "provider_overloaded",
                headers={"Retry-After": "1"},
            )
        case "524":
            return refusal(524, "Request timed out. Please try again later.", "timeout")
        case "529":
            return refusal(529, "Provider is overloaded", "provider_overloaded", provider_name="SandboxCloud")
        case "availability-no-code":
            return availability(
                503,
                "temporarily_unavailable",
                "Temporarily unavailable.",
                model,
                retryable=True,
                with_code=False,
            )
    raise LookupError(f"no refusal is called {name}")


def _platform_limit(reset: Mapping[str, str]) -> Refused:
    metadata = {
        "error_type": "rate_limit_exceeded",
        "headers": dict(reset),
        "limit_source": "openrouter_free_tier_minute",
    }
    message = "Rate limit exceeded: free-models-per-min."
    return Refused(429, {"error": {"code": 429, "message": message, "metadata": metadata}}, reset)
