"""The rates of the whole platform: off until the owner sets one, then exact over every process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry, Role, User
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import platform_rates
from quotas.ledger import Book
from quotas.models import PlatformRates
from tests.chat.client import Chat
from tests.chat.people import person
from tests.quotas.using import Purse, charge
from tests.servers.site import Site

ROOMY = "google/gemini-2.5-flash"  # may write 65,535 tokens
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
    return own_site(processes=2, worker=False)


def send(chat: Chat) -> httpx.Response:
    with httpx.Client(base_url=str(chat.http.base_url), headers=chat.http.headers, timeout=60) as client:
        body = {"model": "sandbox/hello", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
        return client.post("/v1/chat/completions", json=body)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_tokens_a_minute_are_counted_over_all(site: Site) -> None:
    chats = unlimited(site, 2)
    set_rates(site, tokens_per_minute=60, recent=[])
    statuses = [send(chats[number % 2]).status_code for number in range(8)]
    assert statuses[0] == 200, "what is alone in its minute is let through"
    assert 429 in statuses
    set_rates(site, tokens_per_minute=None, recent=[])


def window(site: Site) -> list[list[int]]:
    said = site.command(
        "shell", "-v", "0", "-c", "from quotas.models import *; print(PlatformRates.objects.get().recent)"
    )
    return list(json.loads(said.strip().splitlines()[-1]))


@pytest.mark.slow
def test_what_an_answer_has_not_used_is_there_for_others_once_it_is_over(site: Site) -> None:
    greedy, other = unlimited(site, 2)
    set_rates(site, tokens_per_minute=100_000, recent=[])
    used = 0
    for _ in range(6):
        used += greedy.send("Hello", ROOMY, max_tokens=39_000).one("message.completed")["usage"]["total_tokens"]
    answer = other.send("And me?", ROOMY, max_tokens=39_000)
    used += answer.one("message.completed")["usage"]["total_tokens"]
    assert sum(entry[2] for entry in window(site)) == used, "what was used counts, not what was held"
    set_rates(site, tokens_per_minute=None, recent=[])


@pytest.mark.slow
def test_what_runs_counts_with_all_it_may_use(site: Site) -> None:
    greedy, other = unlimited(site, 2)
    set_rates(site, tokens_per_minute=10_000, recent=[])
    streams = [greedy.opened("Tell me.", "sandbox/slow", max_tokens=4_000) for _ in range(2)]
    try:
        events = [stream.__enter__()[1] for stream in streams]
        turns = [next(each).data["turn_id"] for each in events]
        refused = other.send("And me?", "sandbox/hello", max_tokens=4_000)
        assert (refused.status, refused.error["details"]["rate"]["name"]) == (429, "tokens_per_minute")
        assert refused.error["details"]["rate"]["scope"] == "global"
        for turn in turns:
            greedy.stop(turn)
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)
        set_rates(site, tokens_per_minute=None, recent=[])


def counted() -> int:
    """The tokens that count against the minute, in whichever of its seconds they were asked for."""
    return sum(entry[2] for entry in PlatformRates.objects.get().recent)


@pytest.fixture
def limited(purse: Purse, monkeypatch: pytest.MonkeyPatch) -> Purse:
    """Somebody whom only the platform's tokens slow down."""
    PlatformRates.objects.update(tokens_per_minute=5000, recent=[])
    monkeypatch.setattr(platform_rates, "_off_until", 0.0)  # seen off by the test before, less than a second ago
    return purse


def test_more_for_a_running_call_is_counted_and_its_end_corrects_both(limited: Purse) -> None:
    ask = limited.ask(bound=100, cap=1000)
    (admitted,) = limited.admit(ask)
    assert limited.extend(admitted, ask, 500) == 500
    assert counted() == 1600
    limited.settle(admitted, 1300)
    assert counted() == 1300


def test_more_after_a_minute_is_counted_in_the_minute_of_its_own(limited: Purse) -> None:
    ask, at = limited.ask(bound=100, cap=1000), now()
    (admitted,) = limited.admit(ask, at=at)
    assert limited.extend(admitted, ask, 500, at=at + timedelta(seconds=70)) == 500
    assert counted() == 500


def test_more_for_a_running_call_is_what_the_minute_has_left(limited: Purse) -> None:
    ask, other = limited.ask(bound=100, cap=1000), limited.ask(bound=100, cap=2900)
    (first,) = limited.admit(ask)
    assert limited.extend(first, ask, 4500) == 4500, "alone in its minute"
    limited.settle(first, 1000)
    (second,) = limited.admit(ask := limited.ask(bound=100, cap=500))
    limited.admit(other)
    assert counted() == 4600
    assert limited.extend(second, ask, 500) == 400
    assert limited.extend(second, ask, 500, 2) == 0
    assert counted() == 5000
    assert limited.differences() == []


def test_a_call_that_is_older_than_the_minute_gets_what_the_others_of_it_leave(limited: Purse) -> None:
    at = now()
    ask = limited.ask(bound=100, cap=4000)
    (old,) = limited.admit(ask, at=at)
    later = at + timedelta(seconds=70)
    limited.admit(limited.ask(bound=100, cap=2900), at=later)
    assert limited.extend(old, ask, 4000, at=later) == 2000
    assert sum(entry[2] for entry in PlatformRates.objects.get().recent if entry[0] > at.timestamp() + 60) == 5000


def test_a_platform_that_lets_no_token_through_grants_none_more(limited: Purse) -> None:
    ask = limited.ask(bound=100, cap=100)
    (admitted,) = limited.admit(ask)
    PlatformRates.objects.update(tokens_per_minute=0)
    assert limited.extend(admitted, ask, 10) == 0


def test_an_end_makes_room_for_what_begins_in_its_batch_and_over_again(limited: Purse) -> None:
    first, second = limited.admit(limited.ask(bound=100, cap=2400), limited.ask(bound=100, cap=2400))
    with transaction.atomic():
        book = Book.open([limited.id], [first.hold_id, second.hold_id])
        with pytest.raises(Refusal):
            book.admit(limited.ask(bound=100, cap=2400))
        book.settle(first.hold_id, charge(200))
        third = book.admit(limited.ask(bound=100, cap=2200))
        book.release(second.hold_id)
        book.close()
    assert counted() == 200 + third.tokens
    limited.settle(third, third.tokens + 40)
    assert counted() == 200 + third.tokens + 40, "what went over counts as well"
    assert limited.differences() == []


def test_the_platforms_row_is_locked_before_the_shards_whatever_a_batch_does(limited: Purse) -> None:
    ask = limited.ask()
    (admitted,) = limited.admit(ask)
    for act in (lambda: limited.extend(admitted, ask, 10), lambda: limited.settle(admitted, 100)):
        with CaptureQueriesContext(connection) as queries:
            act()
        asked = [query["sql"] for query in queries]
        rows = [number for number, sql in enumerate(asked) if "platform_rates" in sql]
        shards = [number for number, sql in enumerate(asked) if "platform_counters" in sql]
        assert rows
        assert shards
        assert rows[1] < shards[0], "looked at, then locked"


def test_what_ends_while_no_rate_is_set_reads_no_row_of_the_platform(
    purse: Purse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_rates, "LOOK_SECONDS", 60.0)
    monkeypatch.setattr(platform_rates, "_off_until", 0.0)
    ask = purse.ask()
    (admitted,) = purse.admit(ask)
    with CaptureQueriesContext(connection) as queries:
        purse.extend(admitted, ask, 10)
        purse.settle(admitted, 100)
    assert not [query for query in queries if "platform_rates" in query["sql"]]


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
