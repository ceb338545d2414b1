"""Signatures: right ones of each flow are right, and nothing else is."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from billing.razorpay import signatures

SECRET = "the key secret"
PAYMENT, SUBSCRIPTION, ORDER = "pay_AAAAAAAAAAAA01", "sub_AAAAAAAAAAAA01", "order_AAAAAAAAAAA01"


def signed(message: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def test_a_subscription_is_signed_payment_first_and_an_order_order_first() -> None:
    assert signatures.subscription_is_signed(PAYMENT, SUBSCRIPTION, signed(f"{PAYMENT}|{SUBSCRIPTION}"), SECRET)
    assert signatures.order_is_signed(ORDER, PAYMENT, signed(f"{ORDER}|{PAYMENT}"), SECRET)
    assert not signatures.subscription_is_signed(PAYMENT, SUBSCRIPTION, signed(f"{SUBSCRIPTION}|{PAYMENT}"), SECRET)
    assert not signatures.order_is_signed(ORDER, PAYMENT, signed(f"{PAYMENT}|{ORDER}"), SECRET)


def test_a_payment_link_signs_all_that_comes_back() -> None:
    good = signed(f"plink_1|r1|paid|{PAYMENT}")
    assert signatures.link_is_signed("plink_1", "r1", "paid", PAYMENT, good, SECRET)
    assert not signatures.link_is_signed("plink_1", "r1", "expired", PAYMENT, good, SECRET)
    assert signatures.link_is_signed("plink_1", "", "paid", PAYMENT, signed(f"plink_1||paid|{PAYMENT}"), SECRET)
    assert not signatures.link_is_signed("plink_1", "r1", "", PAYMENT, signed(f"plink_1|r1||{PAYMENT}"), SECRET)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 64,
        "é" * 64,
        "\ud800",
        signed(f"{PAYMENT}|{SUBSCRIPTION}")[:-1],
        signed(f"{PAYMENT}|{SUBSCRIPTION}").upper(),
        signed(f"{PAYMENT}|{SUBSCRIPTION}", "another secret"),
    ],
)
def test_a_wrong_signature_is_wrong_and_raises_nothing(signature: str) -> None:
    assert not signatures.subscription_is_signed(PAYMENT, SUBSCRIPTION, signature, SECRET)


def test_an_empty_secret_signs_nothing() -> None:
    forged = hmac.new(b"", f"{PAYMENT}|{SUBSCRIPTION}".encode(), hashlib.sha256).hexdigest()
    assert not signatures.subscription_is_signed(PAYMENT, SUBSCRIPTION, forged, "")
    assert signatures.webhook_secret(b"{}", hmac.new(b"", b"{}", hashlib.sha256).hexdigest(), [""]) is None
    with pytest.raises(ValueError):
        signatures.sign(b"{}", "")


@pytest.mark.parametrize(("payment", "subscription"), [("", SUBSCRIPTION), (PAYMENT, ""), ("a|b", "c"), ("a", "b|c")])
def test_what_is_missing_or_could_be_read_in_two_ways_is_never_signed(payment: str, subscription: str) -> None:
    assert not signatures.subscription_is_signed(payment, subscription, signed(f"{payment}|{subscription}"), SECRET)


@pytest.mark.parametrize(("order", "payment"), [("", PAYMENT), (ORDER, ""), ("a|b", "c"), ("a", "b|c")])
def test_an_order_is_never_signed_in_part(order: str, payment: str) -> None:
    assert not signatures.order_is_signed(order, payment, signed(f"{order}|{payment}"), SECRET)


@pytest.mark.parametrize(("link", "payment"), [("", PAYMENT), ("plink_1", ""), ("plink_1|r1", PAYMENT)])
def test_a_payment_link_is_never_signed_in_part(link: str, payment: str) -> None:
    assert not signatures.link_is_signed(link, "r1", "paid", payment, signed(f"{link}|r1|paid|{payment}"), SECRET)


def test_a_webhook_may_be_signed_by_either_secret_and_says_by_which() -> None:
    body = b'{"a": 1}'
    new, old = "n" * 32, "o" * 32
    assert signatures.webhook_secret(body, signatures.sign(body, new), [new, old]) == 0
    assert signatures.webhook_secret(body, signatures.sign(body, old), [new, old]) == 1
    assert signatures.webhook_secret(body, signatures.sign(body, old), [new]) is None
    assert signatures.webhook_secret(b'{"a":1}', signatures.sign(body, new), [new, old]) is None
    assert signatures.webhook_secret(body, signatures.sign(body, new), []) is None
