"""Set-based writes of one transaction: nothing is lost by going out together."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from oneai.kit import rows
from oneai.kit.clock import now, uuid7
from quotas.models import PlatformCounter, QuotaCounter

pytestmark = pytest.mark.django_db


def _counter(limit: int) -> rows.Row:
    at = now()
    return {
        "id": uuid7(),
        "user_id": None,
        "model_id": "*",
        "unit": "tokens",
        "period_start": at,
        "reset_at": at,
        "quota_limit": limit,
        "tokens_used": 0,
        "held": 0,
        "overrun": 0,
        "created_at": at,
        "updated_at": at,
    }


def _limits(ids: list[object]) -> list[int]:
    found = {
        row["id"]: row["quota_limit"] for row in rows.select(QuotaCounter, ("id", "quota_limit"), by="id", values=ids)
    }
    return [found[each] for each in ids]


def test_a_row_changed_twice_in_one_group_has_both_changes() -> None:
    row = _counter(1)
    with transaction.atomic(), rows.together():
        rows.insert(QuotaCounter, [row])
        rows.update(QuotaCounter, [{"id": row["id"], "quota_limit": 2}])
        rows.update(QuotaCounter, [{"id": row["id"], "tokens_used": 7}], where="t.quota_limit = 2")
    assert QuotaCounter.objects.values_list("quota_limit", "tokens_used").get(id=row["id"]) == (2, 7)


def test_a_read_in_the_group_sees_what_was_written_before_it() -> None:
    first, second = _counter(1), _counter(2)
    with transaction.atomic(), rows.together():
        rows.insert(QuotaCounter, [first, second])
        assert _limits([first["id"], second["id"]]) == [1, 2]
        rows.update(QuotaCounter, [{"id": second["id"], "quota_limit": 3}])
        assert _limits([first["id"], second["id"]]) == [1, 3]


def test_a_row_that_must_change_and_does_not_undoes_the_whole_group() -> None:
    row = _counter(1)
    with pytest.raises(IntegrityError), transaction.atomic(), rows.together():
        rows.insert(QuotaCounter, [row])
        rows.update(QuotaCounter, [{"id": uuid7(), "quota_limit": 2}], exactly=True)
    assert not QuotaCounter.objects.filter(id=row["id"]).exists()


def test_rows_without_a_key_of_ours_are_written_too() -> None:
    at = now().date()
    shards = [
        {"day": at, "shard": 90 + index, "quota_limit": 5, "used": 0, "held": 0, "overrun": 0} for index in (0, 1)
    ]
    with transaction.atomic(), rows.together():
        rows.insert(PlatformCounter, shards[:1], ignore_conflicts=True)
        rows.insert(PlatformCounter, shards, ignore_conflicts=True)
    assert PlatformCounter.objects.filter(day=at, shard__gte=90).count() == 2


@pytest.mark.postgresql
def test_writes_of_a_group_are_one_statement_on_postgresql() -> None:
    kept, other = _counter(1), _counter(2)
    rows.insert(QuotaCounter, [kept])
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        transaction.atomic(),
        rows.together(),
    ):
        rows.insert(QuotaCounter, [other])
        rows.update(QuotaCounter, [{"id": kept["id"], "quota_limit": 9}], exactly=True)
    assert len([query for query in queries.captured_queries if "usage_quotas" in query["sql"]]) == 1
    assert _limits([kept["id"], other["id"]]) == [9, 2]
