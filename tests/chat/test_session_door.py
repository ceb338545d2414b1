"""The chat stream from a browser's session: only with its token, only from our own pages."""

from __future__ import annotations

import httpx
import pytest

from tests.chat.browser import Browser
from tests.servers.site import Site

BODY = {"content": "Hello.", "model": "openai/gpt-4o-mini"}


@pytest.fixture(scope="module")
def signed_in(live_site: Site) -> httpx.Client:
    """A browser's cookies after signing in by the form, and the token of its page."""
    client = Browser(live_site, live_site.new_user("pro")).http
    del client.headers["Origin"]
    return client


def test_with_its_token_and_from_our_page_a_session_may_send(signed_in: httpx.Client, live_site: Site) -> None:
    answer = signed_in.post("/api/chat/stream", json=BODY, headers={"Origin": live_site.url}, timeout=60)
    assert answer.status_code == 200
    assert "event: turn.completed" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRFToken": ""},
        {"X-CSRFToken": "x" * 64},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/api/chat/stream", "/api/chat/stream/0198c0de-0000-7000-8000-000000000000/stop"])
def test_without_the_token_or_from_elsewhere_it_may_not(
    signed_in: httpx.Client, live_site: Site, path: str, headers: dict[str, str]
) -> None:
    sent = {"Origin": live_site.url} | headers
    answer = signed_in.post(path, json=BODY if path.endswith("stream") else {}, headers=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf_failed")


def test_a_session_is_not_read_on_v1(signed_in: httpx.Client) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    assert signed_in.post("/v1/chat/completions", json=body).status_code == 401


def test_every_signed_in_answer_may_not_be_stored(signed_in: httpx.Client) -> None:
    for path in ("/c", "/api/auth/session", "/api/user/quota"):
        answer = signed_in.get(path)
        assert answer.status_code == 200
        assert {"no-store", "private"} <= set(answer.headers["cache-control"].split(", ")), path
