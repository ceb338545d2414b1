"""The staff desk: models can be switched and priced there, and what people write can't be read."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry, Role, User
from chat import catalog
from chat.models import (
    AIModel,
    Generation,
    ModelPrice,
    Turn,
    UpstreamFinding,
    UpstreamReconciliation,
    UpstreamSpending,
)
from oneai.kit import clock
from tests.chat.people import conversation, message, person
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db

PAGES = [
    "conversation", "aimodel", "modelprice", "turn", "generation", "upstreamreconciliation", "upstreamfinding",
    "upstreamspending",
]  # fmt: skip


def desk(role: str) -> Client:
    staff = person(f"{role}-staff")
    User.objects.filter(pk=staff.pk).update(role=role)
    client = Client()
    client.force_login(User.objects.get(pk=staff.pk))
    return client


@pytest.fixture
def rows(alice: User, models: UpstreamCatalogue) -> dict[str, Any]:
    """One row of everything, with a secret wherever a person could have written one."""
    talk = conversation(alice, "SECRET title", system="SECRET system", tags=["SECRET"], metadata={"k": "SECRET"})
    said = message(talk, "SECRET text", metadata={"k": "SECRET"})
    turn = Turn.objects.create(
        user=alice, conversation=talk, user_message_id=said.pk, door="api", context={"x": "SECRET"}
    )
    generation = Generation.objects.create(
        turn=turn, user=alice, model_id="cheap/small", hold_id=clock.uuid7(),
        error={"code": "content_refused", "message": "SECRET"},
    )  # fmt: skip
    day = clock.now().date()
    finding = UpstreamFinding.objects.create(
        day=day, kind="corrected", record_id=clock.uuid7(), model_id="cheap/small", recorded_at=clock.now(),
        tokens_before=1, nano_usd_before=2, tokens_billed=3, nano_usd_billed=4,
    )  # fmt: skip
    return {
        "upstreamreconciliation": UpstreamReconciliation.objects.create(day=day, checked=3),
        "upstreamfinding": finding,
        "upstreamspending": UpstreamSpending.objects.create(at=clock.now(), unexplained_nano_usd=-5),
        "conversation": talk,
        "aimodel": AIModel.objects.get(slug="cheap/small"),
        "modelprice": ModelPrice.objects.first(),
        "turn": turn,
        "generation": generation,
    }


@pytest.mark.parametrize("role", [Role.OWNER, Role.SUPPORT, Role.FINANCE])
@pytest.mark.parametrize("table", PAGES)
def test_staff_see_every_page_and_nothing_that_was_written(rows: dict[str, Any], table: str, role: str) -> None:
    client = desk(role)
    for path in ("", f"{rows[table].pk}/change/", "?q=alice"):
        response = client.get(f"/admin/chat/{table}/{path}")
        assert response.status_code == 200, path
        assert b"SECRET" not in response.content


@pytest.mark.parametrize("table", PAGES)
def test_others_are_kept_out(rows: dict[str, Any], alice: User, table: str) -> None:
    visitor, user = Client(), Client()
    user.force_login(alice)
    assert visitor.get(f"/admin/chat/{table}/").status_code == 302
    assert user.get(f"/admin/chat/{table}/").status_code in {302, 403}


@pytest.mark.parametrize("table", ["conversation", "turn", "generation", "modelprice"])
def test_forged_changes_and_deletions_change_nothing(rows: dict[str, Any], table: str) -> None:
    client, row = desk(Role.OWNER), rows[table]
    before = type(row).objects.filter(pk=row.pk).values().get()
    forged = {"title": "x", "user": "", "prompt_pico_usd": "0", "version": "9", "post": "yes"}
    for action in ("change", "delete"):
        assert client.post(f"/admin/chat/{table}/{row.pk}/{action}/", forged).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    client.post(f"/admin/chat/{table}/", chosen)
    assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_the_owner_switches_a_model_off_and_nothing_else_of_it(rows: dict[str, Any]) -> None:
    client, model = desk(Role.OWNER), rows["aimodel"]
    forged = {"slug": "evil/model", "name": "Evil", "upstream": "evil", "is_listed": "on"}
    assert client.post(f"/admin/chat/aimodel/{model.pk}/change/", forged).status_code == 302
    model.refresh_from_db()
    assert (model.is_enabled, model.slug, model.name, model.upstream) == (False, "cheap/small", "Small", "openrouter")
    assert AuditEntry.objects.get(action="model.switched_off").target == "cheap/small"
    assert not catalog.refresh().models["cheap/small"].usable


def test_the_owner_names_who_answers_when_a_model_can_not(rows: dict[str, Any]) -> None:
    client, model = desk(Role.OWNER), rows["aimodel"]
    other = AIModel.objects.exclude(pk=model.pk).order_by("slug")[0].slug
    path = f"/admin/chat/aimodel/{model.pk}/change/"
    for wrong, why in ((f"{other}\nno/such", "Not in the catalogue: no/such"), (model.slug, "stand in for itself")):
        answer = client.post(path, {"is_enabled": "on", "fallback_slugs": wrong})
        assert answer.status_code == 200
        assert why in answer.content.decode()
    assert client.post(path, {"is_enabled": "on", "fallback_slugs": f" {other}\r\n{other} "}).status_code == 302
    assert catalog.refresh().models[model.slug].fallbacks == (other,)
    entry = AuditEntry.objects.get(action="model.fallbacks")
    assert (entry.target, entry.details) == (model.slug, {"before": [], "after": [other]})
    assert client.post(path, {"is_enabled": "on", "fallback_slugs": ""}).status_code == 302
    assert catalog.refresh().models[model.slug].fallbacks == ()


def test_several_models_are_switched_at_once(rows: dict[str, Any]) -> None:
    client = desk(Role.OWNER)
    chosen = [str(pk) for pk in AIModel.objects.values_list("pk", flat=True)]
    client.post("/admin/chat/aimodel/", {"action": "switch_off", "_selected_action": chosen})
    assert not AIModel.objects.filter(is_enabled=True).exists()
    client.post("/admin/chat/aimodel/", {"action": "switch_on", "_selected_action": chosen})
    assert not AIModel.objects.filter(is_enabled=False).exists()
    assert AuditEntry.objects.filter(action__startswith="model.switched").count() == 4


def test_support_can_neither_switch_nor_price(rows: dict[str, Any]) -> None:
    client, model = desk(Role.SUPPORT), rows["aimodel"]
    client.post("/admin/chat/aimodel/", {"action": "switch_off", "_selected_action": [str(model.pk)]})
    assert client.post(f"/admin/chat/aimodel/{model.pk}/change/", {}).status_code == 403
    assert client.post("/admin/chat/modelprice/add/", {}).status_code == 403
    model.refresh_from_db()
    assert model.is_enabled


class TestStaffPrice:
    def form(self, rows: dict[str, Any], **changes: str) -> dict[str, str]:
        given = {"model": str(rows["aimodel"].pk), "prompt": "1.5", "completion": "3", "reason": "cheaper contract"}
        return given | changes

    def test_becomes_the_next_version_and_is_in_force(self, rows: dict[str, Any]) -> None:
        response = desk(Role.OWNER).post("/admin/chat/modelprice/add/", self.form(rows, request_usd="0.000000001"))
        assert response.status_code == 302
        price = catalog.refresh().models["cheap/small"].price
        assert price is not None
        assert (price.prompt_pico, price.completion_pico, price.cached_pico) == (1_500_000, 3_000_000, None)
        assert price.request_nano == 1
        saved = ModelPrice.objects.get(pk=price.id)
        assert (saved.version, saved.source) == (2, "staff")
        entry = AuditEntry.objects.get(action="model.priced")
        assert (entry.target, entry.reason) == ("cheap/small", "cheaper contract")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"prompt": "-1"},
            {"prompt": "NaN"},
            {"prompt": "Infinity"},
            {"prompt": ""},
            {"completion": "cheap"},
            {"completion": "1000001"},
            {"cached": "-0.1"},
            {"request_usd": "101"},
            {"prompt": "0.0000001"},
            {"model": "01a204fa-0000-7000-8000-000000000000"},
            {"reason": ""},
        ],
    )
    def test_is_refused_when_it_makes_no_sense(self, rows: dict[str, Any], wrong: dict[str, str]) -> None:
        before = ModelPrice.objects.count()
        response = desk(Role.OWNER).post("/admin/chat/modelprice/add/", self.form(rows, **wrong))
        assert response.status_code == 200
        assert ModelPrice.objects.count() == before
