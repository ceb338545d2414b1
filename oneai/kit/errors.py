"""Refusals: every expected "no" has a code, a status and a type, declared here and nowhere else.

``type`` follows OpenAI's names, so that its SDKs raise the right class. The docs page of errors is
generated from ``CODES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from oneai.kit import metrics
from oneai.kit.request_id import note


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: its HTTP status, its OpenAI error type and its default text for people."""

    status: int
    type: str
    message: str
    openai: str = ""  # the code on /v1 where OpenAI's differs


_INVALID = "invalid_request_error"

CODES: Final[dict[str, Code]] = {
    "invalid_request": Code(400, _INVALID, "The request is not valid."),
    "invalid_json": Code(400, _INVALID, "The body is not valid JSON."),
    "unknown_field": Code(400, _INVALID, "A field is not known."),
    "missing_required_parameter": Code(400, _INVALID, "A required field is missing."),
    "invalid_value": Code(400, _INVALID, "A field has a value that is not allowed."),
    "unsupported_parameter": Code(400, _INVALID, "A field is not supported."),
    "model_reads_no_images": Code(400, _INVALID, "The model does not read pictures. Choose one that does."),
    "message_too_long": Code(400, _INVALID, "The message has more than 100,000 characters.", "string_above_max_length"),
    "context_length_exceeded": Code(400, _INVALID, "The conversation does not fit the model's context."),
    "invalid_signature": Code(400, _INVALID, "The signature is not right."),
    "coupon_not_valid": Code(400, _INVALID, "The coupon can't be used for this."),
    "nothing_to_change": Code(400, _INVALID, "That is what you have already."),
    "payment_mismatch": Code(400, _INVALID, "The payment does not fit what was ordered. We are looking into it."),
    "payment_refused": Code(400, _INVALID, "Razorpay refused the request."),
    "model_not_usable": Code(400, _INVALID, "The model can't be used at the moment."),
    "not_authenticated": Code(401, "authentication_error", "Sign in, or send an API key.", "invalid_api_key"),
    "invalid_api_key": Code(401, "authentication_error", "The API key is not valid, has expired or was revoked."),
    "invalid_token": Code(401, "authentication_error", "The token is not valid or has expired.", "invalid_api_key"),
    "refresh_token_reused": Code(
        401,
        "authentication_error",
        "The refresh token was used before, so its sign-in has ended. Sign in again.",
        "invalid_api_key",
    ),
    "account_disabled": Code(401, "authentication_error", "The account is disabled.", "invalid_api_key"),
    "csrf_failed": Code(403, "permission_error", "The form has expired. Reload the page and try again."),
    "insufficient_scope": Code(403, "permission_error", "The key does not have the scope that this needs."),
    "address_not_allowed": Code(403, "permission_error", "The API key may not be used from this address."),
    "second_factor_required": Code(
        403, "permission_error", "Signing in takes a second step: send a code as second_factor."
    ),
    "sign_in_refused": Code(403, "permission_error", "This identity can't sign in here."),
    "permission_denied": Code(403, "permission_error", "You may not do this."),
    "invitation_for_another": Code(
        403, "permission_error", "The invitation is for another address. Sign in with that one, and verify it."
    ),
    "model_not_allowed": Code(403, "permission_error", "Your plan does not include this model."),
    "content_refused": Code(403, "permission_error", "The model's provider refused the content."),
    "not_found": Code(404, _INVALID, "There is nothing here."),
    "no_subscription": Code(404, _INVALID, "There is no subscription."),
    "pack_not_found": Code(404, _INVALID, "There is no such pack on sale."),
    "plan_not_found": Code(404, _INVALID, "There is no such plan on sale."),
    "model_not_found": Code(404, _INVALID, "The model does not exist, or you do not have access to it."),
    "method_not_allowed": Code(405, _INVALID, "The method is not allowed here."),
    "not_acceptable": Code(406, _INVALID, "The answer can't be given in the form asked for."),
    "request_timeout": Code(408, _INVALID, "The body did not arrive in time."),
    "conflict": Code(409, _INVALID, "The request conflicts with what is there."),
    "too_many_api_keys": Code(409, _INVALID, "There are as many API keys as an account may have. Revoke one first."),
    "already_in_team": Code(409, _INVALID, "You are in a team already. Leave it, or delete it, first."),
    "already_invited": Code(409, _INVALID, "This address has an open invitation. Send it again, or revoke it."),
    "invitation_ended": Code(409, _INVALID, "The invitation has ended or was used. Ask for another."),
    "seats_full": Code(409, _INVALID, "All seats of the team are taken. Free one, or buy more."),
    "seats_taken": Code(409, _INVALID, "More people are in the team than that. Remove some first."),
    "owner_must_stay": Code(409, _INVALID, "A team needs its owner. Hand the team over first, or delete it."),
    "team_subscribed": Code(409, _INVALID, "The team has a subscription. Cancel it first."),
    "subscription_running": Code(409, _INVALID, "Your subscription is still running. Cancel it first."),
    "already_subscribed": Code(409, _INVALID, "You have a subscription. Change it instead."),
    "change_pending": Code(409, _INVALID, "Another change waits already. Take it back first."),
    "nothing_to_undo": Code(409, _INVALID, "There is nothing that could be taken back."),
    "only_at_cycle_end": Code(409, _INVALID, "Something smaller begins when the paid cycle ends."),
    "plan_not_for_sale": Code(409, _INVALID, "The plan is not sold this way at the moment."),
    "subscription_state": Code(409, _INVALID, "The subscription can't do this in its state."),
    "too_late_to_undo": Code(409, _INVALID, "The end of the subscription is on its way and can't be taken back."),
    "idempotency_conflict": Code(409, _INVALID, "The Idempotency-Key was used with another body."),
    "payload_too_large": Code(413, _INVALID, "The body is too large."),
    "storage_full": Code(413, _INVALID, "The room for your files is used up. Delete some first."),
    "unsupported_file": Code(415, _INVALID, "The file can't be taken."),
    "unsupported_media_type": Code(415, _INVALID, "Send the body as application/json."),
    "headers_too_large": Code(431, _INVALID, "The headers are too large."),
    "rate_limited": Code(429, "requests", "Too many requests. Try again shortly.", "rate_limit_exceeded"),
    "too_many_generations": Code(429, "requests", "Too many answers are running at once.", "rate_limit_exceeded"),
    "too_many_attempts": Code(429, "requests", "Too many attempts. Try again later.", "rate_limit_exceeded"),
    "quota_exceeded": Code(429, "insufficient_quota", "The quota is used up.", "insufficient_quota"),
    "internal_error": Code(500, "server_error", "Something went wrong on our side."),
    "upstream_error": Code(502, "server_error", "The model's provider failed."),
    "upstream_refused": Code(502, "server_error", "The model's provider refused the request."),
    "upstream_invalid": Code(502, "server_error", "The model's provider sent an answer that can't be read."),
    "upstream_interrupted": Code(502, "server_error", "The model's provider broke off the answer."),
    "interrupted": Code(502, "server_error", "The server was interrupted while answering."),
    "upstream_unconfigured": Code(503, "server_error", "The provider does not accept this site's key."),
    "upstream_unpaid": Code(503, "server_error", "The provider wants payment from this site."),
    "upstream_overloaded": Code(503, "server_error", "The model is overloaded. Try again, or choose another."),
    "payments_off": Code(503, "server_error", "Payments are not set up on this site."),
    "payments_unavailable": Code(503, "server_error", "Razorpay does not answer. Try again in a moment."),
    "payments_unconfigured": Code(503, "server_error", "Razorpay does not accept this site's key."),
    "platform_limit_reached": Code(503, "server_error", "The platform has reached today's spending limit."),
    "shutting_down": Code(503, "server_error", "The server is restarting. Try again in a moment."),
    "restarted": Code(503, "server_error", "The server was restarted while answering."),
    "unavailable": Code(503, "server_error", "The service is not available at the moment. Try again shortly."),
    "upstream_timeout": Code(504, "server_error", "The model's provider did not answer in time."),
}

BY_STATUS: Final = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "headers_too_large",
    503: "unavailable",
}

# OpenAI's SDKs repeat every 409 and 429 by themselves. A used-up quota does not come back in seconds, and
# what an idempotency key was used for stays so.
FINAL: Final = frozenset({"quota_exceeded", "conflict", "too_many_api_keys", "idempotency_conflict"})


@dataclass(slots=True)
class Refusal(Exception):
    """An expected "no": raise it from anywhere, the doors print it.

    ``param`` names the field at fault; ``details`` is for programs; ``retry_after`` is in seconds.
    """

    code: str
    message: str = ""
    param: str | None = None
    details: dict[str, Any] | None = None
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"undeclared refusal code {self.code!r}")
        Exception.__init__(self, self.code)

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def text(self) -> str:
        return self.message or CODES[self.code].message

    def told(self) -> None:
        """Count it, and name it in the request's line of the log: the answer is on its way."""
        metrics.count("refusals", self.code)
        note("refused", self.code)

    def error(self, request_id: str, *, openai: bool = False) -> dict[str, Any]:
        """The inner error object; ``openai`` gives OpenAI's code, as ``/v1`` does."""
        declared = CODES[self.code]
        self.told()
        body: dict[str, Any] = {
            "code": (declared.openai or self.code) if openai else self.code,
            "message": self.text,
            "type": declared.type,
            "param": self.param,
            "request_id": request_id,
        }
        if self.details is not None:
            body["details"] = self.details
        return body

    def body(self, request_id: str, *, openai: bool = False) -> dict[str, Any]:
        """The whole body of an error answer."""
        return {"error": self.error(request_id, openai=openai)}

    def answer_headers(self, *, openai: bool = False) -> dict[str, str]:
        """Headers that go with the refusal: Retry-After, WWW-Authenticate, x-should-retry."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, self.retry_after))
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="api"'
        if openai and self.code in FINAL:
            headers["x-should-retry"] = "false"
        return headers


def refusal_for_status(status: int) -> Refusal:
    """The general refusal of an HTTP status, for errors that the framework raises."""
    return Refusal(BY_STATUS.get(status, "internal_error" if status >= 500 else "invalid_request"))
