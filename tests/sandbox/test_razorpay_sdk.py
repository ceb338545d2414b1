"""The service's own Python client asks the sandbox: what it understands there, it understands at the service."""

from __future__ import annotations

from typing import Any

import pytest
import razorpay as sdk
from razorpay.errors import BadRequestError, GatewayError, ServerError, SignatureVerificationError

from tests.sandbox.razorpay import DAY, KEY, SECRET, WEBHOOK_SECRET, Razorpay, Receiver, hexed


@pytest.fixture
def client(razorpay: Razorpay) -> Any:
    made = sdk.Client(auth=(KEY, SECRET), base_url=f"{razorpay.box.url}/razorpay")
    yield made
    made.session.close()


def test_it_walks_through_plans_subscriptions_and_invoices(client: Any, razorpay: Razorpay) -> None:
    plan = client.plan.create(
        {"period": "monthly", "interval": 1, "item": {"name": "Pro", "amount": 49_900, "currency": "INR"}}
    )
    assert client.plan.fetch(plan["id"]) == plan and client.plan.all()["count"] == 1
    made = client.subscription.create({"plan_id": plan["id"], "total_count": 12, "quantity": 1, "notes": {"a": "b"}})
    key = made["id"]
    razorpay.walk(key, "authenticate", method="card_international")
    assert client.subscription.fetch(key)["status"] == "active"
    assert client.subscription.all({"plan_id": plan["id"]})["items"][0]["id"] == key
    client.subscription.edit(key, {"quantity": 2, "schedule_change_at": "cycle_end"})
    assert client.subscription.pending_update(key)["quantity"] == 2
    assert client.subscription.cancel_scheduled_changes(key)["has_scheduled_changes"] is False
    addon = client.subscription.createAddon(key, {"item": {"name": "More", "amount": 100, "currency": "INR"}})
    assert client.addon.fetch(addon["id"])["subscription_id"] == key and client.addon.delete(addon["id"]) == []
    assert client.subscription.pause(key, {"pause_at": "now"})["status"] == "paused"
    assert client.subscription.resume(key, {"resume_at": "now"})["status"] == "active"
    (invoice,) = client.invoice.all({"subscription_id": key})["items"]
    assert client.invoice.fetch(invoice["id"])["payment_id"] == invoice["payment_id"]
    assert client.subscription.cancel(key, {"cancel_at_cycle_end": 1})["status"] == "active"
    assert client.subscription.cancel(key, {"cancel_at_cycle_end": 0})["status"] == "cancelled"


def test_it_walks_through_orders_payments_refunds_and_customers(client: Any, razorpay: Razorpay) -> None:
    customer = client.customer.create({"name": "Asha Rao", "email": "asha@example.com", "contact": "9876543210"})
    assert client.customer.edit(customer["id"], {"name": "Asha R."})["name"] == "Asha R."
    order = client.order.create(
        {"amount": 20_000, "currency": "INR", "receipt": "r1", "payment": {"capture": "manual"}}
    )
    paid = razorpay.control(f"order/{order['id']}/pay", {})["payments"][0]
    assert client.payment.capture(paid["id"], 20_000, {"currency": "INR"})["status"] == "captured"
    assert client.order.payments(order["id"])["count"] == 1 and client.order.fetch(order["id"])["status"] == "paid"
    refund = client.payment.refund(paid["id"], {"amount": 500})
    assert client.refund.fetch(refund["id"]) == refund
    assert client.payment.fetch_multiple_refund(paid["id"])["count"] == 1
    assert client.payment.fetch_refund_id(paid["id"], refund["id"]) == refund
    assert client.refund.create({"payment_id": paid["id"], "amount": 700})["amount"] == 700
    link = client.payment_link.create({"amount": 20_000, "currency": "INR"})
    assert client.payment_link.cancel(link["id"])["status"] == "cancelled"
    assert client.payment_link.all()["payment_links"] == [client.payment_link.fetch(link["id"])]
    assert client.payment.all({"count": 100})["count"] == client.refund.all()["count"] - 1 == 1


def test_it_accepts_the_signatures(client: Any, razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.active()
    hook = receiver.hooks[0]
    assert client.utility.verify_webhook_signature(hook.body.decode(), hook.signature, WEBHOOK_SECRET)
    order = {"razorpay_order_id": "order_1", "razorpay_payment_id": "pay_1"}
    assert client.utility.verify_payment_signature(order | {"razorpay_signature": hexed("order_1|pay_1")})
    subscription = {"razorpay_subscription_id": "sub_1", "razorpay_payment_id": "pay_1"}
    signed = subscription | {"razorpay_signature": hexed("pay_1|sub_1")}
    assert client.utility.verify_subscription_payment_signature(signed)
    with pytest.raises(SignatureVerificationError):
        client.utility.verify_payment_signature(order | {"razorpay_signature": hexed("pay_1|order_1")})


def test_it_understands_refusals(client: Any, razorpay: Razorpay) -> None:
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        client.subscription.fetch("sub_00000000000000")
    with pytest.raises(BadRequestError, match="start_at"):
        plan = razorpay.plan()["id"]
        client.subscription.create({"plan_id": plan, "total_count": 1, "start_at": razorpay.advance() - DAY})
    for fault, error in (("500", ServerError), ("504", GatewayError), ("401", BadRequestError)):
        razorpay.control("fault", {"fault": fault})
        with pytest.raises(error):
            client.plan.all()
    stranger = sdk.Client(auth=(KEY, "wrong"), base_url=f"{razorpay.box.url}/razorpay")
    with pytest.raises(BadRequestError, match="Authentication failed"):
        stranger.plan.all()
    stranger.session.close()
