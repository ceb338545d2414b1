"""Webhooks of the imitated Razorpay: signatures, order, repetition, delay, loss, retries, and odd bodies."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.sandbox.razorpay import DAY, WEBHOOK_SECRET, Razorpay, Receiver, wait_for
from tests.servers.sandbox import Sandbox

NEW = "another-webhook-secret-of-the-sandbox"


def test_they_are_signed_on_their_raw_bytes(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.active(notes={"where": "https://example.com/नमस्ते"})
    assert receiver.hooks and all(hook.signed_by() for hook in receiver.hooks)
    assert len(set(receiver.ids)) == len(receiver.ids)
    charged = next(hook for hook in receiver.hooks if hook.name == "subscription.charged")
    assert charged.json["account_id"] == "acc_SandboxTest001" and charged.json["entity"] == "event"
    assert json.dumps(charged.json).encode() != charged.body
    assert json.dumps(charged.json, separators=(",", ":")).encode() != charged.body  # slashes are escaped


def test_their_bodies_have_the_oddities_of_the_service(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    razorpay.walk(key, "halt")
    found = {hook.name: hook.json for hook in receiver.hooks}
    charged = found["subscription.charged"]
    subscription = charged["payload"]["subscription"]["entity"]
    assert charged["contains"] == ["subscription", "payment"]
    assert subscription["short_url"] is None and subscription["type"] == 2 and subscription["notes"] == []
    payment = charged["payload"]["payment"]["entity"]
    assert (payment["captured"], payment["error_code"]) == ("1", "")
    assert found["payment.captured"]["payload"]["payment"]["entity"]["captured"] is True
    assert found["payment.captured"]["payload"]["payment"]["entity"]["error_code"] is None
    activated = found["subscription.activated"]
    assert activated["contains"] == ["subscription"] and "payment" in activated["payload"]
    assert "created_at" not in activated and activated["payload"]["created_at"]
    assert "created_at" not in found["subscription.halted"]
    assert found["invoice.paid"]["contains"] == ["payment", "order", "invoice"]


def test_they_are_snapshots(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"mode": "hold"})
    key = razorpay.active()
    razorpay.walk(key, "cancel")
    razorpay.control("deliver", {"state": "held"})
    states = {hook.name: hook.json["payload"]["subscription"]["entity"]["status"] for hook in receiver.hooks[4:]}
    assert states == {
        "subscription.authenticated": "authenticated",
        "subscription.activated": "active",
        "subscription.charged": "active",
        "subscription.cancelled": "cancelled",
    }


def test_held_ones_go_out_when_and_how_it_is_wanted(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"mode": "hold"})
    razorpay.active()
    ids = [event["id"] for event in razorpay.control("events?state=held&brief=1")["events"]]
    assert len(ids) == 7 and receiver.hooks == []
    sent = razorpay.control("deliver", {"events": ids, "order": "reversed", "copies": 2})
    assert sent == {"sent": 14, "settled": True, "states": {"delivered": 7}}
    assert receiver.ids == (ids * 2)[::-1]
    receiver.take()
    for seed in (1, 2):
        razorpay.control("deliver", {"events": ids, "order": "shuffled", "seed": seed})
    assert sorted(receiver.ids) == sorted(ids * 2) and receiver.ids[:7] != receiver.ids[7:] != ids
    receiver.take()
    razorpay.control("deliver", {"events": ids[:1]})  # an old one after newer ones
    assert receiver.ids == ids[:1]


def test_they_come_twice_with_the_same_id(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"copies": 3, "events": ["subscription.*"]})
    razorpay.active()
    counts = {hook.name: receiver.ids.count(hook.event_id) for hook in receiver.hooks}
    assert {name: count for name, count in counts.items() if count == 3} == {
        f"subscription.{name}": 3 for name in ("authenticated", "activated", "charged")
    }
    assert counts["payment.captured"] == 1


def test_some_are_lost(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"mode": "drop", "events": ["subscription.charged", "invoice.*"]})
    razorpay.active()
    assert "subscription.charged" not in receiver.names and len(receiver.hooks) == 5
    dropped = razorpay.control("events?state=dropped")["events"]
    assert {event["event"] for event in dropped} == {"subscription.charged", "invoice.paid"}
    assert all(event["attempts"] == [] for event in dropped)


def test_they_may_be_late(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"delay_seconds": 0.5})
    asked = time.monotonic()
    razorpay.active()
    wait_for(lambda: len(receiver.hooks) == 7)
    assert min(hook.at for hook in receiver.hooks) - asked >= 0.5


def test_shuffled_and_many_at_once(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"shuffle": True, "parallel": 8})
    orders = []
    for _ in range(4):
        razorpay.active()
        orders.append(tuple(receiver.take()))
    assert len(set(orders)) > 1 and all(sorted(one) == sorted(orders[0]) for one in orders)


@pytest.mark.parametrize(("signature", "good"), [("old", False), ("wrong", False), ("missing", False), ("own", True)])
def test_signatures_can_be_wrong(razorpay: Razorpay, receiver: Receiver, signature: str, good: bool) -> None:
    razorpay.control("webhooks", {"signature": signature})
    razorpay.subscribe()
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    (hook,) = receiver.hooks
    assert hook.signed_by() is good and (hook.signature == "") is (signature == "missing")


def test_after_a_rotation_old_events_keep_the_old_secret(razorpay: Razorpay, receiver: Receiver) -> None:
    receiver.always = 500
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    rotated = razorpay.control("webhooks", {"secret": NEW})
    assert (rotated["secret"], rotated["old_secret"]) == (NEW, WEBHOOK_SECRET)
    receiver.always = 200
    razorpay.advance(minutes=2)
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    assert [hook.signed_by() for hook in receiver.hooks] == [True, True, False]
    assert receiver.hooks[-1].signed_by(NEW)
    last = receiver.hooks[-1].event_id
    razorpay.control("deliver", {"events": [last], "signature": "old"})
    assert receiver.hooks[-1].signed_by()


def test_what_is_no_2xx_comes_again_ever_more_slowly(razorpay: Razorpay, receiver: Receiver) -> None:
    receiver.statuses = [500, 302, 404, 204]
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    for _ in range(20):
        razorpay.advance(minutes=1)
    assert len(receiver.hooks) == 4 and len(set(receiver.ids)) == 1
    (event,) = razorpay.control("events")["events"]
    assert [one["status"] for one in event["attempts"]] == [500, 302, 404, 204] and event["state"] == "delivered"
    gaps = [second["at"] - first["at"] for first, second in pairwise(event["attempts"])]
    assert gaps == [60, 120, 240]


def test_who_takes_too_long_gets_it_again(razorpay: Razorpay, receiver: Receiver) -> None:
    razorpay.control("webhooks", {"timeout_seconds": 0.2})
    receiver.seconds = 0.6
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    (event,) = razorpay.control("events")["events"]
    assert event["state"] == "failed" and event["attempts"][0]["error"] == "TimeoutError"
    receiver.seconds = 0
    razorpay.advance(minutes=1)
    assert len(receiver.hooks) == 2 and razorpay.control("events")["events"][0]["state"] == "delivered"


def test_after_a_day_of_failures_the_webhook_is_disabled(razorpay: Razorpay, receiver: Receiver) -> None:
    receiver.always = 500
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    razorpay.advance(hours=23)
    assert razorpay.control("webhooks")["enabled"] is True
    razorpay.advance(hours=5)
    assert razorpay.control("webhooks")["enabled"] is False
    receiver.take()
    receiver.always = 200
    razorpay.walk(razorpay.subscribe(), "authenticate", ok=False)
    razorpay.advance(seconds=DAY)
    assert receiver.hooks == []
    assert {event["state"] for event in razorpay.control("events")["events"]} == {"abandoned"}
    razorpay.control("webhooks", {"enabled": True})
    razorpay.active()
    assert len(receiver.hooks) == 7


def test_after_a_reset_nothing_old_comes_any_more(razorpay: Razorpay, receiver: Receiver) -> None:
    receiver.always, receiver.seconds = 500, 0.3
    razorpay.control("webhooks", {"delay_seconds": 0.1})
    razorpay.control(f"subscription/{razorpay.subscribe()}/authenticate", {})
    wait_for(lambda: len(receiver.hooks) == 1)  # the first of seven is under way
    razorpay.control("reset", {})
    razorpay.control("webhooks", {"url": receiver.url})
    razorpay.advance(days=3)
    time.sleep(0.4)
    assert len(receiver.hooks) == 1 and razorpay.control("events")["events"] == []


def test_nobody_listens(razorpay: Razorpay) -> None:
    razorpay.active()
    assert {event["state"] for event in razorpay.control("events")["events"]} == {"unsent"}
    razorpay.control("webhooks", {"url": "http://127.0.0.1:9/hook"})
    razorpay.active()
    last = razorpay.control("events?brief=1")["events"][-1]
    assert last["state"] == "failed" and last["attempts"][0]["status"] is None


def test_forged_ones_change_what_they_say_and_are_signed(razorpay: Razorpay, receiver: Receiver) -> None:
    key = razorpay.active()
    (charged,) = razorpay.control(f"events?event=subscription.charged&about={key}")["events"]
    receiver.take()
    razorpay.control(
        "forge", {"like": charged["id"], "changes": {"payload.payment.entity.amount": 1, "account_id": "acc_other"}}
    )
    (forged,) = receiver.hooks
    assert forged.signed_by() and forged.event_id != charged["id"]
    assert forged.json["account_id"] == "acc_other" and forged.json["payload"]["payment"]["entity"]["amount"] == 1
    razorpay.control("forge", {"body": {"event": "something.new", "payload": {}}, "event_id": "chosen"})
    assert (receiver.hooks[-1].name, receiver.hooks[-1].event_id) == ("something.new", "chosen")
    razorpay.control("forge", {"like": charged["id"], "event_id": charged["id"], "signature": "wrong"})
    assert receiver.hooks[-1].event_id == charged["id"] and not receiver.hooks[-1].signed_by()


def test_time_passes_only_once_each_moment_was_told(razorpay: Razorpay, receiver: Receiver) -> None:
    """A slow site sees the events of each month in order, though the year is moved at once."""
    razorpay.control("webhooks", {"events": ["subscription.charged"]})
    receiver.seconds = 0.01
    razorpay.active(total_count=6)
    razorpay.advance(days=400)
    counts = [
        hook.json["payload"]["subscription"]["entity"]["paid_count"]
        for hook in receiver.hooks
        if hook.name == "subscription.charged"
    ]
    times = [hook.json["created_at"] for hook in receiver.hooks if "created_at" in hook.json]
    assert counts == [1, 2, 3, 4, 5, 6] and times == sorted(times) and times[-1] - times[0] > 140 * DAY


def test_the_live_mode_has_a_webhook_of_its_own(razorpay: Razorpay, receiver: Receiver) -> None:
    assert razorpay.control("webhooks?mode=live")["url"] is None
    assert razorpay.control("webhooks")["url"] == receiver.url


def test_a_sandbox_may_be_started_with_a_target(receiver: Receiver, tmp_path: Path) -> None:
    own = Sandbox(tmp_path, razorpay_webhook=receiver.url)
    own.start()
    try:
        own.control("razorpay/reset", {})
        settings = own.razorpay_settings()
        plan = {"period": "monthly", "interval": 1, "item": {"name": "Pro", "amount": 49_900, "currency": "INR"}}
        auth = (settings["RAZORPAY_KEY_ID"], settings["RAZORPAY_KEY_SECRET"])
        with httpx.Client(base_url=settings["RAZORPAY_BASE_URL"], auth=auth) as client:
            made = client.post("/v1/plans", json=plan).json()
            key = client.post("/v1/subscriptions", json={"plan_id": made["id"], "total_count": 3}).json()["id"]
        own.razorpay_walk(key, "authenticate", method="upi")
        own.razorpay_advance(days=32)
        assert receiver.names.count("subscription.charged") == 2
        assert all(hook.signed_by(settings["RAZORPAY_WEBHOOK_SECRET"]) for hook in receiver.hooks)
        assert len(own.razorpay_events(event="subscription.charged", about=key)) == 2
        assert own.razorpay_webhooks(mode="hold")["url"] == receiver.url
        with pytest.raises(AssertionError, match="active"):
            own.razorpay_walk(key, "authenticate")
        assert b"class Razorpay" in httpx.get(settings["RAZORPAY_CHECKOUT_URL"]).content
    finally:
        own.stop()
