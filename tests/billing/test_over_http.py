"""Subscribing over HTTP on a running site: webhooks really delivered, a worker at work, two web processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from accounts.models import User
from sandbox.razorpay.keys import TEST, signed
from tests.chat.browser import Browser
from tests.servers.process import ROOT
from tests.servers.sandbox import Sandbox
from tests.servers.site import Site

FREE, PLUS, PRO = 50_000, 2_000_000, 8_000_000


@pytest.fixture(scope="module")
def razorpay(server_logs: Path) -> Iterator[Sandbox]:
    server = Sandbox(server_logs)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(own_site: Callable[..., Site], razorpay: Sandbox) -> Site:
    """A site that sells by this module's Razorpay, which tells it of everything."""
    made = own_site(processes=2, settings=razorpay.razorpay_settings() | {"TRUSTED_PROXIES": "1"})
    razorpay.razorpay_webhooks(f"http://127.0.0.1:{made.port}/api/webhooks/razorpay")
    made.command("sync_plans")
    return made


class Customer:
    """Somebody with a browser's session, and Razorpay's other side."""

    def __init__(self, site: Site, razorpay: Sandbox) -> None:
        self.who = site.new_user()
        self.http = Browser(site, self.who).http
        self.razorpay = razorpay

    def get(self, path: str = "") -> Any:
        answer = self.http.get(f"/api/subscription{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        answer = self.http.post(f"/api/subscription/{path}", json=body or {}, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, path: str, body: Any = None, **headers: str) -> tuple[int, str, str | None]:
        answer = self.http.post(f"/api/subscription/{path}", json=body or {}, headers=headers)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["param"]

    def create(self, plan: str = "plus", interval: str = "month", **more: Any) -> Any:
        return self.post("create", {"plan": plan, "interval": interval} | more, status=201)

    def pay(self, checkout: Any, **how: Any) -> Any:
        return self.razorpay.razorpay_walk(checkout["subscription_id"], "authenticate", **how)["payment"]

    def subscribed(self, plan: str = "plus", **how: Any) -> Any:
        self.pay(self.create(plan)["checkout"], **how)
        return self.until(lambda: self.get()["subscription"], lambda found: found and found["status"] == "active")

    def quota(self) -> int:
        limits = self.http.get("/api/user/quota").json()["limits"]
        return next(each["limit"] for each in limits if (each["scope"], each["unit"]) == ("*", "tokens"))

    @staticmethod
    def until(read: Callable[[], Any], good: Callable[[Any], Any]) -> Any:
        """What is read once it is as it will be: the worker needs its moment."""
        for _ in range(600):
            found = read()
            if good(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"still {found}")


@pytest.fixture
def customer(site: Site, razorpay: Sandbox) -> Customer:
    return Customer(site, razorpay)


def count(site: Site, who: Customer, expression: str) -> int:
    """A count over the tables of the site, of one person."""
    said = site.command(
        "shell", "-v0", "-c",
        "from accounts.models import User\nfrom billing.models import *\nfrom quotas.models import Allowance, Grant\n"
        f"user = User.objects.get(email={who.who.email!r})\nprint({expression})",
    )  # fmt: skip
    return int(said.strip().splitlines()[-1])


CYCLES = "Allowance.objects.filter(user=user, source__regex=r'^sub:[^:]+:[0-9]+$').count()"


# The way through ---------------------------------------------------------------------------------
def test_from_the_price_list_to_the_end_and_back(site: Site, customer: Customer) -> None:
    plans = {plan["code"] for plan in customer.http.get("/api/subscription/plans").json()["results"]}
    assert {"plus", "pro"} <= plans
    assert customer.get() == {"subscription": None, "open": None, "replacement": None}
    made = customer.create()
    assert (made["subscription"]["status"], made["subscription"]["can"]) == ("created", ["pay"])
    assert made["checkout"]["key"] == TEST.key_id and made["checkout"]["url"]
    assert customer.get()["open"]["checkout"] == made["checkout"]
    customer.pay(made["checkout"], ok=False)
    payment = customer.pay(made["checkout"], method="card_international")
    signature = signed(f"{payment['id']}|{made['checkout']['subscription_id']}", TEST.secret)
    back = {
        "razorpay_payment_id": payment["id"],
        "razorpay_subscription_id": made["checkout"]["subscription_id"],
        "razorpay_signature": signature,
    }
    verified = customer.post("verify", back)
    assert (verified["status"], verified["subscription"]["status"]) == ("paid", "active")
    assert customer.quota() == PLUS
    changed = customer.post("update", {"plan": "pro"})
    assert (changed["way"], changed["subscription"]["plan"]) == ("in_place", "pro")
    assert customer.quota() > PLUS
    ended = customer.post("cancel", {"when": "cycle_end", "reason": "trying it out"})
    assert ended["cancel_at_cycle_end"] and ended["ends_at"] and "undo" in ended["can"]
    assert not customer.post("undo")["cancel_at_cycle_end"]
    unused = customer.get()["subscription"]["unused"]
    assert unused > 0
    ended = customer.post("cancel", {"when": "now", "reason": "enough"})
    assert (ended["status"], customer.quota()) == ("cancelled", FREE)
    again = customer.create("plus")
    customer.pay(again["checkout"], method="upi")
    customer.until(customer.quota, lambda limit: limit == PLUS)
    replaced = customer.post("update", {"plan": "pro"})
    assert (replaced["way"], replaced["replacement"]["status"]) == ("replaced", "created")
    customer.pay(replaced["checkout"], method="upi")
    customer.until(customer.quota, lambda limit: limit == PRO)
    customer.until(customer.get, lambda found: found["subscription"]["plan"] == "pro" and not found["replacement"])
    papers = customer.until(
        lambda: customer.http.get("/api/subscription/invoice").json()["results"], lambda found: len(found) >= 5
    )
    assert {paper["kind"] for paper in papers} == {"invoice", "credit_note"}
    assert customer.get("/portal")["url"].endswith("/billing")


def test_a_pack_from_the_list_to_the_quota(customer: Customer) -> None:
    packs = customer.http.get("/api/subscription/packs").json()["results"]
    assert [pack["code"] for pack in packs] == ["small", "medium", "large"]
    key = {"Idempotency-Key": "the same click"}
    made = customer.post("topup", {"pack": "small"}, status=201, **key)
    assert customer.post("topup", {"pack": "small"}, status=201, **key)["purchase"]["id"] == made["purchase"]["id"]
    assert customer.refused("topup", {"pack": "large"}, **key) == (409, "idempotency_conflict", None)
    order = made["checkout"]["order_id"]
    (payment,) = customer.razorpay.control(f"razorpay/order/{order}/pay", {})["payments"]
    back = {
        "razorpay_payment_id": payment["id"],
        "razorpay_order_id": order,
        "razorpay_signature": signed(f"{order}|{payment['id']}", TEST.secret),
    }
    assert customer.post("verify", back)["status"] == "paid"
    topups = customer.http.get("/api/user/quota").json()["topups"]
    assert [each["amount"] for each in topups if each["unit"] == "tokens"] == [500_000]


# Refusals ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("create", {"plan": "plus"}, (400, "missing_required_parameter", "interval")),
        ("create", {"plan": "plus", "interval": "week"}, (400, "invalid_value", "interval")),
        ("create", {"plan": "none", "interval": "month"}, (404, "plan_not_found", "plan")),
        ("create", {"plan": "free", "interval": "month"}, (404, "plan_not_found", "plan")),
        ("create", {"plan": "plus", "interval": "month", "seats": 2}, (400, "invalid_value", "seats")),
        ("create", {"plan": "plus", "interval": "month", "seats": "2"}, (400, "invalid_value", "seats")),
        ("create", {"plan": "plus", "interval": "month", "coupon": "x"}, (400, "coupon_not_valid", "coupon")),
        ("create", {"plan": "plus", "interval": "month", "price": 1}, (400, "unknown_field", "price")),
        (
            "create",
            {"plan": "team", "interval": "month", "team": "0198c0de-0000-7000-8000-000000000000"},
            (404, "not_found", None),
        ),
        ("verify", {}, (400, "missing_required_parameter", "razorpay_payment_id")),
        (
            "verify",
            {"razorpay_payment_id": "pay_1", "razorpay_subscription_id": "sub_1", "razorpay_signature": "0"},
            (404, "not_found", "razorpay_subscription_id"),
        ),
        ("cancel", {}, (400, "missing_required_parameter", "when")),
        ("cancel", {"when": "now"}, (404, "no_subscription", None)),
        ("update", {"plan": "pro"}, (404, "no_subscription", None)),
        ("undo", {}, (404, "no_subscription", None)),
        ("pause", {}, (404, "no_subscription", None)),
        ("resume", {}, (404, "no_subscription", None)),
        ("topup", {"pack": "none"}, (404, "pack_not_found", "pack")),
    ],
)
def test_what_cannot_be_done_is_said(
    site: Site, nobody: Customer, path: str, body: Any, wanted: tuple[int, str, str | None]
) -> None:
    assert nobody.refused(path, body) == wanted


@pytest.fixture(scope="module")
def nobody(site: Site, razorpay: Sandbox) -> Customer:
    """Somebody who never subscribes."""
    return Customer(site, razorpay)


def test_a_key_may_not_subscribe_and_nobody_may_without_signing_in(site: Site, nobody: Customer) -> None:
    body = {"plan": "plus", "interval": "month"}
    key = {"Authorization": f"Bearer {nobody.who.api_key}"}
    assert httpx.post(f"{site.url}/api/subscription/create", json=body, headers=key).status_code == 403
    assert httpx.post(f"{site.url}/api/subscription/create", json=body).status_code == 401


@pytest.mark.django_db
def test_without_keys_of_razorpay_payments_are_off(client: Client, settings: Any) -> None:
    settings.RAZORPAY_KEY_ID = settings.RAZORPAY_KEY_SECRET = ""
    client.force_login(User.objects.create_user("nobody@example.com"))
    assert client.get("/api/subscription").json() == {"subscription": None, "open": None, "replacement": None}
    bodies = {"create": {"plan": "plus", "interval": "month"}, "topup": {"pack": "small"}, "undo": {}}
    for path, body in bodies.items():
        answer = client.post(f"/api/subscription/{path}", body, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "payments_off")


# Many at once ------------------------------------------------------------------------------------
def test_twenty_copies_of_every_event_and_twenty_returns_at_once_grant_once(
    site: Site, customer: Customer, razorpay: Sandbox
) -> None:
    razorpay.razorpay_webhooks(copies=20, parallel=20, shuffle=True)
    try:
        made = customer.create()
        payment = customer.pay(made["checkout"])
        back = {
            "razorpay_payment_id": payment["id"],
            "razorpay_subscription_id": made["checkout"]["subscription_id"],
            "razorpay_signature": signed(f"{payment['id']}|{made['checkout']['subscription_id']}", TEST.secret),
        }
        cookies, token = dict(customer.http.cookies), customer.http.headers["X-CSRFToken"]
        headers = {"Origin": site.url, "Referer": site.url + "/c", "X-CSRFToken": token}

        def verify(_: int) -> int:
            url = f"{site.url}/api/subscription/verify"
            return httpx.post(url, json=back, cookies=cookies, headers=headers, timeout=60).status_code

        with ThreadPoolExecutor(20) as many:
            answers = list(many.map(verify, range(20)))
    finally:
        razorpay.razorpay_webhooks(copies=1, shuffle=False)
    # Where the machine has no more connections to give, some are told to come again; none fails otherwise.
    assert 200 in answers and set(answers) <= {200, 503}
    customer.until(customer.quota, lambda limit: limit == PLUS)
    assert count(site, customer, CYCLES) == 1
    assert count(site, customer, "Payment.objects.filter(user=user).exclude(effect_at=None).count()") == 1


def test_a_double_click_makes_one_subscription(site: Site, customer: Customer) -> None:
    cookies, token = dict(customer.http.cookies), customer.http.headers["X-CSRFToken"]
    headers = {"Origin": site.url, "Referer": site.url + "/c", "X-CSRFToken": token}

    def create(_: int) -> str:
        body = {"plan": "plus", "interval": "month"}
        url = f"{site.url}/api/subscription/create"
        answer = httpx.post(url, json=body, cookies=cookies, headers=headers, timeout=60)
        return str(answer.json().get("checkout", {}).get("subscription_id", answer.text))

    with ThreadPoolExecutor(6) as many:
        ids = set(many.map(create, range(6)))
    assert len(ids) == 1, ids
    assert count(site, customer, "Subscription.objects.filter(user=user).count()") == 1


# Killed ------------------------------------------------------------------------------------------
POINTS = ["after_fetch", "after_lock", "before_commit", "after_commit", "before_done"]


@pytest.mark.faults
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_is_killed_leaves_nothing_lost_and_nothing_twice(
    site: Site, customer: Customer, razorpay: Sandbox, point: str
) -> None:
    site.kill_worker()
    try:
        made = customer.create()
        customer.pay(made["checkout"])
        environment = {**site.env, "PATH": os.environ["PATH"]}
        died = subprocess.run(
            [sys.executable, "-m", "tests.billing.dying_worker", point], cwd=ROOT, env=environment, timeout=120
        )
        assert died.returncode == -9
    finally:
        site.start_worker()
    customer.until(customer.quota, lambda limit: limit == PLUS)
    # The event that the dead one had in hand is taken up again when its lease is over: now.
    count(site, customer, "WebhookEvent.objects.filter(state='waiting').update(lease_until=None)")
    waiting = "WebhookEvent.objects.filter(state='waiting').count()"
    customer.until(lambda: count(site, customer, waiting), lambda number: number == 0)
    assert count(site, customer, CYCLES) == 1
    assert count(site, customer, "Payment.objects.filter(user=user).exclude(effect_at=None).count()") == 1
