"""The ledger tells the truth: over many mixed turns it charges what the upstream billed, to the token."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chat.client import Chat, dispatches, records
from tests.servers.site import Site

KINDS = ("complete", "stopped", "cut", "failed")
MODELS = {
    "complete": ("openai/gpt-4o-mini", "sandbox/usage-old-shape", "sandbox/cost-null", "sandbox/reasoning"),
    "stopped": ("sandbox/slow", "sandbox/ignores-cancel"),
    "cut": ("sandbox/cut", "sandbox/midstream-error"),
    "failed": ("sandbox/http-500", "sandbox/http-429", "sandbox/garbage"),
}

pytestmark = pytest.mark.slow


def one_turn(chat: Chat, kind: str, number: int) -> None:
    model = MODELS[kind][number % len(MODELS[kind])]
    with chat.opened(f"Turn {number}, tell me something long.", model) as (response, events):
        assert response.status_code == 200, response.read()
        turn_id = ""
        deltas = 0
        for event in events:
            turn_id = turn_id or event.data["turn_id"]
            deltas += event.name == "message.delta"
            if kind == "stopped" and deltas == 2 + number % 5:
                chat.stop(turn_id)
                kind = "stopping"


def test_over_200_mixed_turns_the_charge_is_the_upstream_s_bill_to_the_token(live_site: Site) -> None:
    chats = [Chat(live_site, live_site.new_user("team")) for _ in range(4)]
    for chat in chats:
        live_site.command("set_rates", chat.user.email, "--rpm", "unlimited", "--tpm", "unlimited", "--reason", "test")
    seen = {dispatch["generation_id"] for dispatch in dispatches(live_site)}
    kinds = [KINDS[number % 4] for number in range(200)]
    random.Random(7).shuffle(kinds)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda pair: one_turn(chats[pair[0] % 4], pair[1], pair[0]), enumerate(kinds)))
    deadline = time.monotonic() + 60
    while any(chat.held for chat in chats) and time.monotonic() < deadline:
        time.sleep(0.3)
    assert [chat.held for chat in chats] == [0, 0, 0, 0]
    mine = [dispatch for dispatch in dispatches(live_site) if dispatch["generation_id"] not in seen]
    # An answer that can't be read has no first token, and so is free whatever its provider bills.
    billed = [dispatch for dispatch in mine if dispatch["model"] != "sandbox/garbage"]
    assert sum(chat.used for chat in chats) == sum(dispatch["usage"]["total_tokens"] for dispatch in billed)
    # Each call has its record and each record its call, refused and failed ones too.
    recorded = records(chats)
    assert {dispatch["metadata"]["call"] for dispatch in mine} == set(recorded)
    assert len(mine) == len(recorded) == 200
    for dispatch in mine:
        upstream_id, tokens = recorded[dispatch["metadata"]["call"]]
        assert upstream_id in {"", dispatch["generation_id"]}
        assert tokens == (0 if dispatch["model"] == "sandbox/garbage" else dispatch["usage"]["total_tokens"])
    for chat in chats:
        live_site.command("audit_ledger", chat.user.email)
