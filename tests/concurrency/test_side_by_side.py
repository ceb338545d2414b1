"""Side by side is exact: of many pairs at once on a limit of some, two processes admit those and no half of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chat.client import Chat
from tests.servers.site import Site

CONTENT = "Tell me a long story."
PAIR = ["sandbox/stall", "sandbox/slow"]
CAP = 400


def settled(chat: Chat) -> int:
    deadline = time.monotonic() + 40
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    assert chat.held == 0
    return chat.used


def rush(site: Site, pairs: int, sends: int) -> None:
    user = site.new_user("team")
    site.command("set_rates", user.email, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "test")  # fmt: skip
    chat = Chat(site, user)
    with chat.opened(CONTENT, None, models=PAIR, max_tokens=CAP) as (_, events):
        turn_id = next(events).data["turn_id"]
        hold = chat.held
        chat.stop(turn_id)
    used = settled(chat)
    site.command("set_quota", user.email, "--model", "*", "--tokens", str(used + pairs * hold), "--reason", "test")

    def send(_: int) -> tuple[int, str, int]:
        with Chat(site, user).opened(CONTENT, None, models=PAIR, max_tokens=CAP) as (response, events):
            if response.status_code != 200:
                response.read()
                return response.status_code, response.json()["error"]["code"], 0
            started = next(events).data
            return 200, started["turn_id"], len(started["messages"])

    with ThreadPoolExecutor(sends) as pool:
        results = list(pool.map(send, range(sends)))
    admitted = [turn for status, turn, _ in results if status == 200]
    assert len(admitted) == pairs
    assert {count for status, _, count in results if status == 200} == {2}
    assert {code for status, code, _ in results if status != 200} == {"quota_exceeded"}
    assert chat.held == pairs * hold
    conversations = chat.http.get("/api/conversations", params={"limit": 100}).json()["results"]
    assert [talk["message_count"] for talk in conversations] == [3] * (pairs + 1)
    for turn_id in admitted:
        chat.stop(turn_id)
    settled(chat)
    site.command("audit_ledger", user.email)


def test_8_pairs_at_once_on_a_limit_of_three_admit_three(live_site: Site) -> None:
    rush(live_site, pairs=3, sends=8)


@pytest.mark.slow
def test_40_pairs_at_once_on_a_limit_of_eight_admit_eight_in_two_processes(fresh_site: Callable[..., Site]) -> None:
    rush(fresh_site(processes=2, worker=False), pairs=8, sends=40)
