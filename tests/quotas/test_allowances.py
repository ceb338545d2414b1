"""Plans, overrides and periods: what is in force when, and what a change does to what was used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from oneai.kit import clock
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import allowances, grants
from quotas.ledger import Ask, KeyLimits
from quotas.models import Grant, LedgerEntry, QuotaCounter
from quotas.reading import standing, statement
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
BIG = [{"scope": "*", "unit": "tokens", "limit": 2_000_000}, {"scope": "*", "unit": "nano_usd", "limit": 4 * 10**9}]


def limit_of(purse: Purse, scope: str = "*", unit: str = "tokens", at: datetime | None = None) -> int | None:
    (found,) = [each for each in standing(purse.id, at).limits if (each.scope, each.unit) == (scope, unit)]
    return found.limit


def test_a_person_begins_with_the_default_allowance(newcomer: Purse) -> None:
    shown = statement(newcomer.id)
    assert shown["plan"] == "free"
    assert [(each["unit"], each["limit"], each["remaining"]) for each in shown["limits"]] == [
        ("tokens", 50_000, 50_000),
        ("nano_usd", 250_000_000, 250_000_000),
    ]
    assert shown["rates"] == {"requests_per_minute": 20, "tokens_per_minute": 40_000, "concurrent_generations": 4}


def test_four_answers_run_at_once_on_the_free_plan(newcomer: Purse) -> None:
    made = [newcomer.admit(newcomer.ask(cap=100))[0] for _ in range(4)]
    with pytest.raises(Refusal) as caught:
        newcomer.admit()
    assert caught.value.code == "too_many_generations"
    newcomer.release(made[0])
    newcomer.admit()


def test_the_twenty_first_request_of_a_minute_waits(newcomer: Purse) -> None:
    at = now()
    for _ in range(20):
        newcomer.release(newcomer.admit(newcomer.ask(cap=20), at=at)[0], at=at)
    with pytest.raises(Refusal) as caught:
        newcomer.admit(at=at)
    assert caught.value.code == "rate_limited"
    wait = caught.value.retry_after or 0
    with pytest.raises(Refusal):
        newcomer.admit(at=at + timedelta(seconds=wait - 2))
    newcomer.admit(at=at + timedelta(seconds=wait))


def test_a_new_plan_keeps_what_was_used_and_is_written_as_an_adjustment(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 700)
    allowances.assign(purse.id, "plus", BIG, {}, ["*"], "test")
    counter = purse.counter()
    assert (counter.quota_limit, counter.tokens_used) == (2_000_000, 700)
    entry = LedgerEntry.objects.get(user_id=purse.id, kind="adjust", counter_id=counter.id)
    assert entry.limit_after == 2_000_000
    assert purse.differences() == []


def test_a_plan_ends_by_time_alone_and_the_one_before_holds_again(purse: Purse) -> None:
    at = now()
    allowances.assign(purse.id, "plus", BIG, {}, ["*"], "test", until=at + timedelta(days=3))
    assert standing(purse.id, at + timedelta(days=2)).terms.plan == "plus"
    assert standing(purse.id, at + timedelta(days=4)).terms.plan == "free"
    purse.admit(at=at + timedelta(days=4))
    assert purse.counter(at=at + timedelta(days=4)).quota_limit == 50_000
    assert purse.differences() == []


def test_a_plan_to_come_begins_by_time_alone(purse: Purse) -> None:
    at = now()
    small = [{"scope": "*", "unit": "tokens", "limit": 7_000}]
    allowances.assign(purse.id, "plus", BIG, {}, ["*"], "month", until=at + timedelta(days=3))
    allowances.assign(
        purse.id, "plus", small, {}, ["*"], "month", starts=at + timedelta(days=3), until=at + timedelta(days=5)
    )
    assert [limit_of(purse, at=at + timedelta(days=day)) for day in (2, 4, 6)] == [2_000_000, 7_000, 50_000]
    purse.admit(at=at + timedelta(days=4))
    assert purse.counter(at=at + timedelta(days=4)).quota_limit == 7_000
    assert purse.differences() == []


def test_a_plan_to_come_can_not_move_the_periods(purse: Purse) -> None:
    later = now() + timedelta(days=1)
    with pytest.raises(allowances.InvalidTerms):
        allowances.assign(purse.id, "plus", BIG, {}, ["*"], "test", anchor=later, starts=later)
    with pytest.raises(allowances.InvalidTerms):
        allowances.assign(purse.id, "plus", BIG, {}, ["*"], "test", starts=later, until=later)


def test_what_one_source_gave_ends_at_once_and_what_it_would_give_never_begins(purse: Purse) -> None:
    at = now()
    purse.settle(purse.admit()[0], 700)
    allowances.assign(purse.id, "plus", BIG, {}, ["*"], "month", until=at + timedelta(days=3))
    allowances.assign(
        purse.id, "plus", BIG, {}, ["*"], "month", starts=at + timedelta(days=3), until=at + timedelta(days=5)
    )
    assert allowances.end(purse.id, "another") == 0
    assert limit_of(purse) == 2_000_000
    assert allowances.end(purse.id, "month") == 2
    assert allowances.end(purse.id, "month") == 0
    assert [limit_of(purse, at=at + timedelta(days=day)) for day in (1, 4)] == [50_000, 50_000]
    counter = purse.counter()
    assert (counter.quota_limit, counter.tokens_used) == (50_000, 700)
    assert purse.differences() == []


def test_the_same_source_may_give_and_end_again(purse: Purse) -> None:
    for _ in range(2):
        allowances.assign(purse.id, "plus", BIG, {}, ["*"], "month")
        assert allowances.end(purse.id, "month") == 1
    assert purse.counter().quota_limit == 50_000
    assert purse.differences() == []


def test_an_override_is_the_limit_and_not_an_addition(purse: Purse) -> None:
    purse.settle(purse.admit(purse.ask(cap=5000))[0], 4000)
    allowances.set_limit(purse.id, "*", {"tokens": 4100}, "test", "test")
    assert purse.admit(purse.ask(bound=50))[0].max_tokens == 50


def test_a_token_override_lifts_the_dollar_ceiling_unless_one_is_given(purse: Purse) -> None:
    allowances.set_limit(purse.id, "*", {"tokens": 10}, "test", "test")
    assert limit_of(purse, unit="nano_usd") is None
    allowances.set_limit(purse.id, "*", {"tokens": 10, "nano_usd": 5}, "test", "test")
    assert limit_of(purse, unit="nano_usd") == 5
    allowances.set_limit(purse.id, "*", {"tokens": 20}, "test", "test")
    assert (limit_of(purse), limit_of(purse, unit="nano_usd")) == (20, None)


def test_an_override_ends_by_time_alone(purse: Purse) -> None:
    at = now()
    allowances.set_limit(purse.id, "*", {"tokens": 5}, "test", "test", until=at + timedelta(hours=1))
    with pytest.raises(Refusal):
        purse.admit()
    purse.admit(at=at + timedelta(hours=2))
    assert purse.counter().quota_limit == 50_000
    assert purse.differences() == []


def test_a_limit_on_a_model_counts_what_the_period_has_used_and_holds(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 400)
    (running,) = purse.admit(purse.ask(bound=0, cap=300))
    purse.settle(purse.admit(purse.ask(model_id="other/model"))[0], 999)
    allowances.set_limit(purse.id, "maker/model", {"tokens": 1000}, "test", "test")
    counter = purse.counter("maker/model")
    assert (counter.tokens_used, counter.held) == (400, 300)
    assert purse.admit(purse.ask(bound=0, cap=900))[0].max_tokens == 300
    purse.settle(running, 350)
    counter.refresh_from_db()
    assert (counter.tokens_used, counter.held, counter.overrun) == (750, 300, 50)
    assert purse.differences() == []


@pytest.mark.parametrize("scope", ["maker/model", "class:small"])
def test_a_limit_that_ended_by_time_and_is_set_again_has_missed_nothing(purse: Purse, scope: str) -> None:
    at = purse.user.created_at + timedelta(seconds=1)

    def ask(**more: int) -> Ask:
        return purse.ask(bound=0, model_classes=("small",), **more)

    def used(tokens: int, days: int) -> None:
        when = at + timedelta(days=days)
        purse.settle(purse.admit(ask(cap=tokens), at=when)[0], tokens, at=when)

    used(100, 0)
    allowances.set_limit(purse.id, scope, {"tokens": 1000}, "test", "test", until=at + timedelta(days=2))
    begun = purse.counter(scope).tokens_used
    assert begun == (100 if scope == "maker/model" else 0), "which models were in a class before is not recorded"
    used(200, 1)
    used(5000, 3)
    counter = purse.counter(scope)
    assert (counter.quota_limit, counter.tokens_used) == (None, begun + 5200), "it goes on without a limit"
    (running,) = purse.admit(ask(cap=300), at=at + timedelta(days=4))
    with clock.travel(timedelta(days=5)):
        allowances.set_limit(purse.id, scope, {"tokens": 6000}, "test", "test")
        counter = purse.counter(scope)
        assert (counter.tokens_used, counter.held) == (begun + 5200, 300)
        assert purse.admit(ask(cap=9000))[0].max_tokens == 6000 - (begun + 5500)
        with pytest.raises(Refusal):
            purse.admit(ask(cap=9000))
        purse.settle(running, 300)
    assert purse.differences() == []


def test_a_limit_of_a_plan_that_lapsed_and_comes_back_has_missed_nothing(purse: Purse) -> None:
    at = now()
    limited = [*BIG, {"scope": "maker/model", "unit": "tokens", "limit": 1000}]
    allowances.assign(purse.id, "plus", limited, {}, ["*"], "test", until=at + timedelta(days=1))
    purse.settle(purse.admit(purse.ask(cap=100))[0], 100)
    with clock.travel(timedelta(days=2)):
        (lapsed,) = purse.admit(purse.ask(cap=5000))
        purse.settle(lapsed, 700)
        allowances.assign(purse.id, "plus", limited, {}, ["*"], "test")
        assert purse.counter("maker/model").tokens_used == 800
        assert purse.admit(purse.ask(bound=0, cap=9000))[0].max_tokens == 200
    assert purse.differences() == []


def test_a_running_call_grows_freely_once_the_limit_it_began_under_has_ended(purse: Purse) -> None:
    at = now()
    allowances.set_limit(purse.id, "maker/model", {"tokens": 200}, "test", "test", until=at + timedelta(hours=1))
    ask = purse.ask(bound=0, cap=200)
    (running,) = purse.admit(ask)
    assert purse.extend(running, ask, 500) == 0
    assert purse.extend(running, ask, 500, 2, at=at + timedelta(hours=2)) == 500
    counter = purse.counter("maker/model")
    assert (counter.quota_limit, counter.held) == (None, 700)
    assert purse.differences() == []


def test_a_top_up_on_a_model_without_a_limit_begins_no_counter(purse: Purse) -> None:
    grants.grant(purse.id, "pay:one", {"tokens": 500}, scope="maker/model")
    purse.settle(purse.admit()[0], 100)
    assert not QuotaCounter.objects.filter(user_id=purse.id, model_id="maker/model").exists()
    allowances.set_limit(purse.id, "maker/model", {"tokens": 300}, "test", "test")
    assert purse.counter("maker/model").tokens_used == 100
    assert purse.admit(purse.ask(bound=0, cap=9000))[0].max_tokens == 200 + 500
    assert purse.differences() == []


def test_rates_not_named_keep_their_override(newcomer: Purse) -> None:
    allowances.set_rates(newcomer.id, {"requests_per_minute": 1}, "test", "test")
    allowances.set_rates(newcomer.id, {"concurrent_generations": None}, "test", "test")
    terms = standing(newcomer.id).terms
    assert (terms.requests_per_minute, terms.tokens_per_minute, terms.concurrent_generations) == (1, 40_000, None)


def test_an_override_can_be_ended(purse: Purse) -> None:
    (override,) = allowances.set_limit(purse.id, "*", {"tokens": 5}, "test", "test")
    purse_limit = limit_of(purse)
    allowances.end_override(override)
    assert (purse_limit, limit_of(purse)) == (5, 50_000)


@pytest.mark.parametrize(
    ("scope", "limits"),
    [("key:1", {"tokens": 1}), ("", {"tokens": 1}), ("*", {"tokens": -1}), ("*", {"rupees": 1}), ("*", {})],
)
def test_limits_that_can_not_be_kept_are_refused(purse: Purse, scope: str, limits: dict[str, int]) -> None:
    with pytest.raises(allowances.InvalidTerms):
        allowances.set_limit(purse.id, scope, limits, "test", "test")


def test_an_end_in_the_past_is_refused(purse: Purse) -> None:
    with pytest.raises(allowances.InvalidTerms):
        allowances.set_limit(purse.id, "*", {"tokens": 5}, "test", "test", until=now() - timedelta(seconds=1))


def test_without_any_allowance_nothing_is_allowed(purse: Purse) -> None:
    from quotas.models import Allowance

    Allowance.objects.all().delete()
    with pytest.raises(Refusal):
        purse.admit()
    allowances.set_limit(purse.id, "*", {"tokens": 1500}, "test", "test")
    assert limit_of(purse) == 1500, "but what staff have given"


def test_periods_of_a_31st_keep_to_the_anchor_through_a_leap_year() -> None:
    anchor = datetime(2024, 1, 31, 10, 0, tzinfo=UTC)
    purse = Purse(User.objects.create_user(f"{uuid7()}@example.com", created_at=anchor))
    edges = [
        datetime(2024, 1, 31, 10, tzinfo=UTC),
        datetime(2024, 2, 29, 10, tzinfo=UTC),
        datetime(2024, 3, 31, 10, tzinfo=UTC),
        datetime(2024, 4, 30, 10, tzinfo=UTC),
        datetime(2025, 2, 28, 10, tzinfo=UTC),
    ]
    for index, edge in enumerate(edges):
        purse.release(purse.admit(at=edge)[0], at=edge)
        assert purse.counter(at=edge).period_start == edge
        if index:
            before = edge - timedelta(microseconds=1)
            purse.release(purse.admit(at=before)[0], at=before)
            assert purse.counter(at=before).reset_at == edge
    assert purse.differences() == []


def test_each_period_is_granted_once_under_its_own_key(purse: Purse) -> None:
    at = now()
    for days in (0, 1, 35, 36):
        purse.release(purse.admit(at=at + timedelta(days=days))[0], at=at + timedelta(days=days))
    keys = list(Grant.objects.filter(user_id=purse.id).values_list("source_key", flat=True))
    assert len(keys) == len(set(keys)) == 4
    assert all(key.startswith(f"period:{purse.id}:") for key in keys)


def test_a_new_anchor_begins_a_new_period(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 700)
    anchor = now()
    allowances.assign(purse.id, "plus", BIG, {}, ["*"], "test", anchor=anchor)
    shown = standing(purse.id)
    assert shown.period_start == anchor
    assert shown.limits[0].used == 0
    assert purse.differences() == []


def test_the_clock_of_the_process_moves_the_period(purse: Purse) -> None:
    purse.settle(purse.admit()[0], 700)
    with clock.travel(timedelta(days=40)):
        assert standing(purse.id).limits[0].used == 0
        assert purse.admit()[0].remaining_tokens == 48_900


def test_plan_wide_limits_are_shown_first_then_models_then_keys(purse: Purse) -> None:
    key = KeyLimits(uuid7(), limit_tokens=5000)
    purse.admit(purse.ask(api_key=key))
    allowances.set_limit(purse.id, "!first/by-letter", {"tokens": 5}, "test", "test")
    shown = [(each.scope, each.unit) for each in standing(purse.id).limits]
    assert shown == [("*", "tokens"), ("*", "nano_usd"), ("!first/by-letter", "tokens"), (key.scope, "tokens")]


def test_a_plan_that_lasts_holds_again_after_one_for_a_time(purse: Purse) -> None:
    at = now()
    allowances.assign(purse.id, "pro", BIG, {}, ["*"], "lasting")
    small = [{"scope": "*", "unit": "tokens", "limit": 7_000}]
    allowances.assign(purse.id, "trial", small, {}, ["*"], "for a time", until=at + timedelta(days=3))
    assert [standing(purse.id, at + timedelta(days=day)).terms.plan for day in (2, 4)] == ["trial", "pro"]
    purse.admit(at=at + timedelta(days=4))
    assert purse.counter(at=at + timedelta(days=4)).quota_limit == 2_000_000
    assert purse.differences() == []
