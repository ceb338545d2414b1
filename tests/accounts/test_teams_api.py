"""/api/teams: who is in one, who may see to it, what each change does and leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import URLPattern

from accounts import team_invitations, teams
from accounts.models import AuditEntry, Membership, Team, TeamInvitation, User
from accounts.team_ids import is_team_id, new_team_id
from oneai.kit import clock
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from quotas.api import urls
from tests.accounts.people import mails_to, make
from tests.accounts.team_people import api, people, plan, team_of, text_of, token_for
from tests.chat.people import Api, api_of

pytestmark = pytest.mark.django_db
TEAMS = "/api/teams"
# (method, path, body, what owner, admin, member get). {id} is the team, {other} another member, {mail} an invitation.
ROUTES: list[tuple[str, str, Any, tuple[int, int, int]]] = [
    ("GET", TEAMS + "/{id}", None, (200, 200, 200)),
    ("PATCH", TEAMS + "/{id}", {"name": "Another"}, (200, 200, 403)),
    ("DELETE", TEAMS + "/{id}", None, (204, 403, 403)),
    ("POST", TEAMS + "/{id}/transfer", {"user_id": "{other}"}, (200, 403, 403)),
    ("GET", TEAMS + "/{id}/members", None, (200, 200, 200)),
    ("GET", TEAMS + "/{id}/members/{other}", None, (200, 200, 200)),
    ("PATCH", TEAMS + "/{id}/members/{other}", {"cap_tokens": 5}, (200, 200, 403)),
    ("PATCH", TEAMS + "/{id}/members/{other}", {"role": "admin"}, (200, 403, 403)),
    ("DELETE", TEAMS + "/{id}/members/{other}", None, (204, 204, 403)),
    ("GET", TEAMS + "/{id}/invitations", None, (200, 200, 403)),
    ("POST", TEAMS + "/{id}/invitations", {"email": "new@example.com"}, (201, 201, 403)),
    ("POST", TEAMS + "/{id}/invitations", {"email": "new@example.com", "role": "admin"}, (201, 403, 403)),
    ("DELETE", TEAMS + "/{id}/invitations/{mail}", None, (204, 204, 403)),
    ("POST", TEAMS + "/{id}/invitations/{mail}/resend", {}, (200, 200, 403)),
    ("GET", TEAMS + "/{id}/usage", None, (200, 200, 403)),
]


class World:
    """A team of an owner, an admin and two members, and a stranger who owns another."""

    def __init__(self) -> None:
        self.owner, self.admin, self.member, self.other, self.stranger = people(
            "owner", "admin", "member", "other", "stranger"
        )
        self.team = team_of(self.owner, self.member, self.other, admins=(self.admin,))
        self.theirs = team_of(self.stranger)
        mine = Membership.objects.select_related("team", "user").get(user=self.owner)
        self.invitation = team_invitations.invite(mine, "asked@example.com")

    def filled(self, text: str, team_id: object = None) -> str:
        names = {"id": team_id or self.team.pk, "other": self.other.pk, "mail": self.invitation.pk}
        for name, value in names.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def send(self, who: Api, method: str, path: str, body: Any, team_id: object = None) -> Any:
        filled = None if body is None else json.loads(self.filled(json.dumps(body)))
        return who.send(method, self.filled(path, team_id), filled)

    def rows(self) -> list[Any]:
        tables = (Team, Membership, TeamInvitation)
        return [list(table._default_manager.order_by("pk").values()) for table in tables]


@pytest.fixture(autouse=True)
def _written(settings: Any) -> None:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"


@pytest.fixture
def world(db: None) -> World:
    return World()


def error(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def told(refuse: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as found:
        refuse()
    return found.value.code


def audited(team: Team) -> int:
    """How many deeds the audit has about the team."""
    return AuditEntry.objects.filter(action__startswith="team.", details__team_id=str(team.pk)).count()


# Who may ------------------------------------------------------------------------------------------
def test_every_route_is_in_the_matrix() -> None:
    named = {"team_id": "{id}", "user_id": "{other}", "invitation_id": "{mail}"}
    there = {"/api/" + str(route.pattern) for route in urls.urlpatterns if isinstance(route, URLPattern)}
    found = set()
    for path in there:
        for name, short in named.items():
            path = path.replace(f"<str:{name}>", short)
        if path.startswith(TEAMS):
            found.add(path)
    assert found == {path for _, path, *_ in ROUTES} | {TEAMS, TEAMS + "/join"}


@pytest.mark.parametrize("role", [0, 1, 2])
def test_each_role_may_what_it_may(world: World, role: int) -> None:
    who = api((world.owner, world.admin, world.member)[role])
    for method, path, body, wanted in ROUTES:
        with transaction.atomic():
            before, deeds = world.rows(), audited(world.team)
            answer = world.send(who, method, path, body)
            assert answer.status_code == wanted[role], (method, path, answer.content)
            done = method != "GET" and answer.status_code < 400
            assert audited(world.team) == deeds + int(done), (method, path)
            if answer.status_code >= 400:
                assert error(answer) == (403, "permission_denied")
                assert world.rows() == before
            transaction.set_rollback(True)


def test_a_strangers_answer_is_that_of_an_unknown_id_byte_for_byte(world: World) -> None:
    before = world.rows()
    ids = (world.team.pk, new_team_id(), uuid4(), "no-id", str(world.team.pk).upper())
    for who in (api(world.stranger), api(make("nobody@example.com", password=None))):
        for method, path, body, _ in ROUTES:
            bodies = set()
            for team_id in ids:
                answer = world.send(who, method, path, body, team_id)
                assert error(answer) == (404, "not_found"), (method, path, team_id)
                request_id = answer.json()["error"]["request_id"]
                bodies.add(answer.content.replace(request_id.encode(), b""))
            assert len(bodies) == 1, (method, path)
    assert world.rows() == before


def test_visitors_and_keys_stay_outside(world: World) -> None:
    before, key = world.rows(), api_of(world.owner)
    outside = [("GET", TEAMS, None), ("POST", TEAMS, {"name": "x"}), ("POST", TEAMS + "/join", {"token": "x"})]
    for method, path, body in [*outside, *(row[:3] for row in ROUTES)]:
        assert world.send(Api(), method, path, body).status_code == 401
        assert error(world.send(key, method, path, body)) == (403, "insufficient_scope")
    assert world.rows() == before


def test_members_and_invitations_of_another_team_are_not_there_in_ones_own(world: World) -> None:
    before, theirs = world.rows(), api(world.stranger)
    mine = f"{TEAMS}/{world.theirs.pk}"
    for method, path, body in (
        ("GET", f"{mine}/members/{world.other.pk}", None),
        ("PATCH", f"{mine}/members/{world.other.pk}", {"cap_tokens": 1}),
        ("DELETE", f"{mine}/members/{world.other.pk}", None),
        ("POST", f"{mine}/transfer", {"user_id": str(world.other.pk)}),
        ("DELETE", f"{mine}/invitations/{world.invitation.pk}", None),
        ("POST", f"{mine}/invitations/{world.invitation.pk}/resend", {}),
    ):
        assert error(theirs.send(method, path, body)) == (404, "not_found")
    assert world.rows() == before
    assert len(mails_to("asked@example.com")) == 1


def test_an_admin_sees_to_members_and_to_nobody_above(world: World) -> None:
    admin, members = api(world.admin), f"{TEAMS}/{world.team.pk}/members"
    for above in (world.owner, world.admin):
        assert error(admin.patch(f"{members}/{above.pk}", {"cap_tokens": 1})) == (403, "permission_denied")
    assert error(admin.delete(f"{members}/{world.owner.pk}")) == (403, "permission_denied")
    owner = api(world.owner)
    assert owner.patch(f"{members}/{world.owner.pk}", {"cap_tokens": 7}).json()["quota"]["cap_tokens"] == 7
    assert error(owner.patch(f"{members}/{world.owner.pk}", {"role": "member"})) == (409, "owner_must_stay")


def test_what_others_use_is_for_stewards_alone(world: World) -> None:
    members = f"{TEAMS}/{world.team.pk}/members"
    quotas = {row["user_id"]: row["quota"] for row in api(world.member).get(members).json()["results"]}
    assert quotas[str(world.member.pk)] == {
        "cap_tokens": None, "cap_nano_usd": None, "used_tokens": 0, "used_nano_usd": 0,
    }  # fmt: skip
    assert [quotas[str(user.pk)] for user in (world.owner, world.admin, world.other)] == [None] * 3
    assert api(world.member).get(f"{members}/{world.other.pk}").json()["quota"] is None
    assert all(row["quota"] for row in api(world.admin).get(members).json()["results"])


# Making and ending ---------------------------------------------------------------------------------
def test_a_new_team_has_one_seat_its_owners_and_no_plan(db: None) -> None:
    (alice,) = people("alice")
    made = api(alice).post(TEAMS, {"name": "  Reading   circle "})
    team = made.json()
    assert (made.status_code, team["name"], team["role"], team["owner_id"]) == (
        201, "Reading circle", "owner", str(alice.pk),
    )  # fmt: skip
    assert (team["seats"], team["seats_taken"], team["plan"], team["limits"]) == (1, 1, None, [])
    assert api(alice).get(TEAMS).json()["results"] == [team]
    assert error(api(alice).post(f"{TEAMS}/{team['id']}/invitations", {"email": "b@example.com"})) == (
        409,
        "seats_full",
    )
    assert error(api(alice).post(TEAMS, {"name": "Another"})) == (409, "already_in_team")
    entry = AuditEntry.objects.get(action="team.created")
    assert (entry.actor_id, entry.details["team_id"]) == (alice.pk, team["id"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"name": " "}, "invalid_value"),
        ({"name": "x" * 101}, "invalid_value"),
        ({"name": "a\u202eb"}, "invalid_value"),
        ({"name": 7}, "invalid_value"),
        ({"name": "x", "seats": 50}, "unknown_field"),
        ([], "invalid_request"),
    ],
)
def test_a_body_that_makes_no_sense_makes_no_team(db: None, body: Any, code: str) -> None:
    (alice,) = people("alice")
    assert error(api(alice).post(TEAMS, body)) == (400, code)
    assert not Team.objects.exists()


def test_ids_of_teams_come_after_all_others_and_are_of_accounts_that_nobody_signs_in_to(world: World) -> None:
    account = User.objects.get(pk=world.team.pk)
    assert is_team_id(world.team.pk) and not is_team_id(uuid7())
    assert world.team.pk > uuid7()
    assert teams.team_account(world.team.pk) == account.pk
    assert not account.is_active and not account.has_usable_password()
    assert told(lambda: teams.team_account(world.owner.pk)) == "not_found"


def test_a_deleted_team_is_gone_for_all_and_says_so_by_mail(world: World) -> None:
    assert api(world.owner).delete(f"{TEAMS}/{world.team.pk}").status_code == 204
    for user in (world.owner, world.admin, world.member):
        assert api(user).get(TEAMS).json()["results"] == []
        assert error(api(user).get(f"{TEAMS}/{world.team.pk}")) == (404, "not_found")
    assert "was deleted" in text_of(mails_to(world.member.email)[-1])
    assert mails_to(world.owner.email) == []
    assert error(api(make("asked@example.com", password=None)).post(TEAMS + "/join", {"token": token_for("asked@example.com")})) == (404, "not_found")  # fmt: skip  # noqa: E501
    assert AuditEntry.objects.get(action="team.deleted").details["members"] == 4
    assert api(world.owner).post(TEAMS, {"name": "Again"}).status_code == 201


def test_a_team_that_is_paid_for_is_not_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def paid(team_id: object) -> None:
        assert team_id == world.team.pk
        raise Refusal("team_subscribed")

    monkeypatch.setattr(teams, "_before_delete", [])
    teams.before_delete(paid)
    before = world.rows()
    assert error(api(world.owner).delete(f"{TEAMS}/{world.team.pk}")) == (409, "team_subscribed")
    assert world.rows() == before


def test_the_owner_hands_the_team_over_before_leaving(world: World) -> None:
    owner, members = api(world.owner), f"{TEAMS}/{world.team.pk}/members"
    assert error(owner.delete(f"{members}/{world.owner.pk}")) == (409, "owner_must_stay")
    answer = owner.post(f"{TEAMS}/{world.team.pk}/transfer", {"user_id": str(world.other.pk)})
    assert (answer.json()["role"], answer.json()["owner_id"]) == ("admin", str(world.other.pk))
    assert "the owner of" in text_of(mails_to(world.other.email)[-1])
    assert owner.delete(f"{members}/{world.owner.pk}").status_code == 204
    assert error(owner.get(f"{TEAMS}/{world.team.pk}")) == (404, "not_found")
    assert api(world.other).delete(f"{TEAMS}/{world.team.pk}").status_code == 204
    assert list(AuditEntry.objects.filter(action__startswith="team.").order_by("at").values_list("action", flat=True))[-3:] == ["team.handed_over", "team.left", "team.deleted"]  # fmt: skip  # noqa: E501


def test_no_account_is_closed_whose_team_would_be_left_without_an_owner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paid(team_id: object) -> None:
        raise Refusal("team_subscribed")

    def why(user: User) -> str:
        try:
            teams.check_may_go(user.pk)
        except Refusal as refusal:
            return refusal.code
        return ""

    assert [why(each) for each in (world.owner, world.admin, world.member)] == ["owner_must_stay", "", ""]
    alone = make("alone@example.com", password=None)
    teams.create_team(alone, "Alone")
    assert why(alone) == ""
    monkeypatch.setattr(teams, "_before_delete", [paid])
    assert why(alone) == "team_subscribed"


# Seats and invitations -------------------------------------------------------------------------------
def test_an_invitation_holds_a_seat_until_it_is_accepted_revoked_or_over(world: World) -> None:
    owner, invitations = api(world.owner), f"{TEAMS}/{world.team.pk}/invitations"
    teams.set_seats(world.team.pk, 6, reason="bought")

    def taken() -> int:
        return int(owner.get(f"{TEAMS}/{world.team.pk}").json()["seats_taken"])

    assert taken() == 5
    second = owner.post(invitations, {"email": "Second@Example.com"})
    assert (second.status_code, second.json()["email"]) == (201, "second@example.com")
    assert error(owner.post(invitations, {"email": "third@example.com"})) == (409, "seats_full")
    assert error(owner.post(invitations, {"email": "SECOND@example.com"})) == (409, "already_invited")
    assert owner.delete(f"{invitations}/{second.json()['id']}").status_code == 204
    assert taken() == 5
    assert owner.post(invitations, {"email": "third@example.com"}).status_code == 201
    with clock.travel(timedelta(days=7, minutes=1)):
        assert taken() == 4
        rows = owner.get(invitations).json()["results"]
        assert {(row["email"], row["state"]) for row in rows} == {
            ("third@example.com", "expired"), ("asked@example.com", "expired"),
        }  # fmt: skip
        again = owner.post(invitations, {"email": "third@example.com"})
        assert again.json()["state"] == "open"
        assert owner.post(f"{invitations}/{world.invitation.pk}/resend", {}).json()["state"] == "open"
        assert taken() == 6


def test_who_was_asked_joins_by_the_mail_once_and_nobody_else_does(world: World) -> None:
    token = token_for("asked@example.com")
    assert "Owner invites you to the team Reading circle" in text_of(mails_to("asked@example.com")[-1])
    another, unverified = (
        make("another@example.com", password=None),
        make("asked@example.com", password=None, verified=False),
    )
    for user in (another, unverified):
        assert error(api(user).post(TEAMS + "/join", {"token": token})) == (403, "invitation_for_another")
    unverified.emailaddress_set.update(verified=True)
    assert error(api(unverified).post(TEAMS + "/join", {"token": token[:-1]})) == (404, "not_found")
    joined = api(unverified).post(TEAMS + "/join", {"token": token})
    assert (joined.status_code, joined.json()["id"], joined.json()["role"]) == (200, str(world.team.pk), "member")
    assert error(api(unverified).post(TEAMS + "/join", {"token": token})) == (409, "invitation_ended")
    assert api(world.owner).get(f"{TEAMS}/{world.team.pk}/invitations").json()["results"] == []
    assert error(api(world.owner).post(f"{TEAMS}/{world.team.pk}/invitations", {"email": "asked@example.com"})) == (409, "already_in_team")  # fmt: skip  # noqa: E501


def test_an_invitation_that_was_sent_again_revoked_or_is_over_does_not_let_in(world: World) -> None:
    asked = api(make("asked@example.com", password=None))
    first = token_for("asked@example.com")
    path = f"{TEAMS}/{world.team.pk}/invitations/{world.invitation.pk}"
    assert api(world.admin).post(f"{path}/resend", {}).status_code == 200
    second = token_for("asked@example.com")
    assert error(asked.post(TEAMS + "/join", {"token": first})) == (404, "not_found")
    with clock.travel(timedelta(days=7, seconds=1)):
        assert error(asked.post(TEAMS + "/join", {"token": second})) == (409, "invitation_ended")
    assert api(world.admin).delete(path).status_code == 204
    assert error(asked.post(TEAMS + "/join", {"token": second})) == (409, "invitation_ended")


def test_nobody_is_in_two_teams(world: World) -> None:
    mine = Membership.objects.select_related("team", "user").get(user=world.stranger)
    team_invitations.invite(mine, world.member.email)
    token = token_for(world.member.email)
    assert error(api(world.member).post(TEAMS + "/join", {"token": token})) == (409, "already_in_team")
    assert api(world.member).delete(f"{TEAMS}/{world.team.pk}/members/{world.member.pk}").status_code == 204
    assert api(world.member).post(TEAMS + "/join", {"token": token}).json()["id"] == str(world.theirs.pk)


def test_fewer_seats_end_the_newest_invitations_and_never_a_membership(world: World) -> None:
    mine = Membership.objects.select_related("team", "user").get(user=world.owner)
    team_invitations.invite(mine, "later@example.com")
    teams.set_seats(world.team.pk, 5, reason="fewer")
    assert [each.email for each in teams.open_invitations(world.team.pk)] == ["asked@example.com"]
    assert told(lambda: teams.set_seats(world.team.pk, 3)) == "seats_taken"
    teams.set_seats(world.team.pk, 4)
    assert not teams.open_invitations(world.team.pk).exists()
    entry = AuditEntry.objects.filter(action="team.seats_set").order_by("at").first()
    assert entry is not None
    assert (entry.actor_label, entry.reason, entry.details["before"], entry.details["after"]) == (
        "billing",
        "fewer",
        10,
        5,
    )
    assert entry.details["revoked"] == ["later@example.com"]


def test_mails_to_strangers_are_bounded(world: World) -> None:
    path = f"{TEAMS}/{world.team.pk}/invitations/{world.invitation.pk}/resend"
    codes = [api(world.owner).post(path, {}).status_code for _ in range(6)]
    assert codes == [200, 200, 200, 200, 429, 429]
    assert len(mails_to("asked@example.com")) == 5


@pytest.mark.parametrize("email", ["", "nobody", "a b@example.com", "x" * 250 + "@example.com", "a@b\n@example.com"])
def test_an_address_that_is_none_is_named(world: World, email: str) -> None:
    answer = api(world.owner).post(f"{TEAMS}/{world.team.pk}/invitations", {"email": email})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "email"


def test_caps_are_whole_numbers_from_nothing_on_and_unlimited_lifts_them(world: World) -> None:
    path = f"{TEAMS}/{world.team.pk}/members/{world.other.pk}"
    owner = api(world.owner)
    assert owner.patch(path, {"cap_tokens": 0, "cap_nano_usd": 10**15}).json()["quota"]["cap_tokens"] == 0
    assert owner.patch(path, {"cap_tokens": "unlimited"}).json()["quota"] == {
        "cap_tokens": None, "cap_nano_usd": 10**15, "used_tokens": 0, "used_nano_usd": 0,
    }  # fmt: skip
    for wrong in (-1, 1.5, True, 10**15 + 1, "many"):
        assert error(owner.patch(path, {"cap_tokens": wrong})) == (400, "invalid_value")
    entry = AuditEntry.objects.filter(action="team.caps_set").latest("at")
    assert entry.details["before"] == {"cap_tokens": 0} and entry.subject_id == world.other.pk


def test_roles_and_removals_are_told_by_mail(world: World) -> None:
    owner, path = api(world.owner), f"{TEAMS}/{world.team.pk}/members/{world.other.pk}"
    assert owner.patch(path, {"role": "admin"}).json()["role"] == "admin"
    assert "an admin of the team Reading circle" in text_of(mails_to(world.other.email)[-1])
    assert owner.delete(path).status_code == 204
    assert "no longer in the team Reading circle" in text_of(mails_to(world.other.email)[-1])
    assert api(world.member).delete(f"{TEAMS}/{world.team.pk}/members/{world.member.pk}").status_code == 204
    assert mails_to(world.member.email) == []


def test_the_team_shows_its_plan_and_what_is_left_of_it(world: World) -> None:
    plan(world.team, 5000)
    team = api(world.member).get(f"{TEAMS}/{world.team.pk}").json()
    assert team["plan"] == "team"
    limit = next(each for each in team["limits"] if each["unit"] == "tokens")
    assert (limit["scope"], limit["limit"], limit["shared"]) == (f"team:{world.team.pk}", 5000, True)
