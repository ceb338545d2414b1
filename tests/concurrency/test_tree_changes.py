"""A tree that many change at once stays a tree: its count, its parents and what is shown are right."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chat.client import Chat
from tests.servers.site import Site

QUICK = "openai/gpt-4o-mini"


def tree(chat: Chat, conversation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    url: str | None = f"/api/conversations/{conversation_id}/messages?tree=1&limit=100"
    while url:
        page = chat.http.get(url).json()
        found += page["results"]
        url = page["next"]
    return found


def change(site: Site, chat: Chat, conversation_id: str, seed: int, count: int) -> list[int]:
    """Send, answer again, edit, show and delete at random; what each was answered."""
    choose = random.Random(seed)
    mine, statuses = Chat(site, chat.user), []
    for _ in range(count):
        messages = tree(mine, conversation_id)
        target = choose.choice(messages)["id"] if messages else None
        kind = choose.choice(("send", "send", "again", "edit", "show", "delete")) if target else "send"
        if kind == "send":
            statuses.append(mine.send("Go on.", QUICK, conversation_id=conversation_id, max_tokens=3).status)
        elif kind == "again":
            statuses.append(mine.http.post(f"/api/messages/{target}/regenerate", json={"model": QUICK}).status_code)
        elif kind == "edit":
            statuses.append(mine.http.patch(f"/api/messages/{target}", json={"content": "Other."}).status_code)
        elif kind == "show":
            url = f"/api/conversations/{conversation_id}"
            statuses.append(mine.http.patch(url, json={"active_message_id": target}).status_code)
        else:
            statuses.append(mine.http.delete(f"/api/messages/{target}").status_code)
    return statuses


def rush(site: Site, people: int, count: int) -> None:
    user = site.new_user("team")
    site.command("set_rates", user.email, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "test")  # fmt: skip
    chat = Chat(site, user)
    talk = chat.send("Begin.", QUICK, max_tokens=3).started["conversation_id"]
    with ThreadPoolExecutor(people) as pool:
        seeds = range(people)
        told = Counter(
            code for codes in pool.map(lambda seed: change(site, chat, talk, seed, count), seeds) for code in codes
        )
    assert set(told) <= {200, 201, 204, 404, 409}, told
    assert told[200] and told[201] and told[204]
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    messages = {message["id"]: message for message in tree(chat, talk)}
    shown = chat.http.get(f"/api/conversations/{talk}").json()
    assert shown["message_count"] == len(messages)
    assert all(message["parent_message_id"] in {None, *messages} for message in messages.values())
    assert not [message for message in messages.values() if message["status"] == "streaming"]
    assert shown["active_message_id"] in messages or (not messages and shown["active_message_id"] is None)
    site.command("audit_ledger", user.email)


def test_five_at_once_leave_a_tree(live_site: Site) -> None:
    rush(live_site, people=5, count=6)


@pytest.mark.slow
def test_twelve_at_once_in_two_processes_leave_a_tree(fresh_site: Callable[..., Site]) -> None:
    rush(fresh_site(processes=2, worker=False), people=12, count=25)
