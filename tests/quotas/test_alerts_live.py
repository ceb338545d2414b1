"""The mails about limits, from a chat on a running site to the mailbox of a mail server."""

from __future__ import annotations

import time

import httpx

from tests.chat.client import Chat
from tests.servers.site import Site


def mails(site: Site, address: str) -> list[str]:
    """The subjects of what arrived about limits, the oldest first."""
    found = httpx.get(f"{site.sandbox_url}/_control/mail", params={"to": address}).json()["messages"]
    return [mail["subject"] for mail in reversed(found) if "of your plan" in mail["subject"]]


def arrived(site: Site, address: str, count: int) -> list[str]:
    end = time.monotonic() + 30
    while len(found := mails(site, address)) < count and time.monotonic() < end:
        time.sleep(0.2)
    return found


def test_a_chat_that_uses_up_a_limit_is_told_of_at_80_percent_and_at_the_end_once_each(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user())
    used = chat.send("Say hello.", "sandbox/hello").closing.data["usage"]["total_tokens"]
    limit = used * 6 + 10  # five answers are more than 80 % of it, and after six none fits
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", str(limit), "--reason", "test")
    refused = 0
    for _ in range(12):
        refused += chat.send("Say hello.", "sandbox/hello", max_tokens=used).status == 429
    if limit - chat.used >= 16:  # what was left did not cover the bound of another question: settle the rest
        live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", str(chat.used), "--reason", "test")
    assert refused
    subjects = arrived(live_site, chat.user.email, 2)
    assert subjects == ["80 % of the tokens of your plan are used", "The tokens of your plan are used up"]
    time.sleep(2.5)  # two rounds of the worker
    assert mails(live_site, chat.user.email) == subjects
