"""For whom a page of billing is: the person or the team that they own, and nobody else's."""

from __future__ import annotations

import pytest
from django.http import Http404
from django.test import Client, RequestFactory

from accounts import teams
from accounts.models import Membership, User
from accounts.team_models import TeamRole
from billing import whose
from billing.standing import Holder
from oneai.kit.clock import uuid7
from tests.billing import paid

pytestmark = pytest.mark.django_db


def holder(user: User, query: str = "") -> Holder:
    request = RequestFactory().get(f"/billing{query}")
    request.user = user
    return whose.holder_of(request)


def test_a_page_is_for_the_person_or_for_the_team_that_they_own() -> None:
    user = paid.person()
    team = teams.create_team(user, "Weavers")
    for query in ("", "?team="):
        assert holder(user, query) == Holder(user.pk)
    assert holder(user, f"?team={team.pk}") == Holder(user.pk, team.pk)
    assert whose.name_of(Holder(user.pk)) == ""
    assert whose.name_of(Holder(user.pk, team.pk)) == "Weavers"


def test_a_team_that_is_not_ones_own_is_not_found() -> None:
    owner, admin, stranger = paid.person(), paid.person(), paid.person()
    team = teams.create_team(owner, "Weavers", seats=2)
    Membership.objects.create(team=team, user=admin, role=TeamRole.ADMIN)
    for user, named in ((admin, team.pk), (stranger, team.pk), (owner, uuid7()), (owner, "weavers"), (owner, "%00")):
        with pytest.raises(Http404):
            holder(user, f"?team={named}")
    assert [whose.team_of(user) for user in (owner, admin, stranger)] == [team, None, None]


def test_a_browser_that_asks_for_another_team_sees_that_there_is_no_such_page() -> None:
    browser = Client()
    browser.force_login(paid.person(), backend="allauth.account.auth_backends.AuthenticationBackend")
    for path in ("/billing", "/billing/cancel", "/billing/change"):
        assert browser.get(path, {"team": str(uuid7())}).status_code == 404


def test_addresses_keep_the_team_and_what_is_asked() -> None:
    user, team = uuid7(), uuid7()
    assert whose.address("billing", Holder(user)) == "/billing"
    assert whose.address("billing", Holder(user), plan="plus") == "/billing?plan=plus"
    assert whose.address("billing", Holder(user, team), plan="a b") == f"/billing?plan=a+b&team={team}"
