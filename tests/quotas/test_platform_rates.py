"""The rates of the whole platform: off until the owner sets one, then exact over every process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from quotas.models import PlatformRates
from tests.chat.client import Chat
from tests.chat.people import person
from tests.servers.site import Site

SET = "from quotas.models import PlatformRates as P; P.objects.filter(id=1).update({})"


def set_rates(site: Site, **rates: int | None) -> None:
    site.command("shell", "-v", "0", "-c", SET.format(", ".join(f"{name}={value}" for name, value in rates.items())))
    time.sleep(1.1)  # a process that has seen them off looks again after a second


def unlimited(site: Site, count: int) -> list[Chat]:
    """People whom no rate of their own stops, each with connections of their own."""
    users = [site.new_user("team") for _ in range(count)]
    for user in users:
        rates = ("--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited")
        site.command("set_rates", user.email, *rates, "--reason", "test")
    return [Chat(site, user) for user in users]


@pytest.fixture(scope="module")
def site(own_site: Callable[..., Site]) -> Site:
    return own_site(processes=2)


def send(chat: Chat) -> httpx.Response:
    with httpx.Client(base_url=str(chat.http.base_url), headers=chat.http.headers, timeout=60) as client:
        body = {"model": "sandbox/hello", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
        return client.post("/v1/chat/completions", json=body)


def test_exactly_so_many_requests_a_minute_pass_whoever_asks_and_wherever(site: Site) -> None:
    chats = unlimited(site, 4)
    set_rates(site, requests_per_minute=23, recent=[])
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: send(chats[number % 4]), range(60)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 23
    assert statuses.count(429) == 60 - 23
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["details"]["rate"]["scope"] == "global"
    assert refused.json()["error"]["details"]["rate"]["name"] == "requests_per_minute"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    set_rates(site, requests_per_minute=None, recent=[])
    assert send(chats[0]).status_code == 200


def test_exactly_so_many_answers_run_at_once(site: Site) -> None:
    chats = unlimited(site, 3)
    set_rates(site, concurrent_generations=5, recent=[])
    open_streams = []
    codes = []
    try:
        for number in range(9):
            chat = chats[number % 3]
            stream = chat.opened("Tell me.", "sandbox/slow", max_tokens=200)
            response, events = stream.__enter__()
            open_streams.append((chat, stream, events))
            codes.append(response.status_code)
        assert codes == [200] * 5 + [429] * 4
        chat, _, events = open_streams[0]
        chat.stop(next(events).data["turn_id"])
        assert any(event.name == "turn.completed" for event in events)
        with chats[1].opened("And now?", "sandbox/hello") as (response, _):
            assert response.status_code == 200, "a place is free as soon as an answer is over"
    finally:
        for _, stream, _ in open_streams:
            stream.__exit__(None, None, None)
        set_rates(site, concurrent_generations=None, recent=[])


def test_tokens_a_minute_are_counted_over_all(site: Site) -> None:
    chats = unlimited(site, 2)
    set_rates(site, tokens_per_minute=60, recent=[])
    statuses = [send(chats[number % 2]).status_code for number in range(8)]
    assert statuses[0] == 200, "what is alone in its minute is let through"
    assert 429 in statuses
    set_rates(site, tokens_per_minute=None, recent=[])


@pytest.mark.django_db
def test_the_owner_sets_them_with_a_reason_and_nobody_else_does() -> None:
    page = "/admin/quotas/platformrates/1/change/"
    for role, allowed in ((Role.OWNER, True), (Role.SUPPORT, False)):
        staff = person(f"{role}-staff")
        User.objects.filter(pk=staff.pk).update(role=role)
        client = Client()
        client.force_login(User.objects.get(pk=staff.pk))
        assert client.post(page, {"requests_per_minute": "600"}).status_code == (200 if allowed else 403)
        assert PlatformRates.objects.get().requests_per_minute is None, "no reason, no change"
        form = {"requests_per_minute": "600", "reason": "a quiet launch", "recent": "[[1,1,1]]"}
        assert client.post(page, form).status_code == (302 if allowed else 403)
        row = PlatformRates.objects.get()
        assert (row.requests_per_minute, row.recent) == ((600, []) if allowed else (None, []))
        PlatformRates.objects.update(requests_per_minute=None)
    entry = AuditEntry.objects.get(action="platform.rates")
    assert entry.reason == "a quiet launch"
    unset = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "concurrent_generations"))
    assert entry.details == {"before": unset, "after": unset | {"requests_per_minute": 600}}
