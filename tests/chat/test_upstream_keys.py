"""Our keys at the upstream: changed without a restart, watched, and their owner told once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from chat.models import UpstreamKey
from chat.upstream_keys import read
from tests.chat.client import Chat, dispatches
from tests.servers.site import Site

STATES = """
from chat.models import UpstreamKey
for key in UpstreamKey.objects.order_by("created_at"):
    print(key.name, key.state, key.is_configured)
"""


def states(site: Site) -> list[str]:
    return site.command("shell", "-v", "0", "-c", STATES).splitlines()


def watch(site: Site) -> None:
    """Look at every key now, due or not."""
    code = "from chat import upstream_keys; from chat.models import UpstreamKey; from oneai.kit.clock import now; "
    site.command("shell", "-v", "0", "-c", code + "UpstreamKey.objects.update(due_at=now()); upstream_keys.watch()")


def mails(site: Site, about: str) -> list[str]:
    code = f"from accounts.models import OutgoingMail as M; print(*M.objects.filter(subject__contains={about!r})"
    return site.command("shell", "-v", "0", "-c", code + ".values_list('to', flat=True), sep='\\n')").split()


@pytest.mark.slow
def test_a_new_key_in_its_file_is_used_without_a_restart(own_site: Callable[..., Site], tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-or-first-revoked")
    settings = {"OPENROUTER_API_KEY": "", "OPENROUTER_API_KEY_FILE": str(file), "DEBUG": "1"}
    site = own_site(worker=False, settings=settings)
    owner = site.new_user("team")
    site.command("create_user", "keeper@example.com", "--role", "owner", "--verified", "--password", "a long battery 1")
    chat = Chat(site, owner)
    assert chat.send("Hello", "sandbox/hello").closing.data["error"]["code"] == "upstream_unconfigured"
    deadline = time.monotonic() + 20
    while not mails(site, "a key at openrouter") and time.monotonic() < deadline:
        time.sleep(0.5)
    chat.send("Hello", "sandbox/hello")
    file.write_text("sk-or-second, sk-or-third")
    deadline = time.monotonic() + 30
    while chat.send("Hello", "sandbox/hello").closing.name == "message.failed":
        assert time.monotonic() < deadline, "the new key is not used"
        time.sleep(0.5)
    watch(site)
    assert sorted(state.split()[1:] for state in states(site)) == [
        ["good", "True"],
        ["good", "True"],
        ["refused", "False"],
    ]
    assert len(mails(site, "a key at openrouter")) == 1, "told once, however many calls were refused"


@pytest.mark.slow
def test_the_owner_is_told_when_little_is_left_and_again_only_after_it_was_better(
    own_site: Callable[..., Site],
) -> None:
    site = own_site(worker=False, pace="fast")
    site.command("create_user", "keeper@example.com", "--role", "owner", "--verified", "--password", "a long battery 1")
    control = f"{site.sandbox_url}/_control/key"
    for left, state, told in ((90, "good", 0), (4.5, "low", 1), (4.0, "low", 1), (90, "good", 1), (1, "low", 2)):
        httpx.post(control, json={"limit": 100, "limit_remaining": left}).raise_for_status()
        watch(site)
        assert [line.split()[-2] for line in states(site)] == [state]
        assert len(mails(site, "a key at openrouter")) == told
    httpx.post(control, json={"limit": None, "limit_remaining": None}).raise_for_status()


@pytest.mark.parametrize(
    "answer",
    [None, [], {"data": None}, {"data": {"limit": "x", "limit_remaining": True, "label": 7, "usage": float("nan")}}],
)
def test_whatever_the_upstream_says_is_read_without_a_fault(answer: object) -> None:
    assert read(answer).state == UpstreamKey.State.GOOD


def test_an_overdrawn_key_has_nothing_left() -> None:
    look = read({"data": {"limit": 10, "limit_remaining": -0.25, "usage": 10.25, "usage_daily": 0.5, "label": "sk-…"}})
    assert (look.state, look.remaining, look.used, look.used_today) == ("low", 0, 10_250_000_000, 500_000_000)


@pytest.mark.slow
def test_no_key_is_in_the_database_or_the_log(own_site: Callable[..., Site]) -> None:
    secret = "sk-or-canary-5e83b1c0"
    site = own_site(worker=False, settings={"OPENROUTER_API_KEY": f"{secret},sk-or-revoked-canary"})
    chat = Chat(site, site.new_user("team"))
    for _ in range(4):
        chat.send("Hello", "sandbox/hello")
    watch(site)
    assert len(dispatches(site)) >= 4
    dump = site.command("dumpdata", "chat", "accounts", "quotas")
    for canary in (secret, "sk-or-revoked-canary"):
        assert canary not in dump
        assert canary not in site.log()


@pytest.mark.slow
def test_an_answer_is_settled_by_its_bill_whichever_key_it_came_by(own_site: Callable[..., Site]) -> None:
    site = own_site(worker=False, settings={"OPENROUTER_API_KEY": "sk-or-revoked-first,sk-or-good-second"})
    chat = Chat(site, site.new_user("team"))
    chat.send("Hello", "sandbox/hello")
    before = chat.used
    with chat.opened("Tell me.", "sandbox/slow", max_tokens=60) as (_, events):
        turn_id = next(events).data["turn_id"]
        for event in events:
            if event.name == "message.delta":
                chat.stop(turn_id)
    deadline = time.monotonic() + 30
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.2)
    assert chat.held == 0
    assert chat.used - before == dispatches(site)[-1]["usage"]["total_tokens"]
