"""A site that was used before there were sums by day has them after `migrate`, and its audit finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.databases import Databases
from tests.servers.site import Site

# Rows as the earlier version wrote them: no moment of admission, no bill, no sums.
BEFORE = """
from datetime import timedelta
from uuid import uuid4
from django.db import connection
from accounts.models import User
from oneai.kit.clock import now
at = now().replace(hour=23, minute=50) - timedelta(days=3)
user = User.objects.create_user("early@example.com")
def put(table, **row):
    with connection.cursor() as cursor:
        values = [each.hex if hasattr(each, "hex") and connection.vendor == "sqlite" else each for each in row.values()]
        cursor.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join(['%s'] * len(row))})", values)
put("quota_accounts", user_id=user.pk, anchor=at, entry_seq=0, chain_head="", in_flight=0, windows="{}", created_at=at)
for number in range(50):
    hold, asked = uuid4(), at + timedelta(minutes=number)
    put("holds", id=hold, user_id=user.pk, reference=f"generation:{number}", state="settled", model_id="maker/model",
        max_tokens=5, tokens=9, nano_usd=9, lines="{}", period_start=at, worker="", heartbeat_at=asked, checks=0,
        created_at=asked)
    put("usage_records", id=uuid4(), hold_id=hold, user_id=user.pk, api_key_id=uuid4() if number % 3 else None,
        reference=f"generation:{number}", conversation_id=None if number % 3 else uuid4(), model_id="maker/model",
        upstream_id="", prompt_tokens=number, completion_tokens=1, reasoning_tokens=0, cached_tokens=0,
        tokens=number + 1, nano_usd=7, source="local_estimate" if number % 2 else "upstream_final", period_start=at,
        at=asked + timedelta(hours=1))
"""
AFTER = """
from django.db.models import Sum
from quotas import rollup
from quotas.models import UsageDaily, UsageRecord
records = UsageRecord.objects.select_related("hold")
assert all(record.asked_at == record.hold.created_at for record in records)
user_id = records[0].user_id
assert rollup.differences(user_id, "UTC", map(vars, records)) == []
rollup.follow_zone(user_id, "Asia/Kathmandu")
assert rollup.differences(user_id, "Asia/Kathmandu", map(vars, records)) == []
print(sorted(UsageDaily.objects.filter(part="model").aggregate(calls=Sum("calls"), tokens=Sum("tokens")).items()))
"""


@pytest.mark.slow
def test_what_was_used_before_is_added_up_by_the_migration(database: Databases, server_logs: Path) -> None:
    site = Site(database.migrated(), server_logs, settings={"OPENROUTER_API_KEY": "sk-or-v1-none"})
    site.manage("migrate", "quotas", "0003", "--verbosity", "0")
    site.manage("shell", "--verbosity", "0", "-c", BEFORE)
    site.manage("migrate", "--verbosity", "0")
    assert site.manage("shell", "--verbosity", "0", "-c", AFTER).strip() == "[('calls', 50), ('tokens', 1275)]"
