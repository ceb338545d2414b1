"""What somebody prefers holds where a request leaves it open, on every door of section 5, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.claims import Claim
from chat import preferring
from chat.turn_jobs import Start
from tests.chat.browser import Browser
from tests.chat.client import lines_of, read_events
from tests.servers.site import Site

KEPT = {"system": "Be brief.", "max_tokens": 40, "temperature": 0.5, "reasoning_effort": "low"}


def filled(kept: object, **given: Any) -> Start:
    job = Start(claim=Claim(), door="api", worker="w", models=[], **given)
    preferring.fill(job, {"preferences": kept})
    return job


def test_what_is_left_out_is_filled_in_and_what_is_said_stays() -> None:
    job = filled(KEPT)
    assert (job.system, job.max_tokens) == ("Be brief.", 40)
    assert job.params == {"temperature": 0.5, "reasoning_effort": "low"}
    said = filled(KEPT, system="", max_tokens=7, params={"temperature": 0.0})
    assert (said.system, said.max_tokens) == ("", 7)
    assert said.params == {"temperature": 0.0, "reasoning_effort": "low"}


def test_v1_says_all_itself() -> None:
    job = filled(KEPT, messages=[{"role": "user", "content": "x"}])
    assert (job.system, job.max_tokens, job.params) == (None, None, {})


@pytest.mark.parametrize(
    "kept",
    [None, [], {}, {"system": 1, "max_tokens": 0, "temperature": 9, "reasoning_effort": "lots"}, {"max_tokens": True}],
)
def test_odd_contents_count_as_none(kept: object) -> None:
    job = filled(kept)
    assert (job.system, job.max_tokens, job.params) == (None, None, {})


def test_a_chat_begins_as_its_person_prefers(live_site: Site) -> None:
    browser = Browser(live_site, live_site.new_user("pro"))
    wanted = {"default_model": "openai/gpt-4o-mini", "system": "Be brief.", "max_tokens": 40}
    assert browser.http.patch("/api/user/preferences", json=wanted).status_code == 200
    assert browser.http.post("/api/chat/quote", json={"content": "Hello."}).json()["max_tokens"] == 40
    assert browser.http.post("/api/chat/quote", json={"content": "Hello.", "max_tokens": 30}).json()["max_tokens"] == 30
    with browser.http.stream("POST", "/api/chat/stream", json={"content": "Hello."}) as answer:
        events = list(read_events(lines_of(answer)))
    started = events[0].data
    assert started["messages"][0]["model"] == "openai/gpt-4o-mini"
    talk = browser.http.get(f"/api/conversations/{started['conversation_id']}").json()
    assert talk["system"] == "Be brief."
