"""The staff desk: what can be seen and done there, and that nobody is given a role by a form."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import apikeys, audit
from accounts.models import ApiKey, AuditEntry, OutgoingMail, User
from tests.accounts.people import PASSWORD, make, who

pytestmark = pytest.mark.django_db


def desk(role: str = "owner") -> Client:
    client = Client()
    client.force_login(make(role=role, email=f"{role}@example.com"))
    return client


def change(client: Client, user: User, **fields: Any) -> Any:
    form = {"name": user.name, "is_active": "on", "locale": user.locale, "timezone": user.timezone, **fields}
    return client.post(f"/admin/accounts/user/{user.pk}/change/", {k: v for k, v in form.items() if v is not None})


@pytest.mark.parametrize("model", ["user", "apikey", "auditentry", "outgoingmail"])
def test_lists_show_and_search(model: str) -> None:
    user = make(name="Asha")
    apikeys.mint(user)
    audit.record("test", "something.done", user.pk)
    OutgoingMail.objects.create(to=[user.email], message=b"The code is AAAA-BBBB", subject="Your code")
    for role in ("owner", "support"):
        client = desk(role)
        assert client.get(f"/admin/accounts/{model}/", {"q": "a"}).status_code == 200


def test_no_field_that_gives_rights_can_be_posted() -> None:
    user = make()
    before = User.objects.filter(pk=user.pk).values().get()
    answer = change(
        desk(),
        user,
        name="New name",
        role="owner",
        email="other@example.com",
        google_id="1",
        is_staff="on",
        is_superuser="on",
        current_subscription="pro",
        token_epoch="9",
        password="x",
    )
    assert answer.status_code == 302
    after = User.objects.filter(pk=user.pk).values().get()
    assert {name for name in after if after[name] != before[name]} == {"name", "updated_at"}
    entry = AuditEntry.objects.get()
    assert (entry.actor_label, entry.action, entry.subject_id) == ("owner@example.com", "user.changed", user.pk)


@pytest.mark.parametrize("role", ["support", "finance"])
def test_staff_who_may_only_look_change_nothing(role: str) -> None:
    user = make()
    client = desk(role)
    assert client.get(f"/admin/accounts/user/{user.pk}/change/").status_code == 200
    assert change(client, user, name="New name").status_code == 403
    key, _ = apikeys.mint(user)
    client.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    user.refresh_from_db()
    assert key.revoked_at is None and user.name == ""


def test_a_person_without_a_role_does_not_get_in() -> None:
    client = Client()
    client.force_login(make())
    assert client.get("/admin/accounts/user/", follow=True).status_code == 403


def test_disabling_somebody_ends_their_sessions_and_keys() -> None:
    user = make()
    theirs = Client()
    theirs.force_login(user)
    _, key = apikeys.mint(user)
    assert change(desk(), user, is_active=None).status_code == 302
    assert who(theirs) is None
    assert Client().get("/api/auth/session", headers={"authorization": f"Bearer {key}"}).status_code == 401
    assert Client().post("/login", {"login": user.email, "password": PASSWORD})["Location"] == "/accounts/inactive/"


def test_signing_somebody_out_everywhere() -> None:
    user = make()
    theirs = Client()
    theirs.force_login(user)
    desk().post("/admin/accounts/user/", {"action": "end_sign_ins", "_selected_action": [str(user.pk)]})
    assert who(theirs) is None
    assert AuditEntry.objects.get().action == "user.signed_out"


def test_the_owner_revokes_a_key_and_sees_nothing_of_its_secret() -> None:
    key, plaintext = apikeys.mint(make())
    client = desk()
    page = client.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()
    assert key.prefix in page
    assert key.digest not in page and plaintext.rpartition("_")[2] not in page
    client.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert AuditEntry.objects.get().action == "api_key.revoked"


def test_mail_is_shown_without_what_it_says() -> None:
    mail = OutgoingMail.objects.create(to=["a@example.com"], message=b"The code is AAAA-BBBB", subject="Your code")
    page = desk().get(f"/admin/accounts/outgoingmail/{mail.pk}/change/").content.decode()
    assert "a@example.com" in page and "AAAA" not in page


@pytest.mark.parametrize("model", ["apikey", "auditentry", "outgoingmail", "user"])
def test_rows_are_neither_added_nor_deleted_by_hand(model: str) -> None:
    user = make()
    key, _ = apikeys.mint(user)
    entry = audit.record("test", "something.done")
    mail = OutgoingMail.objects.create(to=["a@example.com"], message=b"", subject="s")
    row = {"apikey": key, "auditentry": entry, "outgoingmail": mail, "user": user}[model]
    client = desk()
    assert client.post(f"/admin/accounts/{model}/add/").status_code == 403
    assert client.post(f"/admin/accounts/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(
        f"/admin/accounts/{model}/", {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    ).status_code in {200, 302}
    assert type(row).objects.filter(pk=row.pk).exists()


def test_an_audit_entry_is_never_changed_or_deleted() -> None:
    entry = audit.record("test", "something.done")
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()
    assert ApiKey.objects.count() == 0
