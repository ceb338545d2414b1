"""/settings/team: everything by plain forms, for who is in the team and as far as their role goes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from accounts import team_invitations, team_members
from accounts.models import Membership, Team, TeamInvitation, User
from oneai.kit.clock import uuid7
from quotas import team_pages
from tests.accounts.people import mails_to, make
from tests.accounts.team_people import people, plan, team_of, token_for
from tests.quotas.using import Purse

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


def browser(user: User, **more: Any) -> Client:
    client = Client(raise_request_exception=False, **more)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def crew(db: None) -> tuple[Team, User, User, User]:
    """A team, its owner, an admin and a member."""
    owner, admin, member = people("olga", "adam", "mia")
    return team_of(owner, member, admins=(admin,)), owner, admin, member


def invited(team: Team, by: User, email: str) -> TeamInvitation:
    mine = Membership.objects.select_related("team", "user").get(team=team, user=by)
    return team_invitations.invite(mine, email)


def paths(team: Team, other: User, invitation: TeamInvitation) -> list[str]:
    assert all(isinstance(pattern, URLPattern) for pattern in team_pages.urlpatterns)
    names = {"<uuid:user_id>": other.pk, "<uuid:invitation_id>": invitation.pk, "<str:token>": "x"}
    found = []
    for pattern in team_pages.urlpatterns:
        path = "/" + str(pattern.pattern)
        for name, value in names.items():
            path = path.replace(name, str(value))
        found.append(path)
    return found


def rows() -> list[Any]:
    return [list(table._default_manager.order_by("pk").values()) for table in (Team, Membership, TeamInvitation)]


def test_visitors_strangers_and_forms_without_a_token_change_nothing(crew: tuple[Team, User, User, User]) -> None:
    team, owner, _, member = crew
    stranger = make("stranger@example.com", password=None)
    every = paths(team, member, invited(team, owner, "asked@example.com"))
    before = rows()
    for path in every:
        for answer in (Client().get(path), Client().post(path)):
            assert answer.status_code == 405 or answer["Location"].startswith("/login?next="), path
        careful = browser(owner, enforce_csrf_checks=True)
        assert careful.post(path, {"name": "x"}).status_code in {403, 405}, path
        if path != "/settings/team":
            assert {browser(stranger).get(path).status_code, browser(stranger).post(path).status_code} <= {404, 405}
    assert rows() == before


def test_a_member_may_look_and_leave_and_nothing_else(crew: tuple[Team, User, User, User]) -> None:
    team, owner, _, member = crew
    every = paths(team, owner, invited(team, owner, "asked@example.com"))
    before = rows()
    page = browser(member).get("/settings/team").content.decode()
    assert "You are a member of this team." in page and "asked@example.com" not in page
    assert "/settings/team/invite" not in page and page.count("in this period") == 1
    for path in every:
        if path not in {"/settings/team", "/settings/team/join/x"}:
            answer = browser(member).post(path, {"name": "x", "email": "a@example.com"})
            assert answer.status_code == 403, path
    assert rows() == before
    leave = f"/settings/team/members/{member.pk}/remove"
    assert "conversations stay yours" in browser(member).get(leave).content.decode()
    assert browser(member).post(leave)["Location"] == "/settings/team"
    assert not Membership.objects.filter(user=member).exists()
    assert "Make a team" in browser(member).get("/settings/team").content.decode()


def test_a_team_from_its_making_to_its_end_by_forms_alone(db: None) -> None:
    olga, mia = people("olga", "mia")
    owner, newcomer = browser(olga), browser(mia)
    assert owner.post("/settings/team", {"name": ""}).status_code == 400
    assert owner.post("/settings/team", {"name": "Readers"})["Location"] == "/settings/team"
    team = Team.objects.get()
    full = owner.post("/settings/team/invite", {"email": mia.email, "role": "member"})
    assert full.status_code == 409 and "All seats" in full.content.decode()
    Team.objects.update(seats=2)
    assert owner.post("/settings/team/invite", {"email": mia.email, "role": "member"}).status_code == 302
    page = owner.get("/settings/team").content.decode()
    assert "2 of 2 taken" in page and mia.email in page
    invitation = TeamInvitation.objects.get()
    assert owner.post(f"/settings/team/invitations/{invitation.pk}/resend").status_code == 302
    assert len(mails_to(mia.email)) == 2
    link = f"/settings/team/join/{token_for(mia.email)}"
    assert owner.get(link).status_code == 403
    assert "Join Readers?" in newcomer.get(link).content.decode()
    assert newcomer.post(link)["Location"] == "/settings/team"
    plan(team, 5000)
    assert owner.post(f"/settings/team/members/{mia.pk}", {"role": "admin", "cap_tokens": "2000", "cap_usd": "0.5"}
                      ).status_code == 302  # fmt: skip
    place = team_members.find(team.pk, mia.pk)
    assert (place.role, place.cap_tokens, place.cap_nano_usd) == ("admin", 2000, 500_000_000)
    form = owner.get(f"/settings/team/members/{mia.pk}").content.decode()
    assert 'value="2000"' in form and 'value="0.5"' in form
    Purse(mia).admit(Purse(mia).ask(bound=500, cap=500))
    page = newcomer.get("/settings/team").content.decode()
    assert "1,000 of 5,000 tokens of your team" in page and "1,000 of 2,000 tokens of your share of your team" in page
    assert owner.post("/settings/team/transfer", {"heir": str(mia.pk)}).status_code == 302
    assert owner.get("/settings/team/delete").status_code == 403
    assert newcomer.post("/settings/team/name", {"name": "Writers"}).status_code == 302
    assert newcomer.get(f"/settings/team/members/{mia.pk}/remove").status_code == 200
    assert newcomer.post(f"/settings/team/members/{mia.pk}/remove").status_code == 409
    assert newcomer.post("/settings/team/delete").status_code == 302
    assert not Membership.objects.exists()
    assert Team.objects.get().name == "Writers"


def test_an_invitation_is_revoked_and_a_removed_member_is_out(crew: tuple[Team, User, User, User]) -> None:
    team, _, admin, member = crew
    invitation = invited(team, admin, "asked@example.com")
    steward = browser(admin)
    page = steward.get("/settings/team").content.decode()
    assert re.search(r"asked@example\.com", page) and "Hand over" not in page
    assert steward.post(f"/settings/team/invitations/{invitation.pk}/revoke").status_code == 302
    assert steward.post(f"/settings/team/invitations/{uuid7()}/revoke").status_code == 404
    assert "role" not in re.findall(r'name="(\w+)"', steward.get("/settings/team/invite").content.decode())
    assert steward.post(f"/settings/team/members/{member.pk}", {"cap_tokens": "x", "cap_usd": ""}).status_code == 400
    assert steward.post(f"/settings/team/members/{member.pk}/remove").status_code == 302
    assert {place.user_id for place in Membership.objects.all()} == {crew[1].pk, admin.pk}


def test_staff_change_seats_with_a_reason_and_see_who_is_in(crew: tuple[Team, User, User, User]) -> None:
    team, owner, _, _ = crew
    desk = browser(make("boss@example.com", password=None, role="owner"))
    path = f"/admin/accounts/team/{team.pk}/change/"
    page = desk.get(path).content.decode()
    assert owner.email in page and f"team-{team.pk.hex}@oneai.invalid" in page
    inlines = {
        f"{name}-{part}": "0" for name in ("memberships", "invitations") for part in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    assert desk.post(path, inlines | {"seats": "12", "reason": "by mail"}).status_code == 302
    assert Team.objects.get().seats == 12
    assert desk.post(path, inlines | {"seats": "1", "reason": "too few"}, follow=True).status_code == 200
    assert Team.objects.get().seats == 12
    assert desk.post(path, inlines | {"seats": "9", "reason": ""}).status_code == 200
    assert Team.objects.get().seats == 12
    assert desk.get("/admin/accounts/team/").status_code == 200
