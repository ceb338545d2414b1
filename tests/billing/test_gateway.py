"""What a person is told when Razorpay did not do what they asked for, and which Razorpay it is."""

from __future__ import annotations

from typing import Any

import pytest

from billing import gateway
from billing.razorpay.errors import (
    BadRequest,
    Conflict,
    NotFound,
    NotOffered,
    RazorpayError,
    TooMany,
    Unauthorised,
    Unavailable,
    Unreadable,
)
from tests.billing.test_subscribing import refused

SAID = "The amount is too large."


@pytest.mark.parametrize(
    ("error", "code", "text", "retry_after"),
    [
        (Unauthorised(SAID, 401), "payments_unconfigured", None, None),
        (NotOffered(SAID, 400), "payments_unconfigured", None, None),
        (TooMany(SAID, 429, retry_after=40), "payments_unavailable", None, 40),
        (TooMany(SAID, 429), "payments_unavailable", None, 5),
        (NotFound(SAID, 400), "not_found", None, None),
        (BadRequest(SAID, 400), "payment_refused", SAID, None),
        (Conflict(SAID, 409), "payment_refused", SAID, None),
        (Unavailable(SAID, 503), "payments_unavailable", None, 5),
        (Unreadable(SAID, 200), "payments_unavailable", None, 5),
        (RazorpayError(SAID), "payments_unavailable", None, 5),
    ],
)
def test_what_went_wrong_is_told_as_far_as_it_is_the_persons_business(
    error: RazorpayError, code: str, text: str | None, retry_after: int | None
) -> None:
    told = gateway.as_refusal(error)
    assert (told.code, told.retry_after) == (code, retry_after)
    assert (told.text == SAID) == (text is not None)


@pytest.mark.parametrize(
    ("key", "on", "mode"),
    [("", False, "test"), ("rzp_test_1", True, "test"), ("rzp_live_1", True, "live"), ("xrzp_live_", True, "test")],
)
def test_the_key_says_whether_money_is_taken_and_whether_it_is_real(
    settings: Any, key: str, on: bool, mode: str
) -> None:
    settings.RAZORPAY_KEY_ID = key
    assert (gateway.configured(), gateway.mode()) == (on, mode)
    if on:
        assert gateway.razorpay().calls.key_id == key
    else:
        assert refused(gateway.razorpay) == "payments_off"
