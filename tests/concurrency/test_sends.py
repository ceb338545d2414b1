"""Admission is exact: of 50 sends at once on a limit of ten holds, two processes admit ten."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chat.client import Chat
from tests.servers.site import Site

CONTENT = "Tell me a long story."
CAP = 400

pytestmark = pytest.mark.slow


@pytest.mark.core
def test_50_sends_at_once_on_a_limit_of_ten_holds_admit_exactly_ten(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2, worker=False)
    user = site.new_user("team")
    site.command("set_rates", user.email, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "test")  # fmt: skip
    chat = Chat(site, user)
    with chat.opened(CONTENT, "sandbox/stall", max_tokens=CAP) as (_, events):
        turn_id = next(events).data["turn_id"]
        hold = chat.held
        chat.stop(turn_id)
    used = settled(chat)
    site.command("set_quota", user.email, "--model", "*", "--tokens", str(used + 10 * hold), "--reason", "test")

    def send(_: int) -> tuple[int, str]:
        with Chat(site, user).opened(CONTENT, "sandbox/stall", max_tokens=CAP) as (response, events):
            if response.status_code != 200:
                response.read()
                return response.status_code, response.json()["error"]["code"]
            return 200, next(events).data["turn_id"]

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(send, range(50)))
    admitted = [turn for status, turn in results if status == 200]
    assert len(admitted) == 10
    assert {code for status, code in results if status != 200} == {"quota_exceeded"}
    assert chat.held == 10 * hold
    for turn_id in admitted:
        chat.stop(turn_id)
    settled(chat)
    site.command("audit_ledger", user.email)


def settled(chat: Chat) -> int:
    import time

    deadline = time.monotonic() + 40
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    assert chat.held == 0
    return chat.used
