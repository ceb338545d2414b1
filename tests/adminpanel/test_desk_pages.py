"""The desk's own pages: who may see and do what, overrides, replay, switches; nobody reads what people write."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import TABLE
from adminpanel.desk.doors import PAGES
from billing.models import WebhookEvent
from chat.models import AIModel, Conversation, Generation, Turn
from content.models import Author, Banner, DocsFeedback, DocsPage, DocsSearch
from oneai.kit.clock import now, uuid7
from quotas.models import Hold
from quotas.reading import standing
from tests.accounts.people import make
from tests.adminpanel.staff import ROLES
from tests.billing import paid
from tests.billing.rows import subscribed
from tests.chat.people import conversation, message

pytestmark = pytest.mark.django_db
SECRET = "What she wrote in confidence"


def desk(role: str) -> Client:
    client = Client()
    client.force_login(make(role=role), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(client: Client, name: str, *arguments: Any, **query: Any) -> Any:
    return client.get(reverse(f"admin:{name}", args=arguments), query)


def do(client: Client, user: User, deed: str, **fields: Any) -> Any:
    form = {f"{deed}-{name}": value for name, value in fields.items()} | {"what_for": deed}
    return client.post(reverse("admin:desk_person", args=[user.pk]), form)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_the_pages_that_the_table_gives_it_and_links_to_no_other(role: str) -> None:
    client = desk(role)
    index = client.get("/admin/").content.decode()
    for each in PAGES:
        allowed = role in TABLE[each.permission]
        assert page(client, each.name).status_code == (200 if allowed else 403), each.name
        assert (reverse(f"admin:{each.name}") in index) == allowed
    assert "style=" not in page(client, "desk_people").content.decode()


def test_a_customer_is_sent_away() -> None:
    client = desk("user")
    for each in PAGES:
        assert page(client, each.name).status_code in (302, 403)


def test_somebody_who_is_found_alone_is_opened_and_given_a_limit_with_its_reason() -> None:
    support, user = desk("support"), make("meera.rao@example.com", name="Meera")
    make("other@example.com")
    found = page(support, "desk_people", q="meera.r")
    assert found["Location"] == reverse("admin:desk_person", args=[user.pk])
    answer = do(support, user, "limit", tokens="200,000", usd="", scope="*", reason="a launch")
    assert answer.status_code == 302
    assert standing(user.pk).limits[0].limit == 200_000
    entry = AuditEntry.objects.get(action="quota.set")
    assert (entry.subject_id, entry.reason) == (user.pk, "a launch")
    text = support.get(answer["Location"]).content.decode()
    assert "200,000" in text and "a launch" in text
    assert do(support, user, "tokens", extra="5000", reason="sorry").status_code == 302
    assert do(support, user, "rates", requests_per_minute="unlimited", reason="x").status_code == 302
    assert standing(user.pk).terms.requests_per_minute is None


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("limit", {"tokens": "5", "scope": "*", "reason": ""}),
        ("limit", {"tokens": "", "usd": "", "scope": "*", "reason": "x"}),
        ("limit", {"tokens": "many", "scope": "*", "reason": "x"}),
        ("limit", {"tokens": "5", "scope": "no/model", "reason": "x"}),
        ("limit", {"tokens": "5", "scope": "*", "until": "2001-01-01", "reason": "x"}),
        ("tokens", {"extra": "0", "reason": "x"}),
        ("end", {"override": str(uuid7()), "reason": "x"}),
    ],
)
def test_a_form_that_can_not_be_kept_says_why_and_changes_nothing(what: str, fields: dict[str, str]) -> None:
    support, user = desk("support"), make()
    answer = do(support, user, what, **fields)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode() or "desk__fault" in answer.content.decode()
    assert not AuditEntry.objects.exists()


def test_support_changes_no_money_and_finance_no_quota() -> None:
    user = make()
    row = subscribed(user)
    before = User.objects.filter(pk=user.pk).values().get()
    for what, fields in (
        ("plan", {"plan": "pro", "reason": "x"}),
        ("cancel", {"subscription": str(row.pk), "when": "now", "reason": "x"}),
        ("standing", {"what": "disable", "reason": "x"}),
    ):
        assert do(desk("support"), user, what, **fields).status_code == 403
    assert page(desk("support"), "desk_money").status_code == 403
    rate = {"since": "2026-01-01", "rupees": "85", "reason": "x"}
    assert desk("support").post(reverse("admin:desk_money"), rate).status_code == 403
    assert do(desk("finance"), user, "limit", tokens="5", scope="*", reason="x").status_code == 403
    payment = paid.payment(user)
    for role in ("support", "finance"):
        for address in (f"billing/payment/{payment.pk}/change/", f"billing/subscription/{row.pk}/change/"):
            assert desk(role).post(f"/admin/{address}", {"amount_paise": "1", "status": "active"}).status_code == 403
    assert User.objects.filter(pk=user.pk).values().get() == before
    assert not AuditEntry.objects.exists()


def test_finance_reads_the_figures_and_says_what_a_dollar_costs() -> None:
    finance = desk("finance")
    made = paid.subscribed(paid.person(name="Asha"), "plus")
    text = page(finance, "desk_money").content.decode()
    assert f"₹{made.amount_paise // 100}" in text and "<svg" in text and "Say below what a dollar costs" in text
    rate = {"since": "2020-01-01", "rupees": "85.50", "reason": "the bank's"}
    assert finance.post(reverse("admin:desk_money"), rate).status_code == 302
    assert "₹85.50" in page(finance, "desk_money").content.decode()
    assert AuditEntry.objects.get(action="exchange.set").reason == "the bank's"
    assert (
        "The first day comes after"
        in page(finance, "desk_money", to="2020-01-01", **{"from": "2021-01-01"}).content.decode()
    )


def test_dead_letters_are_shown_and_handled_again() -> None:
    finance = desk("finance")
    event = WebhookEvent.objects.create(
        event_id="evt_1", event_type="payment.captured", body="{}", state="dead", last_error="the amount <b>differs</b>"
    )
    text = page(finance, "desk_webhooks").content.decode()
    assert "evt_1" in text and "&lt;b&gt;differs" in text
    assert desk("support").post(reverse("admin:desk_webhooks"), {"event": str(event.pk)}).status_code == 403
    finance.post(reverse("admin:desk_webhooks"), {"event": [str(event.pk), "nonsense"], "reason": "fixed"})
    event.refresh_from_db()
    assert event.state == "waiting"
    assert AuditEntry.objects.get(action="webhook.replayed").reason == "fixed"


def _asked(user: User, model: str, **more: Any) -> Generation:
    turn = Turn.objects.create(user=user, door="api")
    return Generation.objects.create(turn=turn, user=user, model_id=model, hold_id=uuid7(), **more)


def test_a_failing_model_is_switched_off_with_one_click_and_a_stuck_call_looked_at() -> None:
    owner, user = desk("owner"), make()
    model = AIModel.objects.create(slug="maker/model", upstream_slug="maker/model", name="Model")
    _asked(user, "maker/model", state="failed", error={"code": "upstream_error", "message": SECRET})
    hold = Hold.objects.create(
        user=user, reference="generation:x", state="orphaned", model_id="maker/model", max_tokens=1, tokens=1,
        nano_usd=1, period_start=now(), heartbeat_at=now() - timedelta(minutes=5),
        check_at=now() + timedelta(hours=1),
    )  # fmt: skip
    text = page(owner, "desk_engine").content.decode()
    assert "maker/model" in text and "upstream_error" in text and hold.reference in text and SECRET not in text
    address = reverse("admin:desk_engine")
    assert desk("support").post(address, {"what": "off", "id": str(model.pk)}).status_code == 403
    owner.post(address, {"what": "off", "id": str(model.pk)})
    model.refresh_from_db()
    assert not model.is_enabled and AuditEntry.objects.filter(action="model.switched_off").exists()
    owner.post(address, {"what": "look", "id": str(hold.pk)})
    hold.refresh_from_db()
    assert hold.check_at is not None and hold.check_at <= now()
    assert owner.post(address, {"what": "off", "id": "x"}).status_code == 404


def test_ratings_and_searches_in_vain() -> None:
    guide = DocsPage.objects.create(slug="quota", title="Quota <x>", section="Using", body="", html="", text="")
    DocsFeedback.objects.create(page=guide, helpful=False, comment="What is a <b>hold</b>?")
    DocsSearch.objects.create(query="refund policy", times=7, found=0)
    DocsSearch.objects.create(query="api keys", times=9, found=3)
    text = page(desk("support"), "desk_readers").content.decode()
    assert "refund policy" in text and "&lt;b&gt;hold" in text and "Quota &lt;x&gt;" in text


def test_a_banner_stands_on_every_page_until_it_is_taken_down() -> None:
    owner = desk("owner")
    given = {"text": "Down for <maintenance> at ten", "level": "warning", "starts": "", "until": ""}
    assert desk("support").post(reverse("admin:desk_banner"), given).status_code == 403
    assert owner.post(reverse("admin:desk_banner"), given).status_code == 302
    for path in ("/", "/pricing", "/login"):
        assert "Down for &lt;maintenance&gt; at ten" in Client().get(path).content.decode()
    past = given | {"until": "2020-01-01T10:00"}
    assert owner.post(reverse("admin:desk_banner"), past).status_code == 400
    owner.post(reverse("admin:desk_banner"), {"id": str(Banner.objects.get().pk)})
    assert "maintenance&gt;" not in Client().get("/").content.decode()
    assert list(AuditEntry.objects.order_by("at").values_list("action", flat=True)) == [
        "banner.put_up",
        "banner.taken_down",
    ]


def test_the_banner_of_later_waits_and_one_that_has_ended_is_gone() -> None:
    owner = desk("owner")
    later = (now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    owner.post(reverse("admin:desk_banner"), {"text": "Tomorrow", "level": "info", "starts": later, "until": ""})
    assert Banner.objects.count() == 1
    assert "Tomorrow" not in Client().get("/").content.decode()


def test_no_page_of_the_desk_shows_what_somebody_wrote() -> None:
    user = make()
    talk = conversation(user, SECRET, system=SECRET, tags=[SECRET], metadata={"note": SECRET})
    message(talk, SECRET, id=talk.pk, reasoning=SECRET, error={"code": "x", "message": SECRET})
    _asked(user, "maker/model", state="failed", error={"code": "x", "message": SECRET}, message_id=talk.pk)
    owner = desk("owner")
    looked_at = 0
    addresses = [reverse(f"admin:{each.name}") for each in PAGES] + [reverse("admin:desk_person", args=[user.pk])]
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses.append(reverse(f"{base}_changelist"))
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            addresses.append(reverse(f"{base}_change", args=[row.pk]))
    for address in addresses:
        answer = owner.get(address)
        assert answer.status_code in (200, 302), address
        assert SECRET not in answer.content.decode(), address
        looked_at += 1
    assert looked_at > 30
    assert Conversation in admin.site._registry


def test_what_django_s_own_forms_do_is_in_the_audit_too() -> None:
    owner = desk("owner")
    owner.post("/admin/content/author/add/", {"slug": "asha", "name": "Asha", "about": ""})
    author = Author.objects.get(slug="asha")
    owner.post("/admin/content/author/asha/change/", {"slug": "asha", "name": "Asha Rao", "about": ""})
    owner.post("/admin/content/author/asha/delete/", {"post": "yes"})
    DocsSearch.objects.create(query="spam")
    owner.post("/admin/content/docssearch/", {"action": "delete_selected", "_selected_action": ["spam"], "post": "yes"})
    found = list(AuditEntry.objects.order_by("at", "id").values_list("action", "target"))
    assert found == [
        ("author.added", str(author)),
        ("author.changed", "Asha Rao"),
        ("author.deleted", "Asha Rao"),
        ("docssearch.deleted", "spam"),
    ]


def test_the_audit_on_the_desk_is_searched_and_never_edited() -> None:
    support, user = desk("support"), make()
    entry = audit.record("somebody", "quota.set", user.pk, reason="goodwill")
    assert "goodwill" in support.get("/admin/accounts/auditentry/", {"q": str(user.pk)}).content.decode()
    change = reverse("admin:accounts_auditentry_change", args=[entry.pk])
    assert support.post(change, {"reason": "other"}).status_code == 403
    assert re.search("goodwill", support.get(change).content.decode())
