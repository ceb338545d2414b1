"""A reader that leaves: noticed, recorded, and billed as the provider's habit is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.wire import Client

LONG = "A long article about tea"
SHORT = "Explain the tides"


def leave_after(box: Client, model: str, size: int, question: str = LONG) -> dict[str, Any]:
    """Reads so many bytes of an answer, leaves, and gives the dispatch once it is settled."""
    wire = box.open(model, question)
    received = b""
    while len(received) < size:
        received += wire.recv(4096)
    wire.close()
    return box.settled()


def test_leaving_stops_the_writing_and_bills_what_was_written(box: Client) -> None:
    box.control("pace", {"pace": "fast"})
    seen = leave_after(box, "openai/gpt-4o-mini", 9000)
    assert seen["cancelled"] and seen["state"] == "cancelled" and seen["disconnected"]
    assert 0 < seen["usage"]["completion_tokens"] < 1500
    record = [box.api(f"/generation?id={seen['generation_id']}") for _ in range(3)]
    assert [status for status, _ in record] == [404, 404, 200]
    data = record[2][1]["data"]
    assert data["cancelled"] is True
    assert data["native_tokens_completion"] == seen["usage"]["completion_tokens"]
    assert data["total_cost"] == Decimal(seen["usage"]["cost"])


@pytest.mark.parametrize("model", ["sandbox/stall", "sandbox/comments-only", "sandbox/slow"])
def test_leaving_is_noticed_while_nothing_is_written(box: Client, model: str) -> None:
    box.control("pace", {"stall_seconds": 60})
    seen = leave_after(box, model, 300)
    assert seen["cancelled"]


def test_leaving_before_the_first_token_costs_nothing(box: Client) -> None:
    box.control("pace", {"stall_seconds": 60})
    seen = leave_after(box, "sandbox/stall-before-first", 50)
    assert seen["cancelled"] and seen["usage"]["cost"] == "0"


def test_a_provider_that_goes_on_bills_to_the_end(box: Client) -> None:
    whole = box.chat("sandbox/ignores-cancel", SHORT).usages[-1]
    box.control("reset", {})
    box.control("pace", {"pace": "fast"})
    seen = leave_after(box, "sandbox/ignores-cancel", 3000, SHORT)
    assert seen["disconnected"] and not seen["cancelled"] and seen["state"] == "completed"
    assert seen["usage"]["completion_tokens"] == whole["completion_tokens"]


def test_a_body_that_is_not_streamed_is_billed_to_the_end(box: Client) -> None:
    wire = box.open("sandbox/stall", stream=False)
    wire.close()
    seen = box.settled()
    assert seen["disconnected"] and not seen["cancelled"]
    assert seen["usage"]["completion_tokens"] > 50


def test_the_record_of_a_finished_answer_is_there_at_once(box: Client) -> None:
    reply = box.chat("openai/gpt-4o-mini")
    status, answer = box.api(f"/generation?id={reply.headers['x-generation-id']}")
    assert status == 200
    assert answer["data"]["native_tokens_completion"] == reply.usages[-1]["completion_tokens"]
    assert answer["data"]["tokens_completion"] != answer["data"]["native_tokens_completion"]
    assert answer["data"]["total_cost"] == reply.usages[-1]["cost"]


def test_the_record_of_a_broken_answer_comes_late(box: Client) -> None:
    name = box.chat("sandbox/cut").headers["x-generation-id"]
    answers = [box.api(f"/generation?id={name}") for _ in range(3)]
    assert [status for status, _ in answers] == [404, 404, 200]
    assert answers[2][1]["data"]["cancelled"] is False
    assert answers[2][1]["data"]["total_cost"] > 0


def test_an_unknown_generation_is_404_and_a_missing_key_401(box: Client) -> None:
    assert box.api("/generation?id=gen-1")[0] == 404
    assert box.api("/generation?id=gen-1", key=None)[0] == 401
