"""Nobody has Razorpay asked as often as they like, whichever door they take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from billing import limits
from oneai.kit import clock
from tests.billing.test_subscribing import refused
from tests.billing.world import World

NOTHING = {"razorpay_payment_id": "pay_1", "razorpay_signature": "00", "razorpay_order_id": "order_1"}
#: The door, what is sent, and how often it may be.
DOORS: dict[str, tuple[dict[str, Any], int]] = {
    "create": ({"plan": "nothing", "interval": "month"}, 60),
    "topup": ({"pack": "nothing"}, 60),
    "verify": (NOTHING, 60),
    "update": ({"plan": "nothing"}, 60),
    "cancel": ({"when": "now"}, 60),
    "undo": ({}, 60),
    "pause": ({}, 60),
    "resume": ({}, 60),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_to_razorpay_shuts_after_many_tries(world: World, door: str) -> None:
    body, most = DOORS[door]
    browser, user = Client(), world.person()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")

    def ask() -> Any:
        return browser.post(f"/api/subscription/{door}", body, content_type="application/json")

    assert all(ask().status_code != 429 for _ in range(most))
    refused = ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_attempts")
    assert int(refused.headers["Retry-After"]) > 0


FIRST, MINUTES_10, HOUR = UUID(int=1), 600, 3600


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("count", "most", "seconds"),
    [
        (lambda at: limits.count_order(FIRST), 60, HOUR),
        (lambda at: limits.count_change(FIRST), 60, HOUR),
        (lambda at: limits.count_verification(FIRST), 60, MINUTES_10),
        (lambda at: limits.count_return(FIRST, f"192.0.2.{at % 200}"), 30, MINUTES_10),
        (lambda at: limits.count_return(UUID(int=at), "192.0.2.1"), 300, MINUTES_10),
    ],
    ids=["orders", "changes", "verifications", "returns to an order", "returns from an address"],
)
def test_a_count_begins_anew_after_its_time(count: Callable[[int], None], most: int, seconds: int) -> None:
    for at in range(most):
        count(at)
    assert refused(count, most) == "too_many_attempts"
    with clock.travel(timedelta(seconds=seconds - 60)):  # counting so often took a while too
        assert refused(count, most) == "too_many_attempts"
    with clock.travel(timedelta(seconds=seconds, milliseconds=500)):
        count(most)


def test_a_page_counts_with_the_api(world: World) -> None:
    browser, user = Client(), world.person()
    browser.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    for _ in range(60):
        browser.post("/api/subscription/create", {"plan": "x", "interval": "month"}, content_type="application/json")
    assert browser.post("/billing/checkout?plan=plus&interval=month", {"coupon": ""}).status_code == 429
    assert browser.post("/billing/packs/small", {"coupon": ""}).status_code == 429


def test_coming_back_is_counted_for_each_order_and_the_payment_is_heard_of_all_the_same(world: World) -> None:
    user = world.person()
    row, other = world.subscribe(user), world.order(user)

    def back(order: Any) -> str:
        told = {"razorpay_payment_id": "pay_1", "razorpay_signature": "00"}
        return refused(Client().post, f"/billing/return/{order.pk}", told)

    seen = [back(row) for _ in range(31)]
    assert set(seen[:30]) == {"invalid_signature"} and seen[30] == "too_many_attempts"
    assert back(other) == "invalid_signature"
    world.pay(row)
    world.hear()
    row.refresh_from_db()
    assert str(row.status) == "active"
