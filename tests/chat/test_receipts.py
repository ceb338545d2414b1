"""The receipt of an answer: right in every figure, and worked out again from the receipt alone."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from chat.models import AIModel, Conversation, Generation, Message, ModelPrice, Turn
from oneai.kit.clock import uuid7
from quotas import allowances, grants
from quotas.ledger import Ask, Book, Charge, Price
from quotas.models import UsageRecord
from tests.chat.client import Chat
from tests.chat.people import Api, conversation, message
from tests.servers.process import ROOT
from tests.servers.site import Site
from tools.check_receipt import expected, faults

Source = UsageRecord.Source


def answer_of(user: User, charge: Charge | None, *, cached_pico: int | None = 75_000, end: bool = True) -> Message:
    """An answer whose call was held for 1,000 tokens and ended with ``charge`` (None: released)."""
    model, _ = AIModel.objects.get_or_create(slug="maker/model", upstream_slug="maker/model", name="Model")
    price = ModelPrice.objects.create(
        model=model, version=model.prices.count() + 1, prompt_pico_usd=150_001, completion_pico_usd=600_001,
        cached_pico_usd=cached_pico, request_nano_usd=11,
    )  # fmt: skip
    talk: Conversation = conversation(user)
    question = message(talk, "Why?")
    generation_id = uuid7()
    pinned = Price(price.pk, price.prompt_pico_usd, price.completion_pico_usd, price.request_nano_usd, cached_pico)
    with transaction.atomic():
        book = Book.open([user.pk])
        admitted = book.admit(
            Ask(user.pk, f"generation:{generation_id}", "maker/model", 600, 400, 400, pinned)
        )  # fmt: skip
        book.close()
    if end:
        with transaction.atomic():
            book = Book.open([user.pk], [admitted.hold_id])
            assert book.settle(admitted.hold_id, charge) if charge else book.release(admitted.hold_id)
            book.close()
    turn = Turn.objects.create(user=user, conversation=talk, door="api")
    answer = message(talk, "Because.", question, role="assistant", generation_id=generation_id, model_id="maker/model")
    Generation.objects.create(
        id=generation_id, turn=turn, user=user, message_id=answer.pk, model_id="maker/model",
        hold_id=admitted.hold_id, price_id=price.pk,
    )  # fmt: skip
    return answer


def get(api: Api, answer: Message) -> dict[str, Any]:
    response = api.get(f"/api/messages/{answer.pk}/receipt")
    assert response.status_code == 200, response.content
    return dict(response.json())


def priced(prompt: int, completion: int, cached: int) -> int:
    """Nano-USD at the price of ``answer_of``, each line rounded up."""
    lines = ((prompt - cached) * 150_001, cached * 75_000, completion * 600_001)
    return sum(-(-line // 1000) for line in lines) + 11


CHARGES = {
    "upstream_final, billed": Charge(
        77, 41_501, 70, 7, Source.UPSTREAM_FINAL, 3, 20, "gen-1", billed_usd="0.00004150001"
    ),
    "upstream_final, at our price": Charge(77, priced(70, 7, 20), 70, 7, Source.UPSTREAM_FINAL, 3, 20),
    "generation_api, billed": Charge(77, 0, 70, 7, Source.GENERATION_API, billed_usd="0"),
    "generation_api, at our price": Charge(77, priced(70, 7, 0), 70, 7, Source.GENERATION_API),
    "generation_api, more than was held": Charge(1500, priced(70, 1430, 0), 70, 1430, Source.GENERATION_API),
    "local_estimate": Charge(77, priced(70, 7, 0), 70, 7, Source.LOCAL_ESTIMATE),
    "hold_amount": Charge(1000, priced(600, 400, 0) + 1, 600, 400, Source.HOLD_AMOUNT),
}


@pytest.mark.django_db
@pytest.mark.parametrize("charge", CHARGES.values(), ids=CHARGES)
def test_the_charge_comes_out_of_the_receipt_alone_whatever_it_follows(
    alice: User, as_alice: Api, charge: Charge
) -> None:
    receipt = get(as_alice, answer_of(alice, charge))
    assert receipt["state"] == "settled"
    assert faults(receipt) == []
    assert expected(receipt) == (charge.tokens, charge.nano_usd)
    assert receipt["charge"]["source"] == charge.source.value
    assert receipt["usage"]["cached_tokens"] == charge.cached_tokens
    assert receipt["price"]["version"] == 1
    assert receipt["charge"]["overrun_tokens"] == max(0, charge.tokens - 1000)


@pytest.mark.django_db
def test_an_estimate_is_cut_at_the_hold_in_the_receipt_too(alice: User, as_alice: Api) -> None:
    held = answer_of(alice, Charge(1000, 331_000, 900, 400, Source.LOCAL_ESTIMATE))
    receipt = get(as_alice, held)
    assert receipt["hold"]["tokens"] == 1000
    assert expected(receipt) == (1000, min(priced(900, 400, 0), receipt["hold"]["nano_usd"]))


@pytest.mark.django_db
def test_without_a_price_for_cached_tokens_they_cost_as_any_other(alice: User, as_alice: Api) -> None:
    nano = -(-70 * 150_001 // 1000) - (-7 * 600_001 // 1000) + 11
    receipt = get(as_alice, answer_of(alice, Charge(77, nano, 70, 7, Source.UPSTREAM_FINAL, 0, 20), cached_pico=None))
    assert receipt["price"]["cached_pico_usd"] is None
    assert faults(receipt) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "change"),
    [
        (("charge", "tokens"), 1), (("charge", "nano_usd"), 1), (("usage", "completion_tokens"), 1),
        (("usage", "cached_tokens"), 1), (("price", "prompt_pico_usd"), 100), (("price", "request_nano_usd"), 1),
        (("limits", 0, "balance_after"), 1), (("limits", 0, "charged"), 1), (("ledger_entries", -1, "used"), 1),
    ],
)  # fmt: skip
def test_a_figure_that_was_changed_does_not_come_out(
    alice: User, as_alice: Api, path: tuple[str | int, ...], change: int
) -> None:
    receipt = get(as_alice, answer_of(alice, CHARGES["upstream_final, at our price"]))
    changed: Any = copy.deepcopy(receipt)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] += change
    assert faults(receipt) == []
    assert faults(changed) != []


@pytest.mark.django_db
def test_balances_follow_the_ledger_from_answer_to_answer(alice: User, as_alice: Api) -> None:
    allowances.set_limit(alice.pk, "*", {"tokens": 9000, "nano_usd": 10**9}, "test", "test")
    answers = [answer_of(alice, charge) for charge in list(CHARGES.values())[:4]]
    with transaction.atomic():
        allowances.set_limit(alice.pk, "*", {"tokens": 20_000, "nano_usd": 10**9}, "test", "test")
    answers += [answer_of(alice, charge) for charge in list(CHARGES.values())[4:]]
    left, limit, nano = 9000, 9000, 10**9
    for number, (answer, charge) in enumerate(zip(answers, CHARGES.values(), strict=True)):
        if number == 4:
            left, limit = left + 11_000, 20_000
        tokens, money = get(as_alice, answer)["limits"]
        assert (tokens["scope"], tokens["unit"], tokens["limit"]) == ("*", "tokens", limit)
        assert (tokens["balance_before"], tokens["balance_after"]) == (left, left - charge.tokens)
        assert (money["balance_before"], money["balance_after"]) == (nano, nano - charge.nano_usd)
        left, nano = left - charge.tokens, nano - charge.nano_usd


@pytest.mark.django_db
def test_what_a_top_up_paid_is_on_the_receipt(alice: User, as_alice: Api) -> None:
    allowances.set_limit(alice.pk, "*", {"tokens": 40}, "test", "test")
    with transaction.atomic():
        grants.grant(alice.pk, "pay:one", {"tokens": 5000})
    receipt = get(as_alice, answer_of(alice, CHARGES["local_estimate"]))
    plan, top_up = receipt["limits"][:2]
    assert [(each["top_up"], each["charged"]) for each in (plan, top_up)] == [(False, 40), (True, 37)]
    assert (top_up["balance_before"], top_up["balance_after"]) == (5000, 4963)
    assert faults(receipt) == []
    plan["charged"] += 1
    assert faults(receipt) != []


@pytest.mark.django_db
def test_what_other_answers_hold_is_not_taken_off_the_balance(alice: User, as_alice: Api) -> None:
    answer_of(alice, None, end=False)
    receipt = get(as_alice, answer_of(alice, CHARGES["local_estimate"]))
    assert receipt["limits"][0]["balance_before"] == receipt["limits"][0]["limit"]


@pytest.mark.django_db
def test_an_answer_that_was_free_and_one_that_still_runs_say_so(alice: User, as_alice: Api) -> None:
    free = get(as_alice, answer_of(alice, None))
    assert (free["state"], free["charge"], free["usage"]) == ("free", None, None)
    assert [entry["kind"] for entry in free["ledger_entries"] if entry["unit"] == "tokens"] == ["hold", "release"]
    assert all(limit["charged"] == 0 for limit in free["limits"])
    gave_nothing = get(as_alice, answer_of(alice, Charge(0, 0, 0, 0, Source.LOCAL_ESTIMATE)))
    assert (gave_nothing["state"], gave_nothing["charge"]) == ("free", None)
    assert faults(gave_nothing) == []
    running = get(as_alice, answer_of(alice, None, end=False))
    assert (running["state"], running["charge"]) == ("running", None)
    assert faults(free) == faults(running) == []


@pytest.mark.django_db
def test_only_the_owner_of_an_answer_has_its_receipt(alice: User, as_alice: Api, as_bob: Api) -> None:
    answer = answer_of(alice, CHARGES["local_estimate"])
    assert get(as_alice, answer)["message_id"] == str(answer.pk)
    foreign, unknown = (as_bob.get(f"/api/messages/{id}/receipt") for id in (answer.pk, uuid7()))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["error"]["code"] == unknown.json()["error"]["code"] == "not_found"
    assert as_alice.get(f"/api/messages/{answer.parent_message_id}/receipt").status_code == 404
    assert as_alice.post(f"/api/messages/{answer.pk}/receipt").status_code == 405


# Against a running site ------------------------------------------------------------------------------
SCENARIOS = {
    "openai/gpt-4o-mini": ("upstream_final", "billed"),
    "sandbox/usage-no-cost": ("upstream_final", "priced"),
    "sandbox/cached": ("upstream_final", "billed"),
    "openai/o4-mini": ("upstream_final", "billed"),
    "x-ai/grok-4-fast": ("upstream_final", "billed"),
    "sandbox/overrun": ("upstream_final", "billed"),
    "sandbox/no-usage": ("generation_api", "billed"),
    "sandbox/http-500": (None, None),
}


def settled(chat: Chat) -> None:
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.1)
    assert chat.held == 0


def test_receipts_of_a_running_site_come_out_and_add_up_to_the_usage_and_the_quota(
    live_site: Site, tmp_path: Path
) -> None:
    chat = Chat(live_site, live_site.new_user("pro"))
    turns = {model: chat.send("Say a few words.", model, max_tokens=64) for model in SCENARIOS}
    settled(chat)
    receipts = {
        model: chat.http.get(f"/api/messages/{turn.message_id}/receipt").json() for model, turn in turns.items()
    }
    for model, (source, basis) in SCENARIOS.items():
        charge = receipts[model]["charge"] or {"source": None, "basis": None}
        assert (charge["source"], charge["basis"]) == (source, basis), model
        shown = chat.message(turns[model])["usage"]
        if charge["source"]:
            assert shown["cost_usd"] == charge["cost_usd"]
            assert shown["total_tokens"] == charge["tokens"]
    assert receipts["sandbox/cached"]["usage"]["cached_tokens"] > 0
    past = receipts["sandbox/overrun"]
    assert past["usage"]["completion_tokens"] > 64
    # How much of it was held in time depends on how fast it came.
    assert past["charge"]["overrun_tokens"] == max(0, past["charge"]["tokens"] - past["hold"]["tokens"])

    exported = tmp_path / "receipts.json"
    exported.write_text(json.dumps(list(receipts.values())))
    command = [sys.executable, "tools/check_receipt.py", str(exported)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    exported.write_text(exported.read_text().replace('"tokens": ', '"tokens": 1'))
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).returncode == 1

    usage = chat.http.get("/api/user/usage?group=model&limit=100").json()
    charges = [receipt["charge"] for receipt in receipts.values() if receipt["charge"]]
    assert usage["totals"]["total_tokens"] == sum(charge["tokens"] for charge in charges) == chat.used
    assert usage["totals"]["calls"] == len(receipts)  # one of them was free
    assert usage["totals"]["estimated_calls"] == 0
    assert {row["model"]: row["cost_usd"] for row in usage["results"]} == {
        receipt["model"]: receipt["charge"]["cost_usd"] if receipt["charge"] else "0" for receipt in receipts.values()
    }
    records = chat.http.get("/api/user/usage/records").json()["results"]
    for record in records:
        receipt = next(each for each in receipts.values() if each["hold"]["id"] == record["hold"]["id"])
        assert record["cost_usd"] == (receipt["charge"] or {"cost_usd": "0"})["cost_usd"]
        assert [entry["seq"] for entry in record["ledger_entries"]] == [
            entry["seq"] for entry in receipt["ledger_entries"]
        ]
    live_site.command("audit_ledger", chat.user.email)
