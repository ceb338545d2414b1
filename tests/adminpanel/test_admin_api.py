"""/api/admin: who of the staff may do what, overrides with their reason, and the audit entry of each."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from accounts import apikeys, audit
from accounts.api.device_views import deed
from accounts.models import AuditEntry, User
from accounts.permissions import TABLE
from adminpanel.api.urls import urlpatterns
from billing.models import WebhookEvent
from chat.models import AIModel
from oneai.kit.clock import now, utc_text, uuid7
from quotas.models import Override
from quotas.reading import standing
from tests.accounts.people import make, who
from tests.accounts.team_people import team_of
from tests.adminpanel.staff import ROLES, Staff, refusal
from tests.billing.rows import subscribed

pytestmark = pytest.mark.django_db

# (method, path, body, permission). {id} is nobody's, so that whoever may come in finds nothing.
ROUTES: list[tuple[str, str, dict[str, Any], str]] = [
    ("GET", "users", {}, "users.view"),
    ("GET", "users/{id}", {}, "users.view"),
    ("PATCH", "users/{person}", {"is_active": True, "reason": "test"}, "users.change"),
    ("PATCH", "users/{person}", {"plan": "pro", "reason": "test"}, "subscriptions.change"),
    ("GET", "quotas", {}, "quotas.view"),
    ("GET", "quotas/{id}", {}, "quotas.view"),
    ("PATCH", "quotas/{id}", {"tokens": 1, "reason": "test"}, "quotas.change"),
    ("GET", "subscriptions", {}, "subscriptions.view"),
    ("GET", "subscriptions/{id}", {}, "subscriptions.view"),
    ("PATCH", "subscriptions/{id}", {"cancel": "now", "reason": "test"}, "subscriptions.change"),
    ("GET", "webhooks", {}, "webhooks.view"),
    ("POST", "webhooks/{id}/replay", {}, "webhooks.replay"),
    ("GET", "audit", {}, "audit.view"),
    ("GET", "analytics", {}, "analytics.view"),
]


def send(client: Client, method: str, path: str, body: dict[str, Any]) -> Any:
    address = f"/api/admin/{path}".format(id=uuid7(), person=make().pk)
    if method == "GET":
        return client.get(address)
    return client.generic(method, address, json.dumps(body), content_type="application/json")


def test_every_route_is_in_the_matrix() -> None:
    listed = {path.replace("{person}", "{id}") for _, path, *_ in ROUTES}
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        assert re.sub(r"<str:\w+>", "{id}", str(pattern.pattern)) in listed


def test_each_role_may_what_the_table_says_and_nobody_else_anything() -> None:
    staff = {role: Staff(role).client for role in ROLES}
    nobody, customer = Client(), Staff("user").client
    _, key = apikeys.mint(make(role="owner"))
    with_key = Client(headers={"authorization": f"Bearer {key}"})
    for method, path, body, permission in ROUTES:
        for role, client in staff.items():
            refused = send(client, method, path, body).status_code == 403
            assert refused == (role not in TABLE[permission]), (role, method, path)
        assert send(nobody, method, path, body).status_code == 401
        assert refusal(send(customer, method, path, body))[:2] == (403, "permission_denied")
        assert refusal(send(with_key, method, path, body))[:2] == (403, "insufficient_scope"), "a key never"


def test_a_session_needs_the_csrf_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make(role="owner"))
    assert browser.get("/api/admin/users").status_code == 200
    answer = browser.patch(f"/api/admin/users/{make().pk}", "{}", content_type="application/json")
    assert refusal(answer)[1] == "csrf_failed"


def test_people_are_found_by_address_name_and_id_page_by_page() -> None:
    owner = Staff("owner")
    people = [make(f"asha.{number}@example.com", name=f"Asha {number}") for number in range(3)]
    assert [row["email"] for row in owner.get("users", q="ASHA.1").json()["results"]] == [people[1].email]
    (found,) = owner.get("users", q=str(people[2].pk)).json()["results"]
    assert (found["name"], found["plan"], found["role"], found["is_active"]) == ("Asha 2", "free", "user", True)
    first = owner.get("users", q="asha", limit=2).json()
    rest = owner.client.get(first["next"]).json()
    assert [row["email"] for row in first["results"] + rest["results"]] == [each.email for each in reversed(people)]
    assert [row["email"] for row in owner.get("users", role="owner").json()["results"]] == [owner.user.email]
    assert refusal(owner.get("users", role="emperor")) == (400, "invalid_value", "role")
    assert owner.get(f"users/{people[0].pk}").json()["email"] == people[0].email


def test_support_sets_a_limit_that_the_person_sees_with_its_reason() -> None:
    support, user = Staff("support"), make()
    until = utc_text(now() + timedelta(days=3))
    answer = support.patch(f"quotas/{user.pk}", tokens=123_456, usd="2.5", until=until, reason="  a gift ")
    assert answer.status_code == 200, answer.content
    limits = {row["unit"]: row["limit"] for row in answer.json()["limits"] if row["scope"] == "*"}
    assert limits == {"tokens": 123_456, "nano_usd": 2_500_000_000}
    override = answer.json()["overrides"][0]
    assert (override["reason"], override["actor"], override["until"]) == ("a gift", support.user.email, until)
    theirs = Client()
    theirs.force_login(user)
    seen = theirs.get("/api/user/quota").json()["limits"][0]
    assert (seen["limit"], seen["override"]["reason"]) == (123_456, "a gift")
    entry = AuditEntry.objects.get(action="quota.set")
    assert (entry.actor_id, entry.subject_id, entry.reason) == (support.user.pk, user.pk, "a gift")
    found = support.get("quotas", q=user.email).json()["results"][0]["overrides"]
    ended = support.patch(f"quotas/{user.pk}", end_override=found[0]["id"], reason="over")
    assert found[0]["id"] not in {row["id"] for row in ended.json()["overrides"]}
    assert AuditEntry.objects.filter(action="override.ended", subject_id=user.pk, reason="over").exists()


def test_rates_unlimited_and_tokens_on_top() -> None:
    support, user = Staff("support"), make()
    path = f"quotas/{user.pk}"
    rates = {"requests_per_minute": 7, "concurrent_generations": "unlimited"}
    told = support.patch(path, rates=rates, reason="load test").json()
    assert (told["rates"]["requests_per_minute"], told["rates"]["concurrent_generations"]) == (7, None)
    model = AIModel.objects.create(slug="maker/model", upstream_slug="maker/model", name="Model")
    told = support.patch(path, scope=model.slug, tokens="unlimited", reason="partner").json()
    assert {row["scope"]: row["limit"] for row in told["limits"]}["maker/model"] is None
    told = support.patch(path, extra_tokens=1000, reason="sorry").json()
    assert [(row["amount"], row["note"]) for row in told["topups"] if row["unit"] == "tokens"] == [(1000, "sorry")]
    actions = AuditEntry.objects.filter(subject_id=user.pk).order_by("at").values_list("action", flat=True)
    assert list(actions) == ["rates.set", "quota.set", "quota.granted"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"tokens": 5}, "missing_required_parameter", "reason"),
        ({"tokens": 5, "reason": "   "}, "invalid_value", "reason"),
        ({"reason": "x"}, "missing_required_parameter", "tokens"),
        ({"tokens": -1, "reason": "x"}, "invalid_value", "tokens"),
        ({"tokens": True, "reason": "x"}, "invalid_value", "tokens"),
        ({"usd": 2.5, "reason": "x"}, "invalid_value", "usd"),
        ({"tokens": 5, "scope": "no/model", "reason": "x"}, "invalid_value", None),
        ({"tokens": 5, "until": "2001-01-01T00:00:00Z", "reason": "x"}, "invalid_value", None),
        ({"tokens": 5, "quota": 1, "reason": "x"}, "unknown_field", "quota"),
        ({"rates": {"rpm": 5}, "reason": "x"}, "unknown_field", "rpm"),
        ({"rates": {"requests_per_minute": 5}, "tokens": 3, "reason": "x"}, "invalid_request", "tokens"),
        ({"end_override": "01890a5d-ac96-774b-bcce-b302099a8057", "reason": "x"}, "not_found", "end_override"),
    ],
)
def test_what_can_not_be_set_is_refused_by_name_and_changes_nothing(body: Any, code: str, field: str | None) -> None:
    user = make()
    answer = Staff("owner").patch(f"quotas/{user.pk}", **body)
    assert refusal(answer)[1:] == (code, field)
    assert not Override.objects.exists() and not AuditEntry.objects.exists()


def test_an_override_of_somebody_else_is_not_ended() -> None:
    support, user = Staff("support"), make()
    support.patch(f"quotas/{user.pk}", tokens=5, reason="x")
    other = Override.objects.get()
    assert support.patch(f"quotas/{make().pk}", end_override=str(other.pk), reason="x").status_code == 404
    other.refresh_from_db()
    assert other.ended_at is None


def test_disabling_somebody_ends_what_they_are_signed_in_by() -> None:
    owner, user = Staff("owner"), make()
    theirs = Client()
    theirs.force_login(user)
    assert owner.patch(f"users/{user.pk}", is_active=False, reason="abuse").json()["is_active"] is False
    assert who(theirs) is None
    assert owner.patch(f"users/{user.pk}", is_active=True, sign_out=True, reason="x").status_code == 400
    assert owner.patch(f"users/{user.pk}", is_active=True, reason="a mistake").json()["is_active"] is True
    assert who(theirs) is None
    assert set(AuditEntry.objects.values_list("action", "reason")) == {
        ("user.disabled", "abuse"),
        ("user.enabled", "a mistake"),
    }


def test_finance_gives_a_plan_until_a_day() -> None:
    finance, user = Staff("finance"), make()
    until = utc_text(now() + timedelta(days=10))
    assert finance.patch(f"users/{user.pk}", plan="pro", until=until, reason="trial").json()["plan"] == "pro"
    assert standing(user.pk).terms.plan == "pro"
    assert standing(user.pk, now() + timedelta(days=11)).terms.plan == "free"
    assert AuditEntry.objects.get(action="plan.granted").actor_id == finance.user.pk
    assert refusal(finance.patch(f"users/{user.pk}", plan="gold", reason="x")) == (404, "plan_not_found", "plan")


def test_no_field_of_a_person_can_be_written_but_those() -> None:
    user = make()
    before = User.objects.filter(pk=user.pk).values().get()
    for field in ("role", "email", "is_staff", "password", "token_epoch", "current_subscription"):
        answer = Staff("owner").patch(f"users/{user.pk}", **{field: "owner", "reason": "x"})
        assert refusal(answer)[1] == "unknown_field"
    assert User.objects.filter(pk=user.pk).values().get() == before


def test_subscriptions_are_listed_and_one_that_is_not_there_can_not_be_ended() -> None:
    finance, row = Staff("finance"), subscribed(make("ravi@example.com"))
    (found,) = finance.get("subscriptions", q="ravi", status="active").json()["results"]
    assert (found["id"], found["plan"], found["interval"]) == (str(row.pk), "pro", "month")
    assert found["amount"] == row.price.amount_paise
    assert finance.get("subscriptions", status="halted").json()["results"] == []
    assert finance.get(f"subscriptions/{row.pk}").json() == found
    assert finance.patch(f"subscriptions/{uuid7()}", cancel="now", reason="x").status_code == 404
    assert refusal(finance.patch(f"subscriptions/{row.pk}", cancel="never", reason="x"))[1:] == (
        "invalid_value",
        "cancel",
    )
    assert refusal(finance.patch(f"subscriptions/{row.pk}", cancel="now"))[2] == "reason"


def test_a_dead_event_is_replayed_once_and_its_body_stays_on_the_desk() -> None:
    finance = Staff("finance")
    event = WebhookEvent.objects.create(event_id="evt_1", event_type="payment.captured", body="{}", state="dead")
    (shown,) = finance.get("webhooks", state="dead").json()["results"]
    assert shown["id"] == str(event.pk) and "body" not in shown
    answer = finance.post(f"webhooks/{event.pk}/replay")
    assert (answer.status_code, answer.json()["state"], answer.json()["attempts"]) == (202, "waiting", 0)
    assert AuditEntry.objects.get(action="webhook.replayed").actor_id == finance.user.pk
    WebhookEvent.objects.filter(pk=event.pk).update(body="")
    assert refusal(finance.post(f"webhooks/{event.pk}/replay"))[:2] == (409, "conflict")


def test_the_audit_is_searched_by_text_action_person_and_time() -> None:
    support, user = Staff("support"), make("meera@example.com")
    audit.record("somebody", "quota.set", user.pk, target="*", reason="a goodwill gesture")
    audit.record("somebody", "plan.granted", target="pro")
    assert [row["action"] for row in support.get("audit", q="goodwill").json()["results"]] == ["quota.set"]
    assert [row["action"] for row in support.get("audit", q=str(user.pk)).json()["results"]] == ["quota.set"]
    assert [row["action"] for row in support.get("audit", action="plan.").json()["results"]] == ["plan.granted"]
    assert support.get("audit", action="plan").json()["results"] == []
    assert len(support.get("audit", from_=now().date().isoformat()).json()["results"]) == 2
    assert support.get("audit", to="2020-01-01").json()["results"] == []
    assert refusal(support.get("audit", from_="yesterday")) == (400, "invalid_value", "from")


def test_a_person_sees_their_own_entries_without_the_names_of_staff() -> None:
    support, user = Staff("support"), make()
    support.patch(f"quotas/{user.pk}", tokens=5, reason="a gift")
    audit.record(user.email, "api_key.created", user.pk, target="laptop", actor_id=user.pk)
    audit.record("somebody", "quota.set", make().pk)
    seen = [deed(entry, user) for entry in audit.about(user.pk)]
    assert [(row["by"], row["action"]) for row in seen] == [("you", "api_key.created"), ("staff", "quota.set")]
    assert support.user.email not in str(seen)


def test_analytics_as_csv_has_the_rows_of_the_json() -> None:
    owner = Staff("owner")
    subscribed(make())
    body = owner.get("analytics", group="plan").json()
    table = list(csv.DictReader(io.StringIO(owner.get("analytics", group="plan", format="csv").content.decode())))
    assert [row["plan"] for row in table] == [row["plan"] for row in body["results"]]
    assert refusal(owner.get("analytics", group="key")) == (400, "invalid_value", "group")
    assert refusal(owner.get("analytics", from_="2026-02-02", to="2026-01-01")) == (400, "invalid_value", "from")
    assert refusal(owner.get("analytics", from_="1999-01-01", to="2026-01-01")) == (400, "invalid_value", "from")


def test_the_account_of_a_team_has_a_quota_and_is_nobody() -> None:
    team = team_of(make(), make())
    desk = Staff("support")
    assert str(team.pk) not in {row["id"] for row in desk.get("users").json()["results"]}
    rows = desk.get("quotas").json()["results"]
    assert [row["plan"] for row in rows if row["user"]["id"] == str(team.pk)] == ["none"]  # nobody pays for it yet


def test_a_limit_that_is_none_is_said_of_a_table_too() -> None:
    assert refusal(Staff("owner").get("analytics", format="csv", limit="null")) == (400, "invalid_value", "limit")


def test_a_parameter_that_may_be_empty_counts_as_left_out() -> None:
    owner = Staff("owner")
    document = owner.client.get("/api/schema").json()
    asked = [
        (path, parameter["name"])
        for path, operations in document["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", ())
        if parameter.get("allowEmptyValue") and "{" not in path
    ]
    assert len(asked) > 20
    for path, name in asked:
        empty, left_out = owner.client.get(path, {name: ""}), owner.client.get(path)
        assert (empty.status_code, empty.content) == (200, left_out.content), (path, name)
