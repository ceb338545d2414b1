"""The client and the inbox against the imitated Razorpay: the same code that meets the real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.razorpay import calls, errors
from billing.razorpay.client import Razorpay, client
from billing.razorpay.once import once
from billing.razorpay.wire import Plan, Subscription
from tests.billing.inbox import DOORS, kept
from tests.servers.sandbox import RAZORPAY_KEY_ID, RAZORPAY_KEY_SECRET, Sandbox
from tests.servers.site import Site


@pytest.fixture(scope="module")
def own_sandbox(server_logs: Path) -> Iterator[Sandbox]:
    """A sandbox whose clock and faults are these tests' own."""
    server = Sandbox(server_logs)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def razorpay(own_sandbox: Sandbox) -> Razorpay:
    own_sandbox.control("razorpay/reset", {})
    return under(own_sandbox)


def under(sandbox: Sandbox, key_id: str = RAZORPAY_KEY_ID, secret: str = RAZORPAY_KEY_SECRET) -> Razorpay:
    return client(base_url=f"{sandbox.url}/razorpay", key_id=key_id, key_secret=secret)


def plan(razorpay: Razorpay, key: str = "plan-plus") -> Plan:
    return razorpay.create_plan(key, period="monthly", interval=1, name="Plus", amount=49900)


def subscribe(razorpay: Razorpay, plan_id: str, key: str = "user-1") -> Subscription:
    return razorpay.create_subscription(key, plan_id=plan_id, total_count=12, notes={"user": "u"})


def test_a_subscription_from_plan_to_refund(own_sandbox: Sandbox, razorpay: Razorpay) -> None:
    offered = plan(razorpay)
    assert razorpay.plan(offered.id) == offered
    made = subscribe(razorpay, offered.id)
    assert (made.status, made.notes["user"], made.total_count) == ("created", "u", 12)
    assert made.short_url.startswith("http")
    own_sandbox.razorpay_walk(made.id, "authenticate", method="upi")
    active = razorpay.subscription(made.id)
    assert (active.status, active.paid_count, active.payment_method) == ("active", 1, "upi")
    assert active.current_end is not None
    [invoice] = razorpay.invoices_of(made.id)
    assert (invoice.subscription_id, invoice.status, invoice.amount) == (made.id, "paid", 49900)
    paid = razorpay.payment(invoice.payment_id)
    assert (paid.status, paid.captured, paid.amount, paid.invoice_id) == ("captured", True, 49900, invoice.id)
    with pytest.raises(errors.BadRequest, match="UPI"):
        razorpay.update_subscription(made.id, when="now", quantity=2)
    back = razorpay.create_refund("refund-key-0001", paid.id, amount=100)
    assert razorpay.create_refund("refund-key-0001", paid.id, amount=100).id == back.id
    with pytest.raises(errors.Conflict):
        razorpay.create_refund("refund-key-0001", paid.id, amount=200)
    assert [one.id for one in razorpay.refunds_of(paid.id)] == [back.id]
    assert razorpay.refund_by_key("refund-key-0001", paid.id) == razorpay.refund(back.id)
    assert razorpay.cancel_subscription(made.id, at_cycle_end=True).status == "active"
    assert razorpay.cancel_subscription(made.id, at_cycle_end=False).status == "cancelled"
    with pytest.raises(errors.BadRequest):
        razorpay.cancel_subscription(made.id, at_cycle_end=False)


def test_an_order_paid_and_a_dispute(own_sandbox: Sandbox, razorpay: Razorpay) -> None:
    order = razorpay.create_order("pack-1", amount=10000, receipt="r-1")
    assert razorpay.order_by_key("pack-1") == order
    own_sandbox.control(f"razorpay/order/{order.id}/pay", {"method": "card_domestic", "ok": False})
    own_sandbox.control(f"razorpay/order/{order.id}/pay", {"method": "upi", "ok": True})
    assert razorpay.order(order.id).status == "paid"
    payments = list(razorpay.payments_of_order(order.id))
    assert sorted(one.status for one in payments) == ["captured", "failed"]
    [good] = [one for one in payments if one.captured]
    own_sandbox.control(f"razorpay/payment/{good.id}/dispute", {"amount": 10000})
    [dispute] = razorpay.disputes()
    assert (dispute.payment_id, razorpay.dispute(dispute.id)) == (good.id, dispute)


def test_lists_beyond_a_page_are_read_to_their_end(razorpay: Razorpay) -> None:
    made = [razorpay.create_order(f"key-{number}", amount=100).id for number in range(203)]
    assert sorted(order.id for order in razorpay.orders()) == sorted(made)
    assert razorpay.order_by_key("key-0", datetime.now(UTC) - timedelta(hours=1)) is not None


@pytest.mark.parametrize("fault", ["lost", "lost-reset", "lost-500", "garbage"])
def test_a_subscription_whose_answer_was_lost_is_found_and_made_once(
    own_sandbox: Sandbox, razorpay: Razorpay, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(calls, "READ_SECONDS", 1.0)
    offered = plan(razorpay)
    own_sandbox.control("razorpay/fault", {"fault": fault, "method": "POST", "path": "/subscriptions", "times": 1})
    found = once(lambda: subscribe(razorpay, offered.id), lambda: razorpay.subscription_by_key("user-1", offered.id))
    assert [one.id for one in razorpay.subscriptions()] == [found.id]


@pytest.mark.parametrize("fault", ["500", "502-html", "503", "504", "timeout", "reset"])
def test_a_subscription_that_was_not_made_may_be_made_by_the_next_try(
    own_sandbox: Sandbox, razorpay: Razorpay, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(calls, "READ_SECONDS", 1.0)
    offered = plan(razorpay)
    own_sandbox.control("razorpay/fault", {"fault": fault, "method": "POST", "path": "/subscriptions", "times": 1})

    def make(*, tried_before: bool) -> Subscription:
        return once(
            lambda: subscribe(razorpay, offered.id),
            lambda: razorpay.subscription_by_key("user-1", offered.id),
            tried_before=tried_before,
        )

    with pytest.raises(errors.Unavailable) as raised:
        make(tried_before=False)
    assert raised.value.maybe_done
    made = make(tried_before=True)
    assert make(tried_before=True).id == made.id
    assert len(list(razorpay.subscriptions())) == 1


@pytest.mark.parametrize(
    ("fault", "kind"), [("401", errors.Unauthorised), ("429", errors.TooMany), ("url-not-found", errors.NotOffered)]
)
def test_faults_have_their_names(
    own_sandbox: Sandbox, razorpay: Razorpay, fault: str, kind: type[errors.RazorpayError]
) -> None:
    own_sandbox.control("razorpay/fault", {"fault": fault, "times": 1})
    with pytest.raises(kind):
        list(razorpay.plans())


def test_what_one_mode_or_key_has_the_other_does_not_know(own_sandbox: Sandbox, razorpay: Razorpay) -> None:
    made = plan(razorpay)
    live = under(own_sandbox, "rzp_live_sandbox0000001", "sandbox-razorpay-live-secret-not-secret")
    with pytest.raises(errors.NotFound):
        live.plan(made.id)
    with pytest.raises(errors.Unauthorised):
        under(own_sandbox, secret="wrong").plan(made.id)


@pytest.mark.slow
def test_the_events_of_a_first_payment_are_kept_once_however_they_come(
    own_site: Callable[..., Site], own_sandbox: Sandbox, razorpay: Razorpay
) -> None:
    site = own_site(worker=False, settings=own_sandbox.razorpay_settings())
    own_sandbox.razorpay_webhooks(f"{site.url}{DOORS[0]}", copies=3, shuffle=True, parallel=8)
    made = subscribe(razorpay, plan(razorpay).id)
    own_sandbox.razorpay_walk(made.id, "authenticate", method="card_domestic")
    sent = own_sandbox.razorpay_events(about=made.id) + own_sandbox.razorpay_events(event="payment.captured")
    assert {event["state"] for event in sent} == {"delivered"}
    rows = kept(site)
    assert {event["id"] for event in sent} <= {row["event_id"] for row in rows}
    assert len(rows) == len({row["event_id"] for row in rows}) == len(own_sandbox.razorpay_events())
    assert {row["account_id"] for row in rows} == {"acc_SandboxTest001"}
    own_sandbox.razorpay_webhooks(signature="wrong")
    own_sandbox.razorpay_walk(made.id, "cancel", by="customer")
    refused = own_sandbox.razorpay_events(event="subscription.cancelled")
    assert [event["attempts"][-1]["status"] for event in refused] == [400]
    assert len(kept(site)) == len(rows)


@pytest.mark.slow
def test_an_event_that_nobody_knows_is_ignored_by_a_running_worker(
    own_site: Callable[..., Site], own_sandbox: Sandbox, razorpay: Razorpay
) -> None:
    site = own_site(settings=own_sandbox.razorpay_settings())
    own_sandbox.razorpay_webhooks(f"{site.url}{DOORS[0]}", events=["invented.*"])
    plan(razorpay)
    body = {"entity": "event", "event": "invented.tomorrow", "account_id": "acc_SandboxTest001", "payload": {"x": 1}}
    own_sandbox.control("razorpay/forge", {"body": body, "event_id": "evt_x"})
    own_sandbox.control("razorpay/settle", {})
    end = time.monotonic() + 20
    while (rows := kept(site, "evt_x")) == [] or rows[0]["state"] == "waiting":
        assert time.monotonic() < end, rows
        time.sleep(0.2)
    assert (rows[0]["state"], rows[0]["attempts"]) == ("ignored", 1)
