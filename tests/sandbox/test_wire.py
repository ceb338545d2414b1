"""Faults of lines, packets and connections, seen on the wire."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from tests.sandbox.wire import Client

USAGE_SLUGS = ("usage-no-cost", "cost-null", "usage-null-details", "usage-string", "no-usage")


def test_comments_come_first(box: Client) -> None:
    before = box.chat("sandbox/comments-first").body.split(b"data: ")[0]
    assert before.count(b": OPENROUTER PROCESSING\n\n") == 4


def test_comments_come_between(box: Client) -> None:
    body = box.chat("sandbox/comments-between").body
    assert body[body.index(b"data: ") :].count(b": OPENROUTER PROCESSING") > 10


def test_every_line_ends_with_cr_lf(box: Client) -> None:
    body = box.chat("sandbox/crlf").body
    assert body.count(b"\n") == body.count(b"\r\n") > 100


def test_every_line_ends_with_cr(box: Client) -> None:
    reply = box.chat("sandbox/cr")
    assert b"\n" not in reply.body and reply.datas[-1] == "[DONE]"


def test_events_are_cut_inside_characters(box: Client) -> None:
    reply = box.chat("sandbox/split-utf8")
    cut = 0
    for write in reply.writes:
        try:
            write.decode()
        except UnicodeDecodeError:
            cut += 1
    assert cut > 20
    assert "漢字かな交じり文 हिन्दी العربية 😀👩‍👩‍👧" in reply.text


def test_several_events_come_in_one_packet(box: Client) -> None:
    reply = box.chat("sandbox/packed")
    assert max(write.count(b"data: ") for write in reply.writes) == 8
    assert reply.datas[-1] == "[DONE]"


def test_one_line_is_longer_than_300_thousand_bytes(box: Client) -> None:
    reply = box.chat("sandbox/long-line")
    assert max(len(data) for data in reply.datas) > 300_000
    assert "tides" in reply.text


def test_a_single_chunk_holds_everything(box: Client) -> None:
    reply = box.chat("sandbox/one-chunk")
    assert sum(bool(c["choices"] and c["choices"][0]["delta"].get("content")) for c in reply.chunks) == 1


def test_unknown_fields_are_everywhere(box: Client) -> None:
    reply = box.chat("sandbox/unknown-fields")
    assert b"\nevent: chunk\n" in reply.body and b"\nfuture: yes\n" in reply.body
    assert all("future" in chunk for chunk in reply.chunks)
    assert reply.finishes == ["stop"]


def test_usage_in_the_old_shape_has_one_empty_choice(box: Client) -> None:
    last = box.chat("sandbox/usage-old-shape").chunks[-1]
    assert last["choices"][0]["delta"]["content"] == "" and last["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", USAGE_SLUGS)
def test_usage_lacks_what_the_slug_says(box: Client, name: str, stream: bool) -> None:
    reply = box.chat(f"sandbox/{name}", stream=stream)
    usages = reply.usages if stream else [reply.json[key] for key in ("usage",) if key in reply.json]
    match name:
        case "no-usage":
            assert usages == []
        case "usage-string":
            assert usages == ["unknown"]
        case "usage-no-cost":
            assert "cost" not in usages[-1]
        case "cost-null":
            assert usages[-1]["cost"] is None
        case "usage-null-details":
            assert usages[-1]["completion_tokens_details"] is None
    assert box.dispatches()[0]["usage"]["completion_tokens"] > 0


def test_usage_comes_twice_and_the_last_is_right(box: Client) -> None:
    early, late = box.chat("sandbox/duplicate-usage").usages
    assert early["completion_tokens"] < late["completion_tokens"]
    assert late["completion_tokens"] == box.dispatches()[0]["usage"]["completion_tokens"]


def test_usage_grows_in_every_chunk(box: Client) -> None:
    counts = [usage["completion_tokens"] for usage in box.chat("sandbox/usage-each").usages]
    assert counts == sorted(counts) and len(counts) > 50
    assert counts[-1] == box.dispatches()[0]["usage"]["completion_tokens"]


def test_cached_prompt_tokens_cost_less(box: Client) -> None:
    cached, plain = box.chat("sandbox/cached").usages[-1], box.chat("sandbox/reasoning").usages[-1]
    assert cached["prompt_tokens_details"]["cached_tokens"] == cached["prompt_tokens"] // 2
    assert (
        cached["cost_details"]["upstream_inference_prompt_cost"]
        < plain["cost_details"]["upstream_inference_prompt_cost"]
    )


@pytest.mark.parametrize(
    ("name", "code", "choices"),
    [
        ("midstream-error", 502, 1),
        ("midstream-error-no-choices", 502, 0),
        ("midstream-error-string-code", "server_error", 1),
        ("midstream-error-first", 502, 1),
    ],
)
def test_an_error_ends_the_stream(box: Client, name: str, code: object, choices: int) -> None:
    reply = box.chat(f"sandbox/{name}")
    last = reply.chunks[-1]
    assert last["error"]["code"] == code and len(last["choices"]) == choices
    assert "[DONE]" not in reply.datas and reply.usages == []
    assert bool(reply.text) == (name != "midstream-error-first")
    seen = box.dispatches()[0]
    assert seen["state"] == "failed"
    assert (seen["usage"]["cost"] == "0") == (name == "midstream-error-first")


def test_an_error_may_be_followed_by_usage(box: Client) -> None:
    reply = box.chat("sandbox/midstream-error-usage")
    assert "error" in reply.chunks[-2] and reply.usages and reply.datas[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_may_hide_in_the_choice(box: Client, stream: bool) -> None:
    reply = box.chat("sandbox/choice-error-in-200", stream=stream)
    choice = (reply.chunks[-1] if stream else reply.json)["choices"][0]
    assert reply.status == 200 and choice["error"]["code"] == 502 and choice["finish_reason"] == "error"


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_may_be_the_whole_body_under_200(box: Client, stream: bool) -> None:
    reply = box.chat("sandbox/error-in-200", stream=stream)
    assert reply.status == 200 and set(reply.json) >= {"error"} and "choices" not in reply.json


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["cut", "reset"])
def test_the_connection_breaks_in_the_middle(box: Client, name: str, stream: bool) -> None:
    reply = box.chat(f"sandbox/{name}", stream=stream)
    assert reply.broken and reply.body
    seen = box.dispatches()[0]
    assert seen["state"] == "interrupted" and not seen["disconnected"] and not seen["cancelled"]


def test_the_connection_breaks_before_the_first_chunk(box: Client) -> None:
    reply = box.chat("sandbox/cut-first")
    assert reply.broken and reply.body == b""
    assert box.dispatches()[0]["usage"]["cost"] == "0"


def test_the_connection_breaks_between_finish_and_usage(box: Client) -> None:
    reply = box.chat("sandbox/cut-after-finish")
    assert reply.broken and reply.finishes == ["stop"] and reply.usages == []


@pytest.mark.parametrize(
    ("name", "finished", "usage", "done"),
    [("ends-early", False, False, False), ("no-done", True, True, False), ("no-finish", False, True, True)],
)
def test_a_stream_lacks_parts_of_its_end(box: Client, name: str, finished: bool, usage: bool, done: bool) -> None:
    reply = box.chat(f"sandbox/{name}")
    assert not reply.broken and reply.text
    assert (bool(reply.finishes), bool(reply.usages), "[DONE]" in reply.datas) == (finished, usage, done)


def test_a_broken_chunk_stands_among_good_ones(box: Client) -> None:
    broken = 0
    for data in box.chat("sandbox/malformed").datas[:-1]:
        try:
            json.loads(data)
        except ValueError:
            broken += 1
    assert broken == 1


@pytest.mark.parametrize("name", ["stall", "stall-before-first", "stall-headers"])
def test_silence_lasts_for_the_stall_time(box: Client, name: str) -> None:
    start = time.monotonic()
    reply = box.chat(f"sandbox/{name}")
    assert time.monotonic() - start >= 0.3
    assert reply.datas[-1] == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["leading-whitespace", "leading-comment"])
def test_something_stands_before_the_body(box: Client, name: str, stream: bool) -> None:
    body = box.chat(f"sandbox/{name}", stream=stream).body
    assert body.startswith(b"\n\n  \n" if name == "leading-whitespace" else b": OPENROUTER PROCESSING\n\n")


def test_garbage_is_neither_events_nor_json(box: Client) -> None:
    reply = box.chat("sandbox/garbage")
    assert reply.status == 200 and reply.datas == []
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(box.chat("sandbox/garbage", stream=False).body)


def test_garbage_may_be_another_kind_of_document(box: Client) -> None:
    assert box.chat("sandbox/garbage-html").headers["content-type"].startswith("text/html")
    assert box.chat("sandbox/garbage-json").json["choices"] == "none"


def test_garbage_may_not_even_be_http(box: Client) -> None:
    with pytest.raises(http.client.BadStatusLine):
        box.chat("sandbox/garbage-http")


@pytest.mark.parametrize(
    ("name", "finish"),
    [("length", "length"), ("content-filter", "content_filter"), ("unknown-finish", "paused")],
)
def test_a_finish_reason_other_than_stop(box: Client, name: str, finish: str) -> None:
    reply = box.chat(f"sandbox/{name}")
    assert reply.finishes == [finish] and reply.text


def test_nothing_generated_and_no_reason_is_free(box: Client) -> None:
    reply = box.chat("sandbox/zero-tokens")
    assert reply.text == "" and reply.finishes == [] and reply.usages[-1]["cost"] == 0


def test_nothing_generated_but_a_reason_bills_the_prompt(box: Client) -> None:
    usage = box.chat("sandbox/zero-tokens-stop").usages[-1]
    assert usage["completion_tokens"] == 0 and usage["cost"] > 0


def test_overrun_writes_and_bills_more_than_the_cap(box: Client) -> None:
    assert box.chat("sandbox/overrun", max_tokens=100).usages[-1]["completion_tokens"] > 149


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nul", "before\x00after"),
        ("line-separators", "one\rtwo\r\nthree\u2028four\u2029five\u0085six\x0bseven\x0ceight"),
        ("emoji", "🧑🏽‍💻"),
        ("lone-surrogate", "\ud83d"),
        ("markup", "<script>alert(1)</script>"),
    ],
)
def test_difficult_text_is_in_the_stream_and_in_the_body(box: Client, name: str, expected: str) -> None:
    assert expected in box.chat(f"sandbox/{name}").text
    # Two halves that stand side by side are one sign to a reader of JSON.
    whole = box.chat(f"sandbox/{name}", stream=False).json["choices"][0]["message"]["content"]
    assert expected in whole or (name == "lone-surrogate" and "\U0001f600" in whole)


def test_bytes_that_are_no_utf8(box: Client) -> None:
    for stream in (True, False):
        with pytest.raises(UnicodeDecodeError):
            box.chat("sandbox/bad-utf8", stream=stream).body.decode()
