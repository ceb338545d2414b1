"""GET /api/user/usage and its records: exact sums in every grouping, pages, CSV, and who may read them."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import apikeys
from accounts.models import User
from oneai.kit import clock
from oneai.kit.clock import now, uuid7
from quotas import allowances, rollup
from quotas.ledger import Book, Charge, KeyLimits
from quotas.models import LedgerEntry, QuotaAccount, UsageDaily, UsageRecord
from quotas.policy import PLAN_WIDE
from quotas.usage import average, share
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
USAGE, RECORDS = "/api/user/usage", "/api/user/usage/records"
TALKS = [UUID(int=number) for number in (1, 2, 3)]


@pytest.fixture
def member(purse: Purse, client: Client) -> Client:
    client.force_login(purse.user)
    return client


def spend(purse: Purse, tokens: int, nano: int, *, days_ago: float = 0, talk: UUID | None = None, **more: Any) -> None:
    source = more.pop("source", UsageRecord.Source.UPSTREAM_FINAL)
    at = now() - timedelta(days=days_ago)
    (admitted,) = purse.admit(purse.ask(bound=10, cap=10, **more), at=at)
    with transaction.atomic():
        book = Book.open([purse.id], [admitted.hold_id], at)
        book.settle(admitted.hold_id, Charge(tokens, nano, tokens - 1, 1, source, conversation_id=talk))
        book.close()


def begin_long_ago(purse: Purse, days: int = 10) -> None:
    """The running period began ``days`` ago."""
    QuotaAccount.objects.filter(pk=purse.id).update(anchor=now() - timedelta(days=days))


def read(client: Client, path: str = USAGE, **parameters: Any) -> dict[str, Any]:
    answer = client.get(path, {name.rstrip("_"): value for name, value in parameters.items()})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def refusal(client: Client, path: str = USAGE, **parameters: Any) -> tuple[int, str, str]:
    answer = client.get(path, {name.rstrip("_"): value for name, value in parameters.items()})
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


@pytest.fixture
def used(purse: Purse) -> Purse:
    """Five calls of three days, two models, a key, two conversations and none."""
    begin_long_ago(purse)
    key = KeyLimits(apikeys.mint(purse.user, name="=laptop")[0].pk)
    spend(purse, 100, 1000, days_ago=3, talk=TALKS[0])
    spend(purse, 50, 400, days_ago=3, talk=TALKS[1], model_id="maker/dear")
    spend(purse, 30, 7000, days_ago=1, model_id="maker/dear", api_key=key)
    spend(purse, 20, 0, talk=TALKS[0])
    spend(purse, 7, 100, talk=TALKS[0], source=UsageRecord.Source.LOCAL_ESTIMATE)
    return purse


def test_totals_are_exact_and_equal_what_the_quota_says(used: Purse, member: Client) -> None:
    body = read(member)
    assert body["totals"] == {
        "calls": 5, "prompt_tokens": 202, "completion_tokens": 5, "reasoning_tokens": 0, "cached_tokens": 0,
        "total_tokens": 207, "cost_usd": "0.0000085", "average_cost_usd": "0.0000017",
        "cost_per_1k_tokens_usd": "0.000041063", "estimated_calls": 1, "estimated_cost_usd": "0.0000001",
    }  # fmt: skip
    tokens, money = member.get("/api/user/quota").json()["limits"][:2]
    assert (tokens["used"], money["used"]) == (207, 8500)


@pytest.mark.parametrize("group", ["day", "model", "key", "conversation"])
def test_every_grouping_adds_up_to_the_same(used: Purse, member: Client, group: str) -> None:
    body = read(member, group=group)
    for name in ("calls", "prompt_tokens", "completion_tokens", "total_tokens", "estimated_calls"):
        assert sum(row[name] for row in body["results"]) == body["totals"][name]
    assert sum(Decimal(row["cost_usd"]) for row in body["results"]) == Decimal(body["totals"]["cost_usd"])


def test_groups_say_what_they_are_by_with_the_costliest_first(used: Purse, member: Client) -> None:
    models = read(member, group="model")
    assert [(row["model"], row["cost_usd"], row["share"]) for row in models["results"]] == [
        ("maker/dear", "0.0000074", "0.8706"),
        ("maker/model", "0.0000011", "0.1294"),
    ]
    assert models["most_expensive"] == {"model": "maker/dear", "cost_usd": "0.0000074", "share": "0.8706"}
    keys = read(member, group="key")["results"]
    assert [row["key"] and row["key"]["name"] for row in keys] == ["=laptop", None]
    talks = read(member, group="conversation")["results"]
    assert [row["conversation_id"] for row in talks] == [None, str(TALKS[0]), str(TALKS[1])]
    days = read(member)
    today = now().date()
    assert [row["day"] for row in days["results"]] == [str(today - timedelta(days=n)) for n in (3, 1, 0)]
    assert days["timezone"] == "UTC"


def test_a_range_of_days_counts_both_ends_and_nothing_else(used: Purse, member: Client) -> None:
    today = now().date()
    body = read(member, from_=today - timedelta(days=3), to=today - timedelta(days=1))
    assert body["totals"]["total_tokens"] == 180
    assert (body["period"], body["projection"], body["last_period"]) == (None, None, None)
    assert read(member, from_=today - timedelta(days=2))["totals"]["total_tokens"] == 57
    assert read(member, to=today - timedelta(days=2))["totals"]["total_tokens"] == 150
    empty = read(member, from_="2020-01-01", to="2020-12-31")
    assert (empty["results"], empty["most_expensive"]) == ([], None)
    assert (empty["totals"]["calls"], empty["totals"]["average_cost_usd"]) == (0, None)


def test_days_are_those_of_the_persons_zone(used: Purse, member: Client) -> None:
    User.objects.filter(pk=used.id).update(timezone="Pacific/Kiritimati")
    body = read(member)
    assert body["timezone"] == "Pacific/Kiritimati"
    there = (now() + timedelta(hours=14)).date()
    assert body["results"][-1]["day"] == str(there)
    assert body["totals"]["total_tokens"] == 207
    assert used.differences() == []


def test_days_are_counted_anew_once_an_hour_and_the_answer_says_in_which_zone(used: Purse, member: Client) -> None:
    def look(path: str = USAGE) -> tuple[str, int]:
        with CaptureQueriesContext(connection) as captured:
            answer = member.get(path)
        assert answer.status_code == 200
        zone = answer.json().get("timezone", "")
        return zone, sum(bool(re.match("DELETE|INSERT|UPDATE", each["sql"])) for each in captured.captured_queries)

    def move(zone: str) -> None:
        patch = member.patch("/api/user/profile", {"timezone": zone}, content_type="application/json")
        assert patch.status_code == 200

    move("Asia/Kolkata")
    zone, written = look()
    assert (zone, written > 0) == ("Asia/Kolkata", True)
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        move(zone)
        assert look() == ("Asia/Kolkata", 0)
        assert look(RECORDS)[1] == 0
        assert "Days are those of Asia/Kolkata" in member.get("/usage").content.decode()
        assert read(member)["totals"]["total_tokens"] == 207
    spend(used, 3, 3)
    assert used.differences() == []
    with clock.travel(timedelta(hours=1, seconds=1)):
        assert look()[0] == "Pacific/Kiritimati"
        assert look() == ("Pacific/Kiritimati", 0)
        assert read(member)["results"][-1]["day"] == str((now() - timedelta(hours=1) + timedelta(hours=14)).date())
    assert used.differences() == []


def test_the_projection_and_the_last_period(purse: Purse, member: Client) -> None:
    begin_long_ago(purse, days=10)
    start, end = (read(member)["period"][name] for name in ("start", "end"))
    assert start < end
    assert read(member)["last_period"] is None
    spend(purse, 300, 3000, days_ago=38)  # some days into the period before
    spend(purse, 500, 5000, days_ago=11)
    spend(purse, 100, 1000, days_ago=2)
    body = read(member)
    assert body["totals"]["total_tokens"] == 100
    assert 279 <= body["projection"]["total_tokens"] <= 310  # a month has 28 to 31 days
    last = body["last_period"]
    assert (last["totals"]["total_tokens"], last["by_this_day"]["total_tokens"]) == (800, 300)
    begin_long_ago(purse, days=0)
    assert read(member)["projection"] is None


@pytest.mark.parametrize(("days", "key_tokens"), [(20, None), (2, 10**12), (2, 2**62)])
def test_a_pace_that_ends_a_limit_beyond_the_calendar_has_a_page(
    purse: Purse, member: Client, days: int, key_tokens: int | None
) -> None:
    begin_long_ago(purse, days)
    key = KeyLimits(apikeys.mint(purse.user, name="once")[0].pk, key_tokens) if key_tokens else None
    spend(purse, 1, 1000, days_ago=1, api_key=key)
    page = member.get("/usage")
    assert page.status_code == 200
    assert "At this pace used up on" not in page.content.decode()


def test_a_limit_that_ends_before_its_period_says_when(purse: Purse, member: Client) -> None:
    begin_long_ago(purse, 10)
    with transaction.atomic():
        allowances.set_limit(purse.id, PLAN_WIDE, {"tokens": 1000}, "test", "test")
    spend(purse, 600, 1000, days_ago=1)
    assert "At this pace used up on" in member.get("/usage").content.decode()


def test_lists_come_in_pages_that_miss_and_repeat_nothing(purse: Purse, member: Client) -> None:
    begin_long_ago(purse)
    talks = [UUID(int=number) for number in range(1, 8)]
    for number, talk in enumerate(talks):
        spend(purse, 10, 100 * (number // 2), talk=talk)
    seen, path = [], f"{USAGE}?group=conversation&limit=3"
    pages = 0
    while path:
        body = read(member, path)
        seen += [row["conversation_id"] for row in body["results"]]
        assert body["totals"]["calls"] == 7
        path, pages = body["next"], pages + 1
    assert pages == 3
    assert sorted(seen) == sorted(map(str, talks))
    path, seen = f"{RECORDS}?limit=3", []
    while path:
        body = read(member, path)
        seen += [row["id"] for row in body["results"]]
        path = body["next"]
    assert len(seen) == len(set(seen)) == 7


def test_csv_has_every_row_and_no_cell_is_a_formula(used: Purse, member: Client) -> None:
    answer = member.get(USAGE, {"group": "key", "format": "csv", "limit": 1})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="usage-by-key-')
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["key_name"] for row in rows] == ["'=laptop", ""]
    assert sum(int(row["total_tokens"]) for row in rows) == 207
    models = list(csv.reader(io.StringIO(member.get(USAGE, {"group": "model", "format": "csv"}).content.decode())))
    assert models[0][0] == "model"
    assert [row[0] for row in models[1:]] == ["maker/dear", "maker/model"]


def test_a_limit_that_is_none_is_said_of_a_table_too(used: Purse, member: Client) -> None:
    answer = member.get(USAGE, {"format": "csv", "limit": "null"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


def test_csv_of_very_many_conversations_ends_with_what_the_others_come_to(used: Purse, member: Client) -> None:
    part = UsageDaily.objects.filter(user_id=used.id, part="model").first()
    assert part is not None
    rows = [
        UsageDaily(
            user_id=used.id, part="conversation", day=part.day, period_start=part.period_start,
            api_key_id=rollup.NONE, conversation_id=uuid7(), calls=1, tokens=2, nano_usd=10_000,
        )
        for _ in range(10_000)
    ]  # fmt: skip
    UsageDaily.objects.bulk_create(rows, batch_size=1000)
    UsageDaily.objects.filter(pk=part.pk).update(
        calls=F("calls") + 10_000, tokens=F("tokens") + 20_000, nano_usd=F("nano_usd") + 10**8
    )
    answer = member.get(USAGE, {"group": "conversation", "format": "csv"})
    table = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert len(table) == 10_001
    assert {row["cost_usd"] for row in table[:-1]} == {"0.00001"}
    last = table[-1]  # the two conversations, and the calls of none
    assert (last["conversation_id"], last["calls"], last["total_tokens"]) == ("3 more", "5", "207")
    totals = read(member)["totals"]
    assert sum(int(row["total_tokens"]) for row in table) == totals["total_tokens"] == 20_207
    assert sum(Decimal(row["cost_usd"]) for row in table) == Decimal(totals["cost_usd"])


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
        "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)",  # in full width
    ],
)  # fmt: skip
def test_a_model_that_is_named_like_a_formula_is_a_text(purse: Purse, member: Client, text: str) -> None:
    spend(purse, 10, 1, model_id=text)
    answer = member.get(USAGE, {"group": "model", "format": "csv"}).content.decode()
    assert list(csv.reader(io.StringIO(answer, newline="")))[1][0] == f"'{text}"


def test_each_call_names_the_ledger_entries_it_is_made_of(used: Purse, member: Client) -> None:
    records = read(member, RECORDS)["results"]
    assert [row["total_tokens"] for row in records] == [7, 20, 30, 50, 100]
    for row in records:
        entries = LedgerEntry.objects.filter(pk__in=[entry["id"] for entry in row["ledger_entries"]])
        assert {entry.hold_id for entry in entries} == {UUID(row["hold"]["id"])}
        assert sum(entry.used_delta for entry in entries) == row["total_tokens"] + round(
            Decimal(row["cost_usd"]) * 10**9
        )
    assert [row["source"] for row in records[:2]] == ["local_estimate", "upstream_final"]


def test_calls_are_found_by_day_model_key_and_conversation(used: Purse, member: Client) -> None:
    today = now().date()
    key = read(member, group="key")["results"][0]["key"]["id"]
    for parameters, tokens in (
        ({"from_": today}, [7, 20]),
        ({"to": today - timedelta(days=1)}, [30, 50, 100]),
        ({"model": "maker/dear"}, [30, 50]),
        ({"key": key}, [30]),
        ({"conversation": TALKS[1]}, [50]),
        ({"conversation": uuid7()}, []),
    ):
        assert [row["total_tokens"] for row in read(member, RECORDS, **parameters)["results"]] == tokens


@pytest.mark.parametrize("path", [USAGE, RECORDS])
@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"from_": "yesterday"}, "from"), ({"to": "2026-02-30"}, "to"), ({"from_": "2026-1-1"}, "from"),
        ({"from_": "2026-W01-1"}, "from"), ({"to": "2026-W53-7"}, "to"),
        ({"from_": "2026-02-01T00:00:00Z"}, "from"), ({"from_": "2026-02-02", "to": "2026-02-01"}, "from"),
        ({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "cD14"}, "cursor"),
        ({"from_": "٢٠٢٦-٠١-٠١"}, "from"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(
    member: Client, path: str, parameters: dict[str, Any], named: str
) -> None:
    assert refusal(member, path, **parameters) == (400, "invalid_value", named)


@pytest.mark.parametrize(
    "ends", [("0001-01-01", "9999-12-31"), ("9999-12-31", ""), ("", "0001-01-01"), ("9999-12-31", "9999-12-31")]
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_ends_of_the_calendar_are_days_too(member: Client, purse: Purse, ends: tuple[str, str], zone: str) -> None:
    User.objects.filter(pk=purse.id).update(timezone=zone)
    spend(purse, 5, 5)
    for path in (USAGE, RECORDS):
        answer = member.get(path, {"from": ends[0], "to": ends[1]})
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == (ends == ("0001-01-01", "9999-12-31"))


@pytest.mark.parametrize("parameters", [{"group": "week"}, {"format": "xml"}])
def test_an_unknown_grouping_or_form_is_refused(member: Client, parameters: dict[str, str]) -> None:
    assert refusal(member, **parameters) == (400, "invalid_value", next(iter(parameters)))


@pytest.mark.parametrize("parameters", [{"key": "x"}, {"conversation": "1"}])
def test_an_id_that_is_none_is_refused(member: Client, parameters: dict[str, str]) -> None:
    assert refusal(member, RECORDS, **parameters) == (400, "invalid_value", next(iter(parameters)))


@pytest.mark.parametrize("path", [USAGE, RECORDS])
def test_a_stranger_is_asked_to_sign_in_and_a_key_needs_the_scope_usage(
    purse: Purse, client: Client, path: str
) -> None:
    assert client.get(path).status_code == 401
    for scopes, status in ((["usage"], 200), (["chat", "models", "conversations"], 403)):
        key = apikeys.mint(purse.user, scopes=scopes)[1]
        assert client.get(path, headers={"authorization": f"Bearer {key}"}).status_code == status


def test_nobody_sees_the_usage_of_another(used: Purse, client: Client) -> None:
    other = User.objects.create_user("other@example.com")
    client.force_login(other)
    assert read(client)["totals"]["calls"] == 0
    for parameters in ({}, {"conversation": TALKS[0]}, {"model": "maker/dear"}):
        assert read(client, RECORDS, **parameters)["results"] == []


def test_looking_at_an_account_that_never_asked_writes_nothing(client: Client) -> None:
    person = User.objects.create_user("new@example.com", timezone="Asia/Kolkata")
    client.force_login(person)
    assert read(client)["timezone"] == "Asia/Kolkata"
    assert not QuotaAccount.objects.filter(pk=person.pk).exists()


@pytest.mark.parametrize("path", [f"{USAGE}?group=day", f"{USAGE}?group=conversation", RECORDS])
def test_the_number_of_statements_does_not_grow_with_what_was_used(used: Purse, member: Client, path: str) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            read(member, path)
        return len(captured)

    before = statements()
    for number in range(12):
        spend(used, 10, 10, days_ago=number / 3, talk=uuid7())
    assert statements() == before


def test_averages_and_shares_are_rounded_to_the_nearest() -> None:
    assert [average(10, 3), average(11, 3), average(5, 2), average(1, 0)] == [
        "0.000000003", "0.000000004", "0.000000003", None,
    ]  # fmt: skip
    assert [share(1, 3), share(2, 3), share(0, 5), share(5, 5), share(0, 0)] == [
        "0.3333", "0.6667", "0.0000", "1.0000", "0.0000",
    ]  # fmt: skip


def test_an_override_of_the_limit_does_not_move_what_was_used(used: Purse, member: Client) -> None:
    before = read(member)["totals"]
    with transaction.atomic():
        allowances.set_limit(used.id, "maker/dear", {"tokens": 1000}, "test", "test")
    spend(used, 10, 10, model_id="maker/dear")
    after = read(member)["totals"]
    assert after["total_tokens"] == before["total_tokens"] + 10
    assert isinstance(date.fromisoformat(read(member)["from"]), date)


def test_a_day_on_which_a_period_ends_is_in_each_period_with_its_own_part(purse: Purse, member: Client) -> None:
    noon = now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=10)
    QuotaAccount.objects.filter(pk=purse.id).update(anchor=noon)
    for hours, tokens in ((-1, 100), (1, 40)):
        days_ago = (now() - noon - timedelta(hours=hours)) / timedelta(days=1)
        spend(purse, tokens, tokens, days_ago=days_ago)
    body = read(member)
    assert body["totals"]["total_tokens"] == 40 == member.get("/api/user/quota").json()["limits"][0]["used"]
    assert [row["total_tokens"] for row in body["results"]] == [40]
    assert [row["total_tokens"] for row in read(member, RECORDS)["results"]] == [40]
    assert body["last_period"]["totals"]["total_tokens"] == 100
    assert read(member, from_=noon.date(), to=noon.date())["totals"]["total_tokens"] == 140
