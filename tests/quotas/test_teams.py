"""A team's quota: what members ask counts on it, within their caps, and on nothing of their own."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import Q

from accounts import apikeys, team_members, team_places, teams
from accounts.models import Membership, Team, User
from oneai.kit import clock
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import alerts, allowances, grants, invariants, key_budgets, reading, usage
from quotas.admission import KeyLimits
from quotas.ledger import Book
from quotas.models import Allowance, Hold, QuotaAccount, QuotaCounter, UsageRecord
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from tests.accounts.people import mails_to
from tests.accounts.team_people import api, plan, team_of
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db
HOLD = 1000


def of_team(team: Team) -> Purse:
    return Purse(User.objects.get(pk=team.pk))


def place(purse: Purse) -> Membership:
    return Membership.objects.select_related("team", "user").get(user_id=purse.id)


def cap(team: Team, purse: Purse, tokens: int | None, **more: int | None) -> None:
    mine = team_places.place_in(teams.owner_of(team.pk).pk, team.pk)
    team_members.change(mine, purse.id, caps={"cap_tokens": tokens} | more)


def call(purse: Purse, total: int = HOLD, **more: Any) -> Any:
    """One call that holds ``total`` tokens."""
    return purse.admit(purse.ask(bound=total - 16, cap=16, **more))[0]


def refused(purse: Purse, total: int = HOLD, **more: Any) -> dict[str, Any]:
    """The limit that refuses a call."""
    with pytest.raises(Refusal) as found:
        call(purse, total, **more)
    assert found.value.code == "quota_exceeded", found.value
    return dict((found.value.details or {})["limit"])


def sound(*purses: Purse, team: Team) -> None:
    report = invariants.check([*(purse.id for purse in purses), team.pk])
    assert report.differences == []


# Who pays -------------------------------------------------------------------------------------------
def test_a_members_call_counts_on_the_team_and_on_nothing_of_their_own(team: Team, ann: Purse, ben: Purse) -> None:
    admitted = call(ben)
    hold = Hold.objects.get(pk=admitted.hold_id)
    assert (hold.user_id, hold.team_id) == (ben.id, team.pk)
    shared = of_team(team).counter()
    assert (shared.held, shared.tokens_used) == (HOLD, 0)
    assert ben.settle(admitted, 700, 5000)
    shared = of_team(team).counter()
    assert (shared.held, shared.tokens_used) == (0, 700)
    assert of_team(team).counter(unit=NANO_USD).tokens_used == 5000
    assert not QuotaCounter.objects.filter(user_id=ben.id).filter(Q(tokens_used__gt=0) | Q(held__gt=0)).exists()
    record = UsageRecord.objects.get()
    assert (record.user_id, record.team_id, record.period_start) == (ben.id, team.pk, shared.period_start)
    assert QuotaAccount.objects.get(pk=team.pk).in_flight == 0
    sound(ann, ben, team=team)


def test_a_team_without_a_plan_leaves_members_their_own(ann: Purse, ben: Purse) -> None:
    team = team_of(ann.user, ben.user)
    assert Hold.objects.get(pk=call(ben).hold_id).team_id is None
    assert "team" not in reading.statement(ben.id)
    plan(team)
    assert Hold.objects.get(pk=call(ben).hold_id).team_id == team.pk
    sound(ann, ben, team=team)


def test_when_the_teams_plan_is_over_members_use_their_own_again(team: Team, ann: Purse, ben: Purse) -> None:
    Allowance.objects.filter(user_id=team.pk).delete()
    limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 50_000}]
    allowances.assign(team.pk, "team", limits, {}, ["*"], "test", until=now() + timedelta(hours=1))
    running = call(ben)
    with clock.travel(timedelta(hours=1, minutes=1)):
        assert Hold.objects.get(pk=call(ben).hold_id).team_id is None
        assert ben.settle(running, 300)
    assert QuotaCounter.objects.get(user_id=team.pk, unit=TOKENS).tokens_used == 300
    sound(ann, ben, team=team)


def test_whoever_leaves_draws_on_the_team_no_more_and_what_runs_ends_as_it_began(
    team: Team, ann: Purse, ben: Purse
) -> None:
    running, killed = call(ben), call(ben)
    team_members.remove(place(ann), ben.id)
    own = call(ben)
    assert Hold.objects.get(pk=own.hold_id).team_id is None
    assert ben.extend(running, ben.ask(), 50) == 50
    assert ben.settle(running, 1020, 77)
    assert ben.orphan(killed) and ben.release(killed)
    assert ben.correct(running, 900, 70)
    shared = of_team(team).counter()
    assert (shared.tokens_used, shared.held, shared.overrun) == (900, 0, 0)
    assert ben.counter().held == HOLD
    assert ben.settle(own, 5)
    sound(ann, ben, team=team)


def test_who_joins_in_the_middle_of_a_call_has_it_end_on_their_own_plan(team: Team, ann: Purse, ben: Purse) -> None:
    newcomer = Purse(User.objects.create_user("new@example.com"))
    running = call(newcomer)
    Membership.objects.create(team=team, user=newcomer.user)
    allowances.follow_membership(newcomer.id)
    assert newcomer.extend(running, newcomer.ask(), 40) == 40
    assert newcomer.settle(running, 1010)
    assert newcomer.counter().tokens_used == 1010
    assert not QuotaCounter.objects.filter(user_id=team.pk, tokens_used__gt=0).exists()
    assert Hold.objects.get(pk=call(newcomer).hold_id).team_id == team.pk
    sound(newcomer, team=team)


def test_members_of_a_deleted_team_go_back_to_their_own_plans(team: Team, ann: Purse, ben: Purse) -> None:
    running = call(ben)
    teams.delete_team(ann.user, team.pk)
    assert [Hold.objects.get(pk=call(purse).hold_id).team_id for purse in (ann, ben)] == [None, None]
    assert ben.settle(running, 100)
    assert of_team(team).counter().tokens_used == 100
    sound(ann, ben, team=team)


# Limits ---------------------------------------------------------------------------------------------
def test_members_share_what_there_is_and_the_refusal_names_the_team(team: Team, ann: Purse, ben: Purse) -> None:
    plan(team, 3 * HOLD)
    call(ann), call(ben), call(ann)
    for purse in (ann, ben):
        limit = refused(purse)
        assert (limit["scope"], limit["shared"]) == (f"team:{team.pk}", True)
        assert (limit["limit"], limit["held"], limit["remaining"]) == (3 * HOLD, 3 * HOLD, 0)
    sound(ann, ben, team=team)


def test_a_cap_binds_one_member_alone(team: Team, ann: Purse, ben: Purse) -> None:
    cap(team, ben, 2 * HOLD)
    first = call(ben)
    call(ben)
    limit = refused(ben)
    assert (limit["scope"], limit["shared"], limit["limit"]) == (f"team:{team.pk}", False, 2 * HOLD)
    call(ann, 5 * HOLD)
    assert ben.settle(first, 400)
    assert call(ben, 600)
    own = ben.counter(f"team:{team.pk}")
    assert (own.model_id, own.team_id, own.tokens_used, own.held) == (f"team:{team.pk}", team.pk, 400, 1600)
    assert own.period_start == of_team(team).counter().period_start
    sound(ann, ben, team=team)


def test_a_cap_in_dollars_and_one_of_nothing(team: Team, ann: Purse, ben: Purse) -> None:
    cap(team, ben, None, cap_nano_usd=984 * 150 + 16 * 600)
    call(ben)
    limit = refused(ben)
    assert (limit["scope"], limit["unit"], limit["shared"]) == (f"team:{team.pk}", NANO_USD, False)
    cap(team, ann, 0)
    assert refused(ann, 16)["limit"] == 0
    sound(ann, ben, team=team)


def test_a_cap_that_comes_late_counts_what_was_used_and_held_before(team: Team, ann: Purse, ben: Purse) -> None:
    assert ben.settle(call(ben), 800)
    running = call(ben)
    cap(team, ben, 2 * HOLD)
    assert refused(ben, 300)["used"] == 800
    call(ben, 200)
    assert ben.settle(running, 900)
    cap(team, ben, None)
    assert ben.settle(call(ben), 50)
    cap(team, ben, 2 * HOLD)
    assert call(ben, 50)
    assert ben.counter(f"team:{team.pk}").tokens_used == 1750
    sound(ann, ben, team=team)


def test_a_models_limit_that_comes_late_counts_what_all_members_have_used_and_hold(
    team: Team, ann: Purse, ben: Purse
) -> None:
    assert ann.settle(call(ann), 700)
    running = call(ben)
    plan(team, more={"maker/model": 2 * HOLD})
    limit = refused(ann)
    assert (limit["scope"], limit["used"], limit["held"], limit["shared"]) == ("maker/model", 700, HOLD, True)
    assert ben.settle(running, 100)
    counter = of_team(team).counter("maker/model")
    assert (counter.tokens_used, counter.held) == (800, 0)
    sound(ann, ben, team=team)


def test_top_ups_of_the_team_are_used_once_its_plan_is(team: Team, ann: Purse, ben: Purse) -> None:
    plan(team, HOLD)
    grants.grant(team.pk, "pay:1", {TOKENS: 2 * HOLD})
    grants.grant(ben.id, "pay:2", {TOKENS: 9 * HOLD})
    first, second, third = call(ben), call(ann), call(ben)
    assert refused(ben)["scope"] == f"team:{team.pk}"
    assert ben.settle(first, HOLD) and ann.settle(second, HOLD)
    answer = reading.statement(ben.id)
    assert [(each["scope"], each["used"], each["held"]) for each in answer["topups"]] == [
        (f"team:{team.pk}", HOLD, HOLD)
    ]
    assert ben.settle(third, HOLD)
    assert grants.refund("pay:1", "back").owed == {TOKENS: 2 * HOLD}
    assert reading.statement(ann.id)["owed"][0]["scope"] == f"team:{team.pk}"
    assert ben.correct(third, 400)
    sound(ann, ben, team=team)


def test_rates_are_those_of_the_teams_plan_for_each_member(team: Team, ann: Purse, ben: Purse) -> None:
    limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 100_000}]
    rates = {"requests_per_minute": 2, "tokens_per_minute": None, "concurrent_generations": 9}
    allowances.assign(team.pk, "team", limits, rates, ["*"], "test")
    for purse in (ann, ben):
        call(purse), call(purse)
        with pytest.raises(Refusal) as found:
            call(purse)
        assert found.value.code == "rate_limited"
    sound(ann, ben, team=team)


def test_models_are_those_of_the_teams_plan(team: Team, ann: Purse, ben: Purse) -> None:
    limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 100_000}]
    allowances.assign(team.pk, "team", limits, {}, ["maker/*"], "test")
    call(ben)
    with pytest.raises(Refusal) as found:
        call(ben, model_id="other/model")
    assert found.value.code == "model_not_allowed"


def test_an_override_of_the_team_holds_for_its_members_and_shows(team: Team, ann: Purse, ben: Purse) -> None:
    allowances.set_limit(team.pk, PLAN_WIDE, {TOKENS: HOLD}, "a slow month", "staff")
    call(ben)
    assert refused(ann)["limit"] == HOLD
    limit = reading.statement(ann.id)["limits"][0]
    assert (limit["scope"], limit["override"]["reason"]) == (f"team:{team.pk}", "a slow month")
    allowances.set_limit(ann.id, PLAN_WIDE, {TOKENS: 9 * HOLD}, "of their own", "staff")
    assert refused(ann)["limit"] == HOLD


def test_a_keys_budget_is_of_the_period_that_pays(team: Team, ann: Purse, ben: Purse) -> None:
    key, _ = apikeys.mint(ben.user, limit_tokens=2 * HOLD)
    limits = KeyLimits(key.pk, limit_tokens=2 * HOLD)
    team_members.remove(place(ann), ben.id)
    assert ben.settle(call(ben, api_key=limits), 900)
    Membership.objects.create(team=team, user=ben.user)
    allowances.follow_membership(ben.id)
    assert key_budgets.of(ben.id, [key])[key.pk][0].used == 0
    call(ben, api_key=limits), call(ben, api_key=limits)
    limit = refused(ben, api_key=limits)
    assert limit["scope"] == f"key:{key.pk}" and "shared" not in limit
    assert key_budgets.of(ben.id, [key])[key.pk][0].held == 2 * HOLD
    sound(ann, ben, team=team)


def test_two_at_once_for_one_member_are_both_or_none(team: Team, ann: Purse, ben: Purse) -> None:
    cap(team, ben, 3 * HOLD)
    asks = [ben.ask(bound=HOLD, cap=5000, model_id=f"maker/{name}") for name in ("one", "two")]
    with transaction.atomic():
        book = Book.open([ben.id])
        made = book.admit_all(asks)
        assert [each.max_tokens for each in made] == [HOLD // 2] * 2
        assert [limit.remaining for limit in book.limits(ben.id) if limit.scope == f"team:{team.pk}"] == [0]
        book.close()
    sound(ann, ben, team=team)


# What is seen ---------------------------------------------------------------------------------------
def test_the_quota_shows_the_teams_limits_and_ones_own_cap_side_by_side(team: Team, ann: Purse, ben: Purse) -> None:
    cap(team, ben, 5 * HOLD)
    assert ann.settle(call(ann), 600)
    call(ben)
    answer = api(ben.user).get("/api/user/quota").json()
    scope = f"team:{team.pk}"
    assert answer["plan"] == "team"
    assert answer["team"] == {"id": str(team.pk), "name": "Reading circle", "role": "member"}
    found = [(each["scope"], each["unit"], each["shared"], each["limit"], each["used"], each["held"])
             for each in answer["limits"]]  # fmt: skip
    assert found == [
        (scope, TOKENS, True, 100_000, 600, HOLD),
        (scope, NANO_USD, True, None, 0, 984 * 150 + 16 * 600),
        (scope, TOKENS, False, 5 * HOLD, 0, HOLD),
    ]
    assert answer["rates"]["concurrent_generations"] is None


def test_a_team_that_used_nothing_has_used_nothing(team: Team, ann: Purse) -> None:
    shown = api(ann.user).get(f"/api/teams/{team.pk}/usage").json()
    assert shown["results"] == [] and shown["totals"]["total_tokens"] == shown["totals"]["calls"] == 0
    assert shown["totals"]["cost_usd"] == "0"


def test_what_is_used_is_the_members_and_the_teams_to_the_unit(team: Team, ann: Purse, ben: Purse) -> None:
    team_members.remove(place(ann), ben.id)
    assert ben.settle(call(ben), 11)  # on Ben's own plan
    Membership.objects.create(team=team, user=ben.user)
    allowances.follow_membership(ben.id)
    assert ann.settle(call(ann), 700, 7000)
    assert ben.settle(call(ben, model_id="maker/other"), 300, 3000)
    team_members.remove(place(ann), ben.id)
    User.objects.filter(pk=ann.id).update(name="Ann")
    steward = api(ann.user)
    by_member = steward.get(f"/api/teams/{team.pk}/usage").json()
    assert by_member["totals"]["total_tokens"] == 1000
    assert [(row["email"], row["name"], row["total_tokens"], row["cost_usd"]) for row in by_member["results"]] == [
        (ann.user.email, "Ann", 700, "0.000007"), (ben.user.email, "", 300, "0.000003"),
    ]  # fmt: skip
    by_model = steward.get(f"/api/teams/{team.pk}/usage", group="model").json()["results"]
    assert {row["model"]: row["total_tokens"] for row in by_model} == {"maker/model": 700, "maker/other": 300}
    day = steward.get(f"/api/teams/{team.pk}/usage", group="day", **{"from": f"{now():%Y-%m-%d}"}).json()
    assert day["results"][0]["total_tokens"] == 1000 and day["period"] is None
    today = now().date()
    for given, first, last in (
        ({"to": today}, today - timedelta(days=29), today),
        ({"from": today - timedelta(days=3)}, today - timedelta(days=3), today),
        ({"from": today + timedelta(days=3)}, today + timedelta(days=3), today + timedelta(days=3)),
    ):
        shown = steward.get(f"/api/teams/{team.pk}/usage", **given).json()
        assert (shown["from"], shown["to"]) == (first.isoformat(), last.isoformat())
    table = steward.get(f"/api/teams/{team.pk}/usage", format="csv")
    rows = list(csv.reader(io.StringIO(table.content.decode())))
    assert rows[0][:3] == ["user_id", "email", "calls"]
    assert [row[1] for row in rows[1:]] == [ann.user.email, ben.user.email]
    assert sum(int(row[7]) for row in rows[1:]) == of_team(team).counter().tokens_used
    for wrong in ({"group": "key"}, {"from": "x"}, {"format": "xml"}, {"from": "2026-02-02", "to": "2026-01-01"}):
        assert steward.get(f"/api/teams/{team.pk}/usage", **wrong).status_code == 400
    account = usage.account_of(ann.id)
    assert (account.period_start, account.period_end) == (
        of_team(team).counter().period_start, of_team(team).counter().reset_at,
    )  # fmt: skip
    assert usage.total_of(ann.id, account.period).tokens == 700
    sound(ann, ben, team=team)


def test_a_team_that_is_nearly_used_up_tells_its_owner_and_admins(
    team: Team, ann: Purse, ben: Purse, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    plan(team, HOLD)
    cap(team, ben, HOLD - 100)
    assert ben.settle(call(ben, 850), 850)
    while alerts.tell():
        pass
    (shared,) = mails_to(ann.user.email)
    assert "your team" in text_part(shared)
    (own,) = mails_to(ben.user.email)
    assert "your share of your team" in text_part(own)
    assert not any(team.pk.hex in str(mail.to) for mail in [shared, own])


def text_part(mail: Any) -> str:
    body = message_from_bytes(bytes(mail.message), policy=policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_staff_name_a_team_by_the_address_of_its_account(team: Team, ann: Purse, ben: Purse) -> None:
    call_command("set_quota", teams.address_of(team.pk), "--tokens", "500", "--reason", "less", "--model", "*")
    call_command("set_seats", ann.user.email, "7", "--reason", "bought")
    assert refused(ben)["limit"] == 500
    assert Team.objects.get().seats == 7
    call_command("audit_ledger", teams.address_of(team.pk))


# What the audit would find ----------------------------------------------------------------------------
def test_the_audit_finds_a_teams_call_that_lies_on_another_account(team: Team, ann: Purse, ben: Purse) -> None:
    admitted = call(ben)
    stranger = call(Purse(User.objects.create_user("stranger@example.com")))
    foreign = next(iter(Hold.objects.get(pk=stranger.hold_id).lines))
    hold = Hold.objects.get(pk=admitted.hold_id)
    hold.lines = hold.lines | {foreign: 5}
    hold.save()
    for account in (ben.id, team.pk):
        assert {each.what for each in invariants.check_account(account)} == {"hold.counter"}


def test_the_audit_finds_a_record_that_names_another_payer(team: Team, ann: Purse, ben: Purse) -> None:
    assert ben.settle(call(ben), 10)
    UsageRecord.objects.update(team_id=None)
    assert {invariants.broken_by(each) for each in invariants.check_account(ben.id)} == {"I6"}
    assert invariants.check_account(team.pk)
