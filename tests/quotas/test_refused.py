"""Why was I refused? Each refusal is kept with the figures of its moment, for the account's own and in bounds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from oneai import refused_rows
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances, refused
from quotas.ledger import Book
from quotas.models import RefusedCalls
from quotas.refusals import rate_exceeded, too_many_running
from tests.chat.browser import Browser
from tests.chat.client import Chat
from tests.chat.socket import ChatSocket
from tests.chat.test_keys import new_key
from tests.quotas.using import Purse
from tests.servers.site import Site

MODEL = "openai/gpt-4o-mini"


def lately(chat: Chat) -> list[dict[str, object]]:
    answer = chat.http.get("/api/user/usage/refused")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["next"], body["previous"]) == (None, None)
    found: list[dict[str, object]] = body["results"]
    return found


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user())


def test_a_used_up_quota_is_kept_with_what_it_was_then(live_site: Site, chat: Chat) -> None:
    assert lately(chat) == []
    chat.send("Hello", MODEL, max_tokens=20)
    used = chat.used
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", str(used + 10), "--reason", "test")
    answer = chat.http.post("/api/chat/stream", json={"content": "Hello", "model": MODEL})
    error = answer.json()["error"]
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", "unlimited", "--reason", "test")
    (entry,) = lately(chat)
    assert (entry["code"], entry["scope"], entry["unit"]) == ("quota_exceeded", "*", "tokens")
    assert (entry["limit"], entry["used"], entry["held"], entry["remaining"]) == (used + 10, used, 0, 10)
    assert entry["asked"] == error["details"]["asked"] and int(str(entry["asked"])) > 16
    assert entry["frees_at"] == error["details"]["limit"]["reset_at"]
    assert entry["request_id"] == answer.headers["x-request-id"] == error["request_id"]
    assert (entry["models"], entry["message"], entry["times"]) == ([MODEL], error["message"], 1)


def test_every_door_and_every_reason_is_told(live_site: Site, chat: Chat) -> None:
    live_site.command("set_rates", chat.user.email, "--rpm", "0", "--reason", "test")
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    first = chat.http.post("/v1/chat/completions", json=body)
    with ChatSocket(live_site, {"Authorization": f"Bearer {chat.user.api_key}"}) as socket:
        second = socket.turn(type="send", model=MODEL, content="Hello").error
    assert (first.status_code, second["code"]) == (429, "rate_limited")  # type: ignore[index]
    (entry,) = lately(chat)
    assert (entry["scope"], entry["unit"], entry["limit"]) == ("*", "requests_per_minute", 0)
    assert (entry["asked"], entry["times"]) == (1, 2), "two within a minute are one that counts"
    assert entry["request_id"] == second["request_id"]  # type: ignore[index]
    live_site.command("set_rates", chat.user.email, "--rpm", "unlimited", "--concurrent", "0", "--reason", "test")
    assert chat.send("Hello", MODEL).error["code"] == "too_many_generations"
    running = lately(chat)[0]
    assert (running["unit"], running["limit"], running["used"]) == ("concurrent_generations", 0, 0)
    assert running["frees_at"] is None
    assert [one["code"] for one in lately(chat)] == ["too_many_generations", "rate_limited"]


def test_a_model_outside_of_the_plan_or_the_key_and_a_key_s_budget_are_told(live_site: Site, chat: Chat) -> None:
    keys = Browser(live_site, chat.user)
    listed, poor = new_key(keys, allowed_models=["openai/gpt-4o"]), new_key(keys, limit_tokens=20)
    for key in (listed, poor):
        answer = chat.http.post(
            "/api/chat/stream",
            json={"content": "Hello", "model": MODEL},
            headers={"Authorization": f"Bearer {key['key']}"},
        )
        assert answer.status_code in {403, 429}
    budget, list_of_key = lately(chat)
    assert (budget["code"], budget["scope"]) == ("quota_exceeded", f"key:{poor['id']}")
    assert (budget["limit"], budget["key_id"]) == (20, poor["id"])
    assert (list_of_key["code"], list_of_key["scope"]) == ("model_not_allowed", f"key:{listed['id']}")
    live_site.command("shell", "-v", "0", "-c", ONLY.format(chat.user.email))
    assert chat.send("Hello", MODEL).error["code"] == "model_not_allowed"
    of_plan = lately(chat)[0]
    assert (of_plan["code"], of_plan["scope"], of_plan["unit"]) == ("model_not_allowed", "*", None)


ONLY = """
from django.db import transaction
from accounts.models import User
from quotas import allowances
with transaction.atomic():
    allowances.assign(User.objects.get(email="{}").pk, "one", [], {{}}, ["openai/gpt-4o"], "test")
"""


def test_a_key_without_the_scope_and_another_person_see_nothing_of_it(live_site: Site, chat: Chat) -> None:
    live_site.command("set_rates", chat.user.email, "--rpm", "0", "--reason", "test")
    assert chat.send("Hello", MODEL).status == 429
    assert lately(Chat(live_site, live_site.new_user())) == []
    key = new_key(Browser(live_site, chat.user), scopes=["chat"])
    answer = chat.http.get("/api/user/usage/refused", headers={"Authorization": f"Bearer {key['key']}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


# In bounds ---------------------------------------------------------------------------------------
def entry(at: datetime, scope: str = "*", **more: object) -> refused.Entry:
    limit = {"scope": scope, "unit": "tokens", "limit": 5, "used": 5, "held": 0, "remaining": 0, "reset_at": "x"}
    made = refused.entry_of(Refusal("quota_exceeded", details={"limit": limit, "asked": 9}), at, ["m/m"], None, "r")
    assert made is not None
    return made | more


AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def test_the_same_within_a_minute_is_one_entry_and_the_last_twenty_are_kept() -> None:
    first, soon, later = (entry(AT + timedelta(seconds=after)) for after in (0, 59, 119))
    assert [one["times"] for one in refused.merged([], [first, soon])] == [2]
    kept = refused.merged([], [first, soon, later])
    assert [(one["at"], one["first_at"], one["times"]) for one in kept] == [
        (later["at"], later["at"], 1),
        (soon["at"], first["at"], 2),
    ]
    many: list[refused.Entry] = []
    for number in range(30):
        many = refused.merged(many, [entry(AT + timedelta(minutes=number))])
    assert len(many) == refused.MOST == 20
    assert many[0]["at"] > many[-1]["at"] > entry(AT + timedelta(minutes=9))["at"]
    apart = refused.merged([], [entry(AT, "m/one"), entry(AT, "m/two")])
    assert [one["scope"] for one in apart] == ["m/two", "m/one"]


def test_refusals_of_no_limit_are_not_kept() -> None:
    for code in ("conflict", "context_length_exceeded", "insufficient_scope", "unavailable"):
        assert refused.entry_of(Refusal(code), AT, ["m/m"], None, "r") is None
    full = refused.entry_of(Refusal("platform_limit_reached", details={"reset_at": "soon"}), AT, [], None, "r" * 300)
    assert full is not None
    assert (full["scope"], full["unit"], full["limit"], full["frees_at"]) == ("global", "nano_usd", None, "soon")
    assert len(full["request_id"]) == 200


def test_a_team_s_limit_says_whether_all_members_use_it() -> None:
    limit = {"scope": f"team:{uuid7()}", "unit": "tokens", "limit": 5, "used": 5, "held": 0, "remaining": 0}
    for shared, said in ((True, "your team"), (False, "your share of your team")):
        details = {"limit": limit | {"reset_at": "x", "shared": shared}, "asked": 9}
        made = refused.entry_of(Refusal("quota_exceeded", details=details), AT, ["m/m"], None, "r")
        assert made is not None
        assert made["shared"] is shared
        assert refused_rows._whose(made["scope"], made["shared"]) == said


def test_what_runs_and_what_a_minute_has_left_are_told_and_never_less_than_nothing() -> None:
    for running, left in ((3, 1), (4, 0), (5, 0)):
        made = refused.entry_of(too_many_running(4, running), AT, ["m/m"], None, "r")
        assert made is not None
        assert (made["limit"], made["used"], made["remaining"]) == (4, running, left)
    made = refused.entry_of(rate_exceeded("*", "tokens_per_minute", 100, 30, 7, 50), AT, ["m/m"], None, "r")
    assert made is not None
    assert (made["used"], made["remaining"], made["asked"]) == (70, 30, 50)
    assert made["frees_at"] == "2026-01-31T09:30:07Z"


def test_a_model_that_a_plan_or_a_key_does_not_have_is_told_as_whose_list_it_is() -> None:
    key = uuid7()
    for details, key_id, scope in (
        ({"model": "m/m"}, key, f"key:{key}"),
        ({"model": "m/m"}, None, "*"),
        ({"model": "m/m", "plan": "free"}, key, "*"),
    ):
        made = refused.entry_of(Refusal("model_not_allowed", details=details), AT, ["m/m"], key_id, "r")
        assert made is not None
        assert (made["scope"], made["unit"]) == (scope, None)
        assert made["key_id"] == (None if key_id is None else str(key_id))


def note(user_id: UUID, times: int = 1, at: datetime | None = None) -> list[str]:
    """Note a refusal as a batch does; the statements that it took."""
    notes = refused.Notes(at or now())
    limit = {"scope": "*", "unit": "tokens", "limit": 5, "used": 5, "held": 0, "remaining": 0, "reset_at": "x"}
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        for _ in range(times):
            notes.add(user_id, Refusal("quota_exceeded", details={"limit": limit}), ["m/m"], None, "r")
        notes.write()
    return [query["sql"] for query in captured.captured_queries if "refused_calls" in query["sql"]]


@pytest.mark.django_db
def test_a_flood_of_refusals_writes_little(newcomer: Purse, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(refused.time, "monotonic", lambda: clock[0])
    at = now()
    assert len(note(newcomer.id, 50, at)) == 2, "a batch of fifty is one look and one write"
    wrote = [bool(note(newcomer.id, 1, at)) for _ in range(100)]
    assert wrote == [True] * 9 + [False] * 91, "ten in a row, then none"
    assert refused.latest(newcomer.id)[0]["times"] == 59
    clock[0] += refused.PAUSE_SECONDS
    assert note(newcomer.id, 1, at + timedelta(seconds=6))
    assert not note(newcomer.id, 1, at + timedelta(seconds=6))
    (only,) = refused.latest(newcomer.id)
    assert only["times"] == 59 + 91 + 1, "those between were counted"
    assert RefusedCalls.objects.count() == 1


@pytest.mark.django_db
def test_several_refusals_of_one_batch_are_kept_with_the_last_first(newcomer: Purse) -> None:
    notes = refused.Notes(now())
    for running in (too_many_running(4, 4), rate_exceeded("*", "requests_per_minute", 5, 0, 7), Refusal("conflict")):
        notes.add(newcomer.id, running, ["m/m"], None, "r")
    with transaction.atomic():
        notes.write()
    kept = refused.latest(newcomer.id)
    assert [(one["unit"], one["times"]) for one in kept] == [
        ("requests_per_minute", 1), ("concurrent_generations", 1),
    ]  # fmt: skip


def test_ten_thousand_accounts_are_remembered_and_the_one_seen_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refused.time, "monotonic", lambda: 1000.0)
    shares, one = refused._Shares(), uuid7()
    seen = entry(AT)
    assert [bool(shares.take(one, [seen])) for _ in range(11)] == [True] * 10 + [False]
    for number in range(9_999):
        shares.take(UUID(int=number), [])
    assert shares.take(one, [seen]) == []
    for number in range(9_999, 20_000):
        shares.take(UUID(int=number), [])
    assert shares.take(one, [seen]) == [seen]


@pytest.mark.django_db
def test_another_account_s_flood_costs_nobody_their_own(new_purse: Callable[[], Purse]) -> None:
    greedy, other = new_purse(), new_purse()
    for _ in range(40):
        note(greedy.id)
    assert note(other.id)
    assert [one["times"] for one in refused.latest(other.id)] == [1]


@pytest.mark.django_db
def test_an_admission_reads_and_writes_nothing_of_it(purse: Purse) -> None:
    with CaptureQueriesContext(connection) as captured:
        purse.admit()
    assert not [query for query in captured.captured_queries if "refused" in query["sql"]]


@pytest.mark.django_db
def test_it_goes_with_the_account(newcomer: Purse) -> None:
    note(newcomer.id)
    User.objects.filter(pk=newcomer.id).delete()
    assert not RefusedCalls.objects.exists()


# What was asked ----------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(("unit", "asked"), [("tokens", 116), ("nano_usd", 100 * 150 + 16 * 600)])
def test_a_limit_s_refusal_names_the_least_that_would_have_done(purse: Purse, unit: str, asked: int) -> None:
    limits = {"tokens": None, "nano_usd": None} | {unit: asked - 1}
    with transaction.atomic():
        allowances.set_limit(purse.id, "*", limits, "test", "test")
    with pytest.raises(Refusal) as caught:
        purse.admit(purse.ask(bound=100, cap=1000))
    assert (caught.value.details or {})["asked"] == asked
    with transaction.atomic():
        allowances.set_limit(purse.id, "*", limits | {unit: asked}, "test", "test")
    assert purse.admit(purse.ask(bound=100, cap=1000))[0].max_tokens == 16


@pytest.mark.django_db
def test_a_rate_s_refusal_names_what_was_asked_of_the_minute(purse: Purse) -> None:
    with transaction.atomic():
        allowances.set_rates(purse.id, {"tokens_per_minute": 1200}, "test", "test")
    purse.admit(purse.ask(bound=100, cap=1000))
    with pytest.raises(Refusal) as caught, transaction.atomic():
        Book.open([purse.id]).admit(purse.ask(bound=100, cap=1000, reference=f"generation:{uuid7()}"))
    assert (caught.value.details or {})["asked"] == 116
