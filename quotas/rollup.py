"""Usage by day: what the records of an account add up to, kept with every record that is written.

Whoever writes usage records calls ``note`` in the same transaction, so that at each commit the sums
are the records' to the unit. Days are those of the account's own zone. When the person has moved to
another, ``follow_zone`` counts anew from the records, at the next look and not on the way of a call,
and at most once an hour: it reads every record of the account under its lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Min

from accounts import throttles
from oneai.kit import rows
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import holding
from quotas.days import begin_of, day_of
from quotas.models import QuotaAccount, UsageDaily, UsageRecord

NONE: Final = UUID(int=0)
"""Stands for "no key" and "no conversation": what is unique has no nulls."""
ESTIMATES: Final = (UsageRecord.Source.LOCAL_ESTIMATE.value, UsageRecord.Source.HOLD_AMOUNT.value)
KEY: Final = ("user_id", "part", "day", "period_start", "model_id", "api_key_id", "conversation_id")
COUNTED: Final = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "tokens", "nano_usd")
SUMS: Final = ("calls", *COUNTED, "estimated_calls", "estimated_nano_usd")
_DAYS_AT_ONCE: Final = 1000
_ANEW: Final = throttles.Limit("usage-days/account", 1, 3600)
_MODEL, _CONVERSATION = UsageDaily.Part.MODEL.value, UsageDaily.Part.CONVERSATION.value


def lines(records: Iterable[Mapping[str, Any]], zones: Mapping[UUID, str], sign: int = 1) -> list[rows.Row]:
    """The rows that ``records`` add to the sums, each key once; with ``sign`` -1, what they take away."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for record in records:
        user_id = record["user_id"]
        # A call that gave nothing is free, and nothing about it is a guess.
        estimated = record["source"] in ESTIMATES and bool(record["tokens"] or record["nano_usd"])
        amounts = [
            1, *(record[name] for name in COUNTED), int(estimated), record["nano_usd"] if estimated else 0
        ]  # fmt: skip
        day = day_of(record["asked_at"], zones[user_id])
        start = record["period_start"]
        for key in (
            (user_id, _MODEL, day, start, record["model_id"], record["api_key_id"] or NONE, NONE),
            (user_id, _CONVERSATION, day, start, "", NONE, record["conversation_id"] or NONE),
        ):
            sums = found.setdefault(key, [0] * len(SUMS))
            for index, amount in enumerate(amounts):
                sums[index] += sign * amount
    return [dict(zip((*KEY, *SUMS), (*key, *sums), strict=True)) for key, sums in found.items()]


def note(records: Sequence[Mapping[str, Any]], zones: Mapping[UUID, str], sign: int = 1) -> None:
    """Add new usage records to the sums, in one statement. Their accounts must be locked."""
    if records:
        rows.add(UsageDaily, lines(records, zones, sign), key=KEY, sums=SUMS)


def correct(before: Mapping[str, Any], after: Mapping[str, Any], zones: Mapping[UUID, str]) -> None:
    """A record was changed after it was counted: its day gets the difference."""
    note([before], zones, -1)
    note([after], zones)


def follow_zone(user_id: UUID, zone: str) -> str:
    """Have the account's days counted in ``zone``; returns the zone that they are counted in.

    That is still the one before when the days were counted anew less than an hour ago. An account that
    has asked for nothing yet has no days, and its row is made with its first call.
    """
    counted_in = QuotaAccount.objects.filter(pk=user_id).values_list("zone", flat=True).first()
    if counted_in is None or counted_in == zone:
        return zone
    if not throttles.has_room(_ANEW, str(user_id)):
        return counted_in
    with transaction.atomic():
        (account,) = holding.lock_accounts([user_id])
        if account["zone"] == zone:  # somebody else's look came first
            return zone
        try:
            throttles.take(_ANEW, str(user_id))
        except Refusal:
            return str(account["zone"])
        QuotaAccount.objects.filter(pk=user_id).update(zone=zone)
        UsageDaily.objects.filter(user_id=user_id).delete()
        _count(user_id, zone)
    return zone


def _count(user_id: UUID, zone: str) -> None:
    """Add up all of the account's records, by one statement for each part and a thousand days."""
    first = UsageRecord.objects.filter(user_id=user_id).aggregate(at=Min("asked_at"))["at"]
    if first is None:
        return
    day, last = day_of(first, zone), day_of(now() + timedelta(days=1), zone)
    days = [day + timedelta(number) for number in range((last - day).days + 1)]
    for index in range(0, len(days), _DAYS_AT_ONCE):
        spans = [
            (each, begin_of(each, zone), begin_of(each + timedelta(1), zone)) for each in days[index:][:_DAYS_AT_ONCE]
        ]
        _count_days(user_id, spans)


def _count_days(user_id: UUID, spans: Sequence[tuple[date, datetime, datetime]]) -> None:
    this, records = rows.table(UsageDaily), rows.table(UsageRecord)
    if connection.vendor == "postgresql":
        first = "(CAST(%s AS date), CAST(%s AS timestamptz), CAST(%s AS timestamptz))"
        values = ",".join([first, *["(%s,%s,%s)"] * (len(spans) - 1)])
        source = f"(VALUES {values}) AS d(day, begins, ends)"
    else:
        values = ",".join(["(%s,%s,%s)"] * len(spans))
        source = f"(SELECT column1 AS day, column2 AS begins, column3 AS ends FROM (VALUES {values})) AS d"  # noqa: S608
    bounds = [
        value
        for day, begins, ends in spans
        for value in (this.to_db("day", day), records.to_db("asked_at", begins), records.to_db("asked_at", ends))
    ]
    none = this.to_db("api_key_id", NONE)
    estimated = f"u.source IN ({rows.marks(len(ESTIMATES))}) AND (u.tokens > 0 OR u.nano_usd > 0)"
    sums = ",".join(f"SUM(u.{name})" for name in COUNTED)
    for part, group in (
        (_MODEL, "u.model_id, COALESCE(u.api_key_id, %s), %s"),
        (_CONVERSATION, "'', %s, COALESCE(u.conversation_id, %s)"),
    ):
        sql = (
            f"INSERT INTO {this.name} ({','.join((*KEY, *SUMS))}) "  # noqa: S608 (names of ours)
            f"SELECT u.user_id, '{part}', d.day, u.period_start, {group}, COUNT(*), {sums}, "
            f"SUM(CASE WHEN {estimated} THEN 1 ELSE 0 END), SUM(CASE WHEN {estimated} THEN u.nano_usd ELSE 0 END) "
            f"FROM {source} JOIN {records.name} u "
            "ON u.user_id = %s AND u.asked_at >= d.begins AND u.asked_at < d.ends GROUP BY 1, 2, 3, 4, 5, 6, 7"
        )
        params = [none, none, *ESTIMATES, *ESTIMATES, *bounds, records.to_db("user_id", user_id)]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)


def differences(user_id: UUID, zone: str, records: Iterable[Mapping[str, Any]]) -> list[tuple[str, Any, Any]]:
    """(name of the row, stored, counted) wherever the sums are not those of ``records``, all of the account's."""
    names = (*KEY[1:], *SUMS)
    stored = {
        tuple(row[name] for name in KEY[1:]): {name: row[name] for name in SUMS if row[name]}
        for row in UsageDaily.objects.filter(user_id=user_id).values(*names)
    }
    counted = {
        tuple(row[name] for name in KEY[1:]): {name: row[name] for name in SUMS if row[name]}
        for row in lines(records, {user_id: zone})
    }
    found = []
    for key in sorted({*stored, *counted}, key=str):
        was, wanted = stored.get(key, {}), counted.get(key, {})
        if was != wanted:
            found.append((" ".join(map(str, key)), was, wanted))
    return found
