"""The four plans: seeded, listed, granted, edited with checks."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from billing import plans
from billing.models import Plan
from oneai.kit.clock import uuid7
from quotas.reading import standing

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return User.objects.create_user(f"{uuid7()}@example.com")


def test_migrate_alone_leaves_the_four_plans(client: Client) -> None:
    body = client.get("/api/subscription/plans").json()
    assert (body["next"], body["previous"]) == (None, None)
    told = {
        plan["code"]: (
            plan["price"]["month"],
            plan["price"]["year"],
            plan["limits"][0]["limit"],
            plan["limits"][1]["limit"],
            *plan["rates"].values(),
        )
        for plan in body["results"]
    }
    assert told == {
        "free": (0, 0, 50_000, 250_000_000, 20, 40_000, 4),
        "plus": (49_900, 499_000, 2_000_000, 4 * 10**9, 60, 200_000, 8),
        "pro": (149_900, 1_499_000, 8_000_000, 14 * 10**9, 120, 500_000, 16),
        "team": (129_900, 1_299_000, 6_000_000, 12 * 10**9, 240, 1_000_000, 32),
    }
    assert all(plan["model_patterns"] == ["*"] for plan in body["results"])


def test_the_list_of_plans_is_paged(client: Client) -> None:
    first = client.get("/api/subscription/plans?limit=3").json()
    assert [plan["code"] for plan in first["results"]] == ["free", "plus", "pro"]
    assert [plan["code"] for plan in client.get(first["next"]).json()["results"]] == ["team"]


@pytest.mark.parametrize("position", ["p=abc", "p=1.5", "p=-1", "p=%00", "p=99999999999999999999", "p=", "r=1&p=x"])
def test_a_cursor_at_no_place_of_the_list_of_plans_is_named(client: Client, position: str) -> None:
    answer = client.get("/api/subscription/plans", {"cursor": base64.b64encode(position.encode()).decode()})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "cursor"


def test_the_price_page_shows_every_plan(client: Client) -> None:
    page = client.get("/pricing")
    assert page.status_code == 200
    text = page.content.decode()
    assert all(name in text for name in ("Free", "Plus", "Pro", "Team", "₹499", "₹1,499", "₹1,299"))


def test_the_default_allowance_is_the_free_plan(person: User) -> None:
    free = plans.find("free")
    terms = standing(person.pk).terms
    assert [{"scope": s, "unit": u, "limit": n} for (s, u), n in terms.limits.items()] == free.limits
    assert plans.rates(free) == {
        "requests_per_minute": terms.requests_per_minute,
        "tokens_per_minute": terms.tokens_per_minute,
        "concurrent_generations": terms.concurrent_generations,
    }


def test_a_grant_gives_limits_rates_and_label(person: User) -> None:
    plans.grant(person, "team", reason="a test", actor="test")
    terms = standing(person.pk).terms
    assert (terms.plan, terms.limits["*", "tokens"], terms.concurrent_generations) == ("team", 6_000_000, 32)
    person.refresh_from_db()
    assert person.current_subscription == "team"
    assert AuditEntry.objects.get(subject_id=person.pk).action == "plan.granted"


def test_an_unknown_plan_is_refused_by_name(person: User) -> None:
    with pytest.raises(plans.UnknownPlan, match="gold"):
        plans.grant(person, "gold", reason="a test", actor="test")


def form(plan: Plan, **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        field.name: getattr(plan, field.name) for field in Plan._meta.fields if field.editable and field.name != "code"
    }
    for name in ("features", "limits", "model_patterns"):
        fields[name] = json.dumps(fields[name])
    for name in ("per_seat", "is_active"):
        if not fields[name]:
            del fields[name]
    return {name: value for name, value in fields.items() if value is not None} | more


@pytest.fixture
def owner(client: Client, person: User) -> Client:
    person.role = Role.OWNER
    person.save()
    client.force_login(person)
    return client


def test_the_free_plan_edited_on_the_desk_holds_for_everybody_without_a_plan(owner: Client) -> None:
    free = plans.find("free")
    limits = json.dumps([{"scope": "*", "unit": "tokens", "limit": 123}])
    answer = owner.post(f"/admin/billing/plan/{free.pk}/change/", form(free, limits=limits))
    assert answer.status_code == 302, answer.content.decode()[:3000]
    newcomer = User.objects.create_user(f"{uuid7()}@example.com")
    assert standing(newcomer.pk).limits[0].limit == 123


def test_another_plan_edited_on_the_desk_changes_nothing_for_who_has_none(owner: Client) -> None:
    plus = plans.find("plus")
    limits = json.dumps([{"scope": "*", "unit": "tokens", "limit": 123}])
    assert owner.post(f"/admin/billing/plan/{plus.pk}/change/", form(plus, limits=limits)).status_code == 302
    plus.refresh_from_db()
    newcomer = User.objects.create_user(f"{uuid7()}@example.com")
    assert (plus.limits[0]["limit"], standing(newcomer.pk).limits[0].limit) == (123, 50_000)
    assert list(AuditEntry.objects.filter(action__startswith="plan.").values_list("action", "target")) == [
        ("plan.changed", "plus")
    ]


@pytest.mark.parametrize(
    "limits",
    [
        "{}",
        '[{"scope": "*"}]',
        '[{"scope": "*", "unit": "tokens", "limit": -1}]',
        '[{"scope": "*", "unit": "x", "limit": 1}]',
    ],
)
def test_terms_that_the_ledger_can_not_keep_are_refused_on_the_desk(owner: Client, limits: str) -> None:
    plus = plans.find("plus")
    answer = owner.post(f"/admin/billing/plan/{plus.pk}/change/", form(plus, limits=limits))
    assert answer.status_code == 200
    plus.refresh_from_db()
    assert plus.limits[0]["limit"] == 2_000_000


@pytest.mark.parametrize(
    "table",
    [
        "quotaaccount",
        "quotacounter",
        "platformcounter",
        "hold",
        "ledgerentry",
        "usagerecord",
        "grant",
        "allowance",
        "override",
    ],
)
def test_what_the_ledger_writes_can_only_be_looked_at(owner: Client, table: str) -> None:
    assert owner.get(f"/admin/quotas/{table}/").status_code == 200
    assert owner.get(f"/admin/quotas/{table}/add/").status_code == 403
