"""GET /api/user/quota, as the contract has it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from accounts import apikeys
from oneai.kit.clock import now
from quotas import allowances
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


def test_it_shows_plan_period_limits_and_rates(newcomer: Purse, client: Client) -> None:
    newcomer.settle(newcomer.admit()[0], 1200, 77)
    newcomer.admit(newcomer.ask(bound=50, cap=50))
    client.force_login(newcomer.user)
    answer = client.get("/api/user/quota")
    assert answer.status_code == 200
    body = answer.json()
    counter = newcomer.counter()
    reset = counter.reset_at.isoformat().replace("+00:00", "Z")
    assert body["plan"] == "free"
    assert body["period"] == {"start": counter.period_start.isoformat().replace("+00:00", "Z"), "end": reset}
    assert body["limits"][0] == {
        "scope": "*",
        "unit": "tokens",
        "limit": 50_000,
        "used": 1200,
        "held": 100,
        "remaining": 48_700,
        "reset_at": reset,
    }
    assert body["rates"] == {"requests_per_minute": 20, "tokens_per_minute": 40_000, "concurrent_generations": 4}
    assert body["topups"] == []


def test_unlimited_is_null(newcomer: Purse, client: Client) -> None:
    allowances.set_limit(newcomer.id, "*", {"tokens": None}, "test", "test", until=now() + timedelta(days=1))
    client.force_login(newcomer.user)
    limits = client.get("/api/user/quota").json()["limits"]
    assert [(each["limit"], each["remaining"]) for each in limits] == [(None, None), (None, None)]


def test_a_stranger_is_asked_to_sign_in(client: Client) -> None:
    answer = client.get("/api/user/quota")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_authenticated"


@pytest.mark.parametrize(("scopes", "status"), [(["usage"], 200), (["chat"], 403)])
def test_a_key_needs_the_scope_usage(newcomer: Purse, client: Client, scopes: list[str], status: int) -> None:
    _, plaintext = apikeys.mint(newcomer.user, scopes=scopes)
    answer = client.get("/api/user/quota", headers={"authorization": f"Bearer {plaintext}"})
    assert answer.status_code == status


def test_looking_writes_nothing(newcomer: Purse, client: Client) -> None:
    from quotas.models import QuotaAccount

    client.force_login(newcomer.user)
    client.get("/api/user/quota")
    assert not QuotaAccount.objects.filter(pk=newcomer.id).exists()
