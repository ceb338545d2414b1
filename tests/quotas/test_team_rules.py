"""What a team's limits and rates are for the calls of its members, beyond who pays."""

from __future__ import annotations

import pytest

from accounts.models import Team
from oneai.kit.clock import now, uuid7
from quotas import allowances, rates
from quotas.ledger import KeyLimits
from quotas.models import QuotaAccount
from quotas.policy import PLAN_WIDE, TOKENS
from quotas.reading import standing
from tests.accounts.team_people import plan
from tests.quotas.test_teams import HOLD, call, cap, of_team, sound
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


def test_the_team_s_limits_come_first_then_the_cap_then_models_then_keys(team: Team, ann: Purse, ben: Purse) -> None:
    plan(team, more={"maker/model": 9 * HOLD})
    cap(team, ben, 5 * HOLD)
    key = KeyLimits(uuid7(), limit_tokens=3 * HOLD)
    call(ben, api_key=key)
    shown = standing(ben.id).limits
    assert [(each.scope, each.name) for each in shown if each.unit == TOKENS] == [
        (PLAN_WIDE, f"team:{team.pk}"),
        (f"team:{team.pk}", f"team:{team.pk}"),
        ("maker/model", "maker/model"),
        (key.scope, key.scope),
    ]
    sound(ann, ben, team=team)


def test_what_a_running_call_gets_counts_in_the_minute_of_the_member(team: Team, ann: Purse, ben: Purse) -> None:
    limits = [{"scope": PLAN_WIDE, "unit": TOKENS, "limit": 100_000}]
    allowances.assign(team.pk, "team", limits, {"tokens_per_minute": 5000}, ["*"], "test")
    at = now()
    ask = ben.ask(bound=100, cap=1000)
    (admitted,) = ben.admit(ask, at=at)
    assert ben.extend(admitted, ask, 700, at=at) == 700
    assert QuotaAccount.objects.get(pk=ben.id).windows == {PLAN_WIDE: [[rates.second_of(at), 1, 1800]]}
    assert QuotaAccount.objects.get(pk=team.pk).windows == {}
    ben.settle(admitted, 40, at=at)
    assert QuotaAccount.objects.get(pk=ben.id).windows == {PLAN_WIDE: [[rates.second_of(at), 1, 40]]}
    assert of_team(team).counter().tokens_used == 40
    sound(ann, ben, team=team)
