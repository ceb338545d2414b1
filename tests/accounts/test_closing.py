"""A copy of everything, and the end of an account: who may, what waits, what goes and what stays."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.files.storage import default_storage
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import apikeys, closing, exporting, sign_ins, teams
from accounts.models import AuditEntry, Closing, Export, Membership, User
from billing.models import BillingDetails, Plan, Price, Subscription
from chat import attachment_store, attachments
from chat.attachment_models import Attachment
from chat.models import Conversation, Folder, Generation, Message, Turn
from chat.preset_models import Preset
from content.models import DocsFeedback, DocsPage
from oneai.kit import clock
from oneai.kit.clock import now, uuid7
from tests.accounts.people import PASSWORD, Google, browser, make, sign_in, who
from tests.chat.people import Api, conversation, message

pytestmark = pytest.mark.django_db
SECRET = "the pelican flies at midnight"


@pytest.fixture
def user() -> User:
    return make("leaver@example.com", name="Lena Leaver")


@pytest.fixture
def api(user: User) -> Api:
    return Api(sign_ins.open_program(user, user_agent="", address="192.0.2.77").access_token)


@pytest.fixture(autouse=True)
def _files_in_memory(settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}


def error(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["param"]


def furnish(user: User) -> None:
    """Something of everything that an account may have."""
    folder = Folder.objects.create(user=user, name="Pelicans")
    talk = conversation(user, "Pelicans", system=SECRET, folder=folder)
    message(talk, SECRET)
    Turn.objects.create(user=user, conversation=None, door="v1")
    Preset.objects.create(user=user, name="Pelican", prompt=SECRET)
    plain = {"kind": "text", "content_type": "text/plain", "size": len(SECRET), "stored_at": now()}
    kept = Attachment.objects.create(user=user, name="Pelican.txt", text=SECRET, **plain)
    attachment_store.save(kept.pk, SECRET.encode())
    apikeys.mint(user, "Lena's laptop")
    BillingDetails.objects.create(user=user, name="Lena Leaver", address="Pelican Lane 1")
    page = DocsPage.objects.first() or DocsPage.objects.create(slug="a", title="A")
    DocsFeedback.objects.create(page=page, user=user, helpful=True, comment=SECRET)
    AuditEntry.objects.create(
        actor_label=user.email, actor_id=user.pk, action="x.y", subject_id=user.pk, details={"who": [user.email]}
    )


def content_of(answer: Any) -> bytes:
    """The whole of a streamed answer."""

    async def read() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(read)()


def finish(user: User) -> None:
    """Let the days of grace and the pause pass, with the worker at its work."""
    with clock.travel(closing.GRACE + timedelta(minutes=1)):
        closing.work()
    with clock.travel(closing.GRACE + closing.PAUSE + timedelta(minutes=2)):
        closing.work()
    user.refresh_from_db()


def everywhere(text: str) -> list[str]:
    """The tables that hold ``text`` anywhere."""
    return [
        model._meta.db_table
        for model in apps.get_models()
        for row in model._base_manager.values_list()
        if any(text in str(bytes(value) if isinstance(value, memoryview) else value) for value in row)
    ]


# A copy ------------------------------------------------------------------------------------------
def test_the_worker_makes_a_zip_of_everything_which_its_owner_alone_can_fetch_for_a_week(user: User, api: Api) -> None:
    furnish(user)
    asked = api.post("/api/user/export")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    assert api.post("/api/user/export").json()["id"] == asked.json()["id"]
    assert api.get(f"/api/user/export/{asked.json()['id']}").status_code == 404
    while exporting.make_due():
        pass
    row = api.get("/api/user/export").json()["results"][0]
    assert row["state"] == "ready"
    assert [letter.to for letter in mail.outbox if "data is ready" in letter.subject] == [[user.email]]
    answer = api.get(row["url"])
    assert answer["Content-Type"] == "application/zip" and "attachment" in answer["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(content_of(answer))) as archive:
        names = archive.namelist()
        whole = {name: archive.read(name).decode() for name in names}
    assert {"profile.json", "usage.json", "billing.json", "api-keys.json", "history.json"} <= set(names)
    talk = json.loads(next(text for name, text in whole.items() if name.startswith("conversations/")))
    assert talk["messages"][0]["content"] == SECRET
    assert next(text for name, text in whole.items() if name.endswith("/Pelican.txt")) == SECRET
    key = user.api_keys.get()
    assert key.digest not in str(whole) and key.prefix in whole["api-keys.json"]
    stranger = Api(sign_ins.open_program(make(), user_agent="", address="").access_token)
    assert error(stranger.get(row["url"]))[:2] == error(stranger.get(f"/api/user/export/{uuid7()}"))[:2]
    with clock.travel(exporting.KEPT + timedelta(minutes=1)):
        assert not exporting.of(user.pk)
        exporting.make_due()
    assert not Export.objects.exists()


def test_the_page_asks_for_a_copy_and_gives_it(user: User) -> None:
    client = Client()
    sign_in(client, user)
    assert client.post("/settings/data/export").status_code == 302
    assert "Being made" in client.get("/settings/data").content.decode()
    exporting.make_due()
    link = f"/settings/data/export/{Export.objects.get().pk}"
    assert link in client.get("/settings/data").content.decode()
    assert client.get(link)["Content-Type"] == "application/zip"
    assert Client().get(link).status_code == 302


# The end -----------------------------------------------------------------------------------------
def test_deleting_needs_proof_ends_keys_at_once_and_can_be_undone(user: User, api: Api) -> None:
    key = apikeys.mint(user)[1]
    assert error(api.post("/api/user/delete", {})) == (400, "missing_required_parameter", "password")
    assert error(api.post("/api/user/delete", {"password": "wrong"})) == (400, "invalid_value", "password")
    assert error(api.delete("/api/user/delete"))[:2] == (409, "nothing_to_undo")
    due = api.post("/api/user/delete", {"password": PASSWORD}).json()["due_at"]
    assert api.post("/api/user/delete", {"password": PASSWORD}).json()["due_at"] == due
    assert error(Api(key).get("/api/auth/session"))[:2] == (401, "invalid_api_key")
    assert api.get("/api/user/delete").json()["due_at"] == due
    assert api.delete("/api/user/delete").status_code == 204
    finish(user)
    assert user.is_active and user.email == "leaver@example.com"
    assert Closing.objects.get().state == "undone"


def test_somebody_without_a_password_types_their_address(google: Google) -> None:
    client = browser()
    google.sign_in(client, "asha@example.com", sub="1001")
    assert client.post("/settings/data/delete", {"email": "other@example.com"}).status_code == 400
    assert client.post("/settings/data/delete", {"email": "asha@example.com"})["Location"] == "/settings/data"
    assert "Keep my account" in client.get("/settings/data").content.decode()
    client.post("/settings/data/keep")
    assert Closing.objects.get().state == "undone"


def test_after_the_days_of_grace_nothing_names_the_person_any_more(user: User, api: Api) -> None:
    furnish(user)
    session = Client()
    sign_in(session, user)
    api.post("/api/user/delete", {"password": PASSWORD})
    finish(user)
    assert who(session) is None and not Session.objects.exists()
    assert (user.is_active, user.name, user.email) == (False, "", f"{user.pk.hex}@erased.invalid")
    assert not Conversation.objects.exists() and not Message.objects.exists() and not Turn.objects.exists()
    for text in (SECRET, "leaver@example.com", "Lena", "Pelican", "192.0.2.77"):
        assert everywhere(text) == []
    kept = Attachment.objects.get()
    attachments.remove_unneeded()
    assert not Attachment.objects.exists() and not default_storage.exists(attachment_store._key(kept.pk))
    record = Closing.objects.get()
    assert (record.state, record.user_id) == ("erased", user.pk) and record.counts["chat"] >= 3
    assert AuditEntry.objects.filter(action="account.erased", subject_id=user.pk).exists()
    again = make("leaver@example.com")
    assert again.pk != user.pk


def test_what_still_runs_comes_to_its_end_first(user: User) -> None:
    turn = Turn.objects.create(user=user, door="api")
    running = Generation.objects.create(turn=turn, user=user, model_id="m", hold_id=uuid7())
    closing.ask(user)
    finish(user)
    assert not user.is_active and Turn.objects.exists() and Closing.objects.get().state == "closed"
    Generation.objects.filter(pk=running.pk).update(state="complete")
    finish(user)
    assert not Turn.objects.exists() and Closing.objects.get().state == "erased"


def test_the_owner_of_a_team_hands_it_over_first(user: User, api: Api) -> None:
    team, other = teams.create_team(user, "Pelicans", seats=2), make()
    Membership.objects.create(team=team, user=other, role="member")
    assert error(api.post("/api/user/delete", {"password": PASSWORD}))[:2] == (409, "owner_must_stay")
    Membership.objects.filter(user=other).delete()
    assert api.post("/api/user/delete", {"password": PASSWORD}).status_code == 202
    finish(user)
    team.refresh_from_db()
    assert team.state == "deleted" and not Membership.objects.exists()


def test_whoever_is_charged_again_cancels_first(user: User, api: Api) -> None:
    price = Price.objects.select_related("plan").first() or Price.objects.create(
        plan=Plan.objects.get(code="plus"), version=1, interval="month", amount_paise=100
    )
    row = Subscription.objects.create(user=user, plan=price.plan, price=price, status="active")
    assert error(api.post("/api/user/delete", {"password": PASSWORD}))[:2] == (409, "subscription_running")
    Subscription.objects.filter(pk=row.pk).update(cancel_at_cycle_end=True)
    assert api.post("/api/user/delete", {"password": PASSWORD}).status_code == 202
    finish(user)
    assert Closing.objects.get().state == "closed"  # Razorpay has not been told yet
    Subscription.objects.filter(pk=row.pk).update(cancel_sent_at=now())
    finish(user)
    assert Closing.objects.get().state == "erased" and Subscription.objects.filter(user=user).exists()


def test_who_has_a_team_to_hand_over_by_then_keeps_the_account(user: User) -> None:
    closing.ask(user)
    team = teams.create_team(user, "Pelicans", seats=2)
    Membership.objects.create(team=team, user=make(), role="member")
    finish(user)
    assert user.is_active and Closing.objects.get().state == "undone"
    assert "Your account stays" in mail.outbox[-1].subject
