"""Answers that end before their end: by the quota, softly; by a stop, to the cent of what the provider bills."""

from __future__ import annotations

import time

import pytest

from tests.chat.client import Chat, dispatches
from tests.servers.site import Site


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


def settled(chat: Chat) -> int:
    deadline = time.monotonic() + 60
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.1)
    assert chat.held == 0
    return chat.used


def leave(chat: Chat, tokens: int) -> None:
    """Set the quota so that so many tokens are left."""
    limit = str(chat.used + tokens)
    chat.site.command("set_quota", chat.user.email, "--model", "*", "--tokens", limit, "--reason", "test")


def test_an_answer_that_fills_what_the_quota_affords_says_so_and_can_go_on(chat: Chat) -> None:
    leave(chat, 130)
    turn = chat.send("Tell me a long story.", "sandbox/long")
    assert turn.closing.name == "message.completed"
    assert turn.closing.data["finish_reason"] == "quota"
    stored = chat.message(turn)
    assert (stored["status"], stored["finish_reason"], stored["content"]) == ("complete", "quota", turn.text)
    assert settled(chat) <= 130
    leave(chat, 100_000)
    with chat.http.stream("POST", f"/api/messages/{turn.message_id}/continue", json={}) as response:
        assert response.status_code == 200, response.read()
        rest = response.read().decode()
    assert "message.completed" in rest


def test_an_answer_cut_by_the_asked_length_is_not_the_quota_s(chat: Chat) -> None:
    turn = chat.send("Tell me a long story.", "sandbox/long", max_tokens=20)
    assert turn.closing.data["finish_reason"] == "length"
    leave(chat, 100_000)
    turn = chat.send("Tell me more.", "sandbox/length")
    assert turn.closing.data["finish_reason"] == "length", "the model's own limit, far below what is left"


def test_v1_calls_the_quota_s_end_a_length(chat: Chat) -> None:
    leave(chat, 130)
    body = {"model": "sandbox/long", "messages": [{"role": "user", "content": "Tell me a long story."}]}
    answer = chat.http.post("/v1/chat/completions", json=body)
    assert answer.json()["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(("slug", "ends"), [("sandbox/slow", "cancelled"), ("sandbox/ignores-cancel", "completed")])
def test_a_stop_cuts_who_stops_and_reads_on_where_the_bill_goes_on(chat: Chat, slug: str, ends: str) -> None:
    with chat.opened("Tell me a long story.", slug, max_tokens=120) as (_, events):
        turn_id = next(events).data["turn_id"]
        for event in events:
            if event.name == "message.delta":
                chat.stop(turn_id)
    used = settled(chat)
    billed = dispatches(chat.site)[-1]
    assert billed["model"] == slug
    assert billed["state"] == ends
    assert (billed["disconnected_at"] is None) is (ends == "completed")
    assert used == billed["usage"]["total_tokens"]


def overrun(chat: Chat) -> int:
    """What was used beyond what was held, in tokens, over all counters of the account."""
    code = (
        "from django.db.models import Sum; from quotas.models import QuotaCounter as C; "
        f"print(C.objects.filter(user__email={chat.user.email!r}, unit='tokens').aggregate(n=Sum('overrun'))['n'])"
    )
    return int(chat.site.command("shell", "-v", "0", "-c", code))


def test_a_hold_grows_with_an_answer_that_runs_past_its_cap(chat: Chat) -> None:
    turn = chat.send("Tell me a story.", "sandbox/runaway", max_tokens=60)
    assert turn.closing.data["finish_reason"] != "quota"
    assert settled(chat) == turn.closing.data["usage"]["total_tokens"] > 5 * 60
    assert overrun(chat) == 0, "every token was held before it was charged"
    assert "0 differences" in chat.site.command("audit_ledger", chat.user.email)


def test_an_answer_that_runs_past_its_cap_ends_softly_where_nothing_is_left(chat: Chat) -> None:
    leave(chat, 200)
    turn = chat.send("Tell me a story.", "sandbox/runaway")
    assert turn.closing.name == "message.completed"
    assert turn.closing.data["finish_reason"] == "quota"
    assert chat.message(turn)["content"] == turn.text != ""
    used = settled(chat)
    billed = dispatches(chat.site)[-1]
    assert billed["state"] == "cancelled", "the upstream was told to stop"
    assert used == billed["usage"]["total_tokens"]
    assert overrun(chat) == max(0, used - 200), "what is over is recorded"
    assert "0 differences" in chat.site.command("audit_ledger", chat.user.email)
