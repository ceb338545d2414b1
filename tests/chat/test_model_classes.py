"""Classes of models: named by staff, found by pattern, limited together."""

from __future__ import annotations

import time

import pytest

from accounts.models import AuditEntry, Role
from chat import catalog
from chat.models import ModelClass
from tests.chat.client import Chat
from tests.chat.test_desk import desk
from tests.chat.upstream_catalogue import UpstreamCatalogue
from tests.servers.site import Site

FORM = {"name": "small", "models": "cheap/*\n*:free", "note": "", "reason": "they are cheap"}


@pytest.mark.django_db
def test_the_owner_names_a_class_and_the_models_that_fit_are_in_it(models: UpstreamCatalogue) -> None:
    assert desk(Role.OWNER).post("/admin/chat/modelclass/add/", FORM).status_code == 302
    found = catalog.refresh().models
    assert (
        {slug for slug, model in found.items() if model.classes == ("small",)}
        == {slug for slug in found if slug.startswith("cheap/") or slug.endswith(":free")}
        != set()
    )
    entry = AuditEntry.objects.get(action="models.classed")
    assert (entry.target, entry.reason, entry.details["patterns"]) == ("small", "they are cheap", ["cheap/*", "*:free"])


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"models": "  \n"}, {"reason": ""}, {"name": "a b"}])
def test_a_class_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    assert desk(Role.OWNER).post("/admin/chat/modelclass/add/", FORM | wrong).status_code == 200
    assert not ModelClass.objects.exists()


@pytest.mark.django_db
def test_support_names_no_classes() -> None:
    assert desk(Role.SUPPORT).post("/admin/chat/modelclass/add/", FORM).status_code == 403


def test_a_limit_on_a_class_binds_all_of_its_models_and_no_other(live_site: Site) -> None:
    site, user = live_site, live_site.new_user("pro")
    chat = Chat(site, user)
    script = "from chat.models import ModelClass; ModelClass.objects.create(name='slow', patterns=['sandbox/slow*'])"
    site.manage("shell", "-c", script)
    refused = site.run("set_quota", user.email, "--model", "class:fast", "--tokens", "5", "--reason", "test")
    assert (refused.returncode, "no class of models 'fast'" in refused.stderr) == (1, True)
    site.command("set_quota", user.email, "--model", "class:slow", "--tokens", "90", "--reason", "test")

    def most() -> int:
        body = chat.body("Count.", "sandbox/slow")
        return int(chat.http.post("/api/chat/quote", json=body).json()["max_tokens"])

    deadline = time.monotonic() + 30
    while most() > 90 and time.monotonic() < deadline:  # every process reads the catalogue anew
        time.sleep(0.2)
    assert chat.send("Count.", "sandbox/slow").closing.name == "message.completed"
    limit = chat.limit(scope="class:slow")
    assert 0 < limit["used"] <= 90
    error = chat.send("Count. " * 20, "sandbox/slow").error
    assert error is not None
    assert (error["code"], error["details"]["limit"]["scope"]) == ("quota_exceeded", "class:slow")
    assert chat.send("Count.").closing.name == "message.completed"
    assert chat.limit(scope="class:slow")["used"] == limit["used"]
    site.command("audit_ledger", user.email)
