"""Whatever the upstream does: a clear error, the question kept, and the charge that the contract says."""

from __future__ import annotations

import time

import pytest

from tests.chat.client import Chat, Turn, dispatches
from tests.servers.site import Site


@pytest.fixture(scope="module")
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


def settled(chat: Chat, seconds: float = 40) -> int:
    """What is used once nothing is held any more."""
    deadline = time.monotonic() + seconds
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    assert chat.held == 0, "a hold was not settled"
    return chat.used


def question_is_kept(chat: Chat, turn: Turn, content: str) -> None:
    url = f"/api/conversations/{turn.started['conversation_id']}/messages"
    stored = chat.http.get(url).json()["results"]
    assert stored[0]["content"] == content


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("http-401", "upstream_unconfigured"),
        ("http-402", "upstream_unpaid"),
        ("http-403-moderation", "content_refused"),
        ("http-404", "upstream_refused"),
        ("http-408", "upstream_timeout"),
        ("http-413", "upstream_refused"),
        ("http-422", "upstream_refused"),
        ("http-429", "upstream_overloaded"),
        ("http-500", "upstream_error"),
        ("http-502", "upstream_error"),
        ("http-502-raw", "upstream_error"),
        ("http-502-html", "upstream_error"),
        ("http-503", "upstream_overloaded"),
        ("http-524", "upstream_timeout"),
        ("http-529", "upstream_overloaded"),
        ("garbage", "upstream_invalid"),
        ("garbage-html", "upstream_invalid"),
        ("garbage-json", "upstream_invalid"),
        ("error-in-200", "upstream_error"),
        ("midstream-error-first", "upstream_error"),
        ("cut-first", "upstream_interrupted"),
    ],
)
def test_a_failure_before_the_first_token_is_told_by_code_and_is_free(chat: Chat, slug: str, code: str) -> None:
    before = settled(chat)
    turn = chat.send("What now?", f"sandbox/{slug}")
    assert turn.status == 200
    assert turn.closing.name == "message.failed"
    assert turn.closing.data["error"]["code"] == code
    assert turn.text == ""
    assert chat.message(turn)["status"] == "failed"
    question_is_kept(chat, turn, "What now?")
    assert settled(chat) == before


@pytest.mark.parametrize(
    "slug", ["midstream-error", "midstream-error-no-choices", "midstream-error-string-code", "cut"]
)
def test_a_break_after_the_first_token_keeps_the_text_and_charges_what_was_billed(chat: Chat, slug: str) -> None:
    before = settled(chat)
    turn = chat.send("Tell me a story.", f"sandbox/{slug}")
    assert turn.closing.name == "message.failed"
    assert turn.closing.data["error"]["code"] == "upstream_interrupted"
    stored = chat.message(turn)
    assert stored["status"] == "interrupted"
    assert stored["content"] == turn.text != ""
    after = settled(chat)
    billed = dispatches(chat.site)[-1]
    assert billed["model"] == f"sandbox/{slug}"
    assert after - before == billed["usage"]["total_tokens"]


@pytest.mark.parametrize(
    "slug", ["usage-old-shape", "usage-no-cost", "cost-null", "duplicate-usage", "length", "reasoning"]
)
def test_usage_is_charged_to_the_token_whatever_its_form(chat: Chat, slug: str) -> None:
    before = settled(chat)
    turn = chat.send("Tell me more.", f"sandbox/{slug}")
    assert turn.closing.name == "message.completed"
    usage = turn.closing.data["usage"]
    assert usage["estimated"] is False
    assert settled(chat) - before == usage["total_tokens"] == dispatches(chat.site)[-1]["usage"]["total_tokens"]


def test_an_answer_without_usage_is_settled_by_the_generation_record(chat: Chat) -> None:
    before = settled(chat)
    turn = chat.send("Tell me more.", "sandbox/no-usage")
    assert turn.closing.data["usage"]["estimated"] is True
    assert settled(chat) - before == dispatches(chat.site)[-1]["usage"]["total_tokens"]
    assert chat.message(turn)["usage"]["estimated"] is False


def test_an_answer_of_no_tokens_is_free(chat: Chat) -> None:
    before = settled(chat)
    turn = chat.send("Say nothing.", "sandbox/zero-tokens")
    assert turn.text == ""
    assert settled(chat) == before


def test_an_empty_answer_that_was_billed_costs_what_was_billed(chat: Chat) -> None:
    before = settled(chat)
    turn = chat.send("Say nothing.", "sandbox/zero-tokens-stop")
    assert turn.text == ""
    billed = dispatches(chat.site)[-1]["usage"]["total_tokens"]
    assert settled(chat) - before == turn.closing.data["usage"]["total_tokens"] == billed > 0


def test_reasoning_is_streamed_apart_from_the_text_and_kept(chat: Chat) -> None:
    turn = chat.send("Think first.", "sandbox/reasoning")
    reasoning = "".join(event.data["text"] for event in turn.events if event.name == "message.reasoning")
    assert reasoning
    assert reasoning not in turn.text
    again = chat.resume(turn.started["turn_id"])
    assert "".join(event.data["text"] for event in again.events if event.name == "message.reasoning") == reasoning


def test_more_than_was_held_is_charged_and_recorded(chat: Chat) -> None:
    before = settled(chat)
    turn = chat.send("Ignore the cap.", "sandbox/overrun", max_tokens=20)
    assert settled(chat) - before == turn.closing.data["usage"]["total_tokens"] > 20
    assert "0 differences" in chat.site.command("audit_ledger", chat.user.email)


def test_an_unusable_price_is_never_asked(chat: Chat) -> None:
    listed = {model["id"] for model in chat.http.get("/api/chat/models", params={"limit": 100}).json()["results"]}
    assert "openrouter/auto" not in listed
    refused = chat.send("Try.", "openrouter/auto")
    assert refused.error["code"] in {"model_not_usable", "model_not_found"}
