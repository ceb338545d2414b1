"""What the settings pages of keys and teams show at each line, and what a refusal leads to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from accounts import own_keys, team_invitations, teams
from accounts.models import ApiKey, Membership, Team, TeamInvitation, TeamRole, User
from accounts.principal import SCOPES
from oneai.kit.clock import now, uuid7
from oneai.kit.errors import Refusal
from quotas import key_pages, team_pages
from quotas.figures import LimitState
from quotas.policy import NANO_USD, PLAN_WIDE, TOKENS
from quotas.usage import Sums
from tests.accounts.people import make
from tests.accounts.team_people import people, team_of, token_for

AT = now()
FILLED = {"name": "k", "scopes": ["chat"]}


def limit(most: int | None, used: int, held: int, unit: str = TOKENS, scope: str = PLAN_WIDE) -> LimitState:
    return LimitState(scope, unit, most, used, held, AT)


# Figures --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "text", "share", "level"),
    [
        (limit(1000, 500, 299), "799 of 1,000 tokens", 0.799, "some"),
        (limit(1000, 500, 300), "800 of 1,000 tokens", 0.8, "low"),
        (limit(1000, 999, 0), "999 of 1,000 tokens", 0.999, "low"),
        (limit(1000, 0, 1000), "1,000 of 1,000 tokens", 1.0, "out"),
        (limit(1000, 2000, 0), "2,000 of 1,000 tokens", 1.0, "out"),
        (limit(0, 0, 0), "0 of 0 tokens", 1.0, "out"),
        (limit(None, 0, 0), "0 of 0 tokens", 1.0, "out"),
        (limit(10**9, 10**8, 10**8, NANO_USD), "$0.20 of $1.00", 0.2, "some"),
    ],
)
def test_a_meter_is_low_from_eighty_percent_and_out_at_all(
    state: LimitState, text: str, share: float, level: str
) -> None:
    budget = key_pages._budget(state)
    assert (budget.text, budget.share, budget.level) == (text, share, level)
    meter = team_pages._meter(state)
    assert (meter.text, meter.share, meter.level) == (f"{text} of your team", share, level)


@pytest.mark.parametrize(
    ("ends", "state"),
    [(None, "good"), (14.001, "good"), (14, "soon"), (0.001, "soon"), (0, "expired"), (-1, "expired")],
)
def test_a_key_that_ends_within_fourteen_days_says_so(ends: float | None, state: str) -> None:
    key = ApiKey(scopes=["chat", "usage"], expires_at=None if ends is None else AT + timedelta(days=ends))
    assert key_pages._shown(key, [], AT).state == state


def test_a_key_shows_what_it_may_and_whether_two_texts_are_good() -> None:
    some = ApiKey(scopes=["usage", "chat"])
    assert key_pages._shown(some, [], AT).may == "ask models, read quota and usage"
    every = ApiKey(scopes=[*SCOPES, "later"])
    assert key_pages._shown(every, [limit(5, 0, 0)], AT).may == "all that a key can"
    assert len(key_pages._shown(every, [limit(5, 0, 0)], AT).budgets) == 1
    for until, good in ((None, False), (timedelta(0), False), (timedelta(microseconds=1), True)):
        key = ApiKey(previous_until=None if until is None else AT + until)
        assert key_pages._shown(key, [], AT).previous is good


ROLES = (TeamRole.OWNER, TeamRole.ADMIN, TeamRole.MEMBER)


@pytest.mark.parametrize("mine", ROLES)
@pytest.mark.parametrize("theirs", [*ROLES, "oneself"])
def test_the_page_offers_to_each_role_what_it_may(mine: TeamRole, theirs: str) -> None:
    user = User(email="mia@example.com")
    me = Membership(role=mine, user=user)
    other = me if theirs == "oneself" else Membership(role=theirs, user=user)
    above = ROLES.index(mine) < ROLES.index(TeamRole(other.role))
    shown = team_pages._shown(me, other, {user.pk: Sums(tokens=5000, nano_usd=5)})
    sees = mine != TeamRole.MEMBER or other is me
    assert (shown.used, shown.caps) == (("5,000 tokens, $0.000000005", "none") if sees else ("", ""))
    steward = mine != TeamRole.MEMBER
    assert shown.may_remove is (above and steward)
    assert shown.may_change is (steward and (above or (other is me and mine == TeamRole.OWNER)))


def test_a_member_is_shown_with_their_name_their_use_and_their_caps() -> None:
    mia = User(name="Mia", email="mia@example.com")
    owner = Membership(role=TeamRole.OWNER, user=User(email="olga@example.com"))
    for tokens, nano, caps in (
        (None, None, "none"), (0, None, "0 tokens"), (None, 0, "$0.00"), (1000, 10**9, "1,000 tokens and $1.00"),
    ):  # fmt: skip
        place = Membership(role=TeamRole.MEMBER, user=mia, cap_tokens=tokens, cap_nano_usd=nano)
        shown = team_pages._shown(owner, place, {})
        assert (shown.name, shown.used, shown.caps) == ("Mia", "0 tokens, $0.00", caps)
    assert team_pages._shown(owner, owner, {}).name == "olga@example.com"


# Forms ----------------------------------------------------------------------------------------------
def browser(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def crew(db: None, settings: Any) -> tuple[Team, User, User, User]:
    """A team, its owner, an admin and a member without a name."""
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    owner, admin = people("olga", "adam")
    member = make("mia@example.com", password=None, name="")
    return team_of(owner, member, admins=(admin,)), owner, admin, member


def ask(team: Team, by: User, email: str) -> TeamInvitation:
    return team_invitations.invite(Membership.objects.select_related("team", "user").get(team=team, user=by), email)


def said(answer: Any) -> str:
    """The message on the page that a form leads to."""
    assert answer.redirect_chain and answer.status_code == 200
    return " ".join(str(each) for each in answer.context["messages"])


def test_every_form_of_a_team_is_shown_without_a_fault_and_an_empty_one_with_it(
    crew: tuple[Team, User, User, User],
) -> None:
    _, owner, admin, member = crew
    page = browser(owner)
    filled = {"name": "Reading circle", f"members/{member.pk}": None, "invite": None, "transfer": None}
    for path, name in filled.items():
        answer = page.get(f"/settings/team/{path}")
        assert answer.status_code == 200 and not answer.context["form"].errors, path
        if name is not None:
            assert answer.context["form"].initial == {"name": name}
        bad = page.post(f"/settings/team/{path}", {"cap_tokens": "x"})
        assert bad.status_code == 400 and bad.context["form"].errors, path
    heirs = page.get("/settings/team/transfer").context
    assert {value for value, _ in heirs["form"].fields["heir"].choices} == {str(admin.pk), str(member.pk)}
    assert "You become an admin and may leave." in heirs["hint"] and "charged to you" in heirs["hint"]
    assert page.get(f"/settings/team/members/{admin.pk}").context["title"] == "Change Adam"
    assert page.get(f"/settings/team/members/{member.pk}").context["title"] == "Change mia@example.com"
    for path in ("delete", f"members/{member.pk}/remove"):
        assert page.get(f"/settings/team/{path}").status_code == 200
    stranger = browser(make("new@example.com", password=None)).get("/settings/team")
    assert stranger.status_code == 200 and not stranger.context["form"].errors


def test_what_a_form_did_is_said(crew: tuple[Team, User, User, User]) -> None:
    _, owner, admin, member = crew
    page = browser(owner)
    assert said(page.post("/settings/team/name", {"name": "Writers"}, follow=True)) == "The name is saved."
    invite = page.post("/settings/team/invite", {"email": "a@example.com", "role": "admin"}, follow=True)
    assert said(invite) == "a@example.com gets a mail with a link."
    assert TeamInvitation.objects.get().role == "admin"
    for user, name in ((admin, "Adam"), (member, "mia@example.com")):
        change = {"role": "member", "cap_tokens": "5", "cap_usd": ""}
        assert said(page.post(f"/settings/team/members/{user.pk}", change, follow=True)) == f"{name} is saved."
    out = page.post(f"/settings/team/members/{member.pk}/remove", follow=True)
    assert said(out) == f"{member} is out of the team."
    left = browser(admin).post(f"/settings/team/members/{admin.pk}/remove", follow=True)
    assert said(left) == "You have left Writers."
    alone = page.get("/settings/team/transfer")
    assert (alone.context["form"], alone.context["hint"]) == (None, "There is nobody else in the team yet.")
    assert said(page.post("/settings/team/delete", follow=True)) == "Writers is deleted."


def test_an_invitation_shows_when_it_is_over_and_who_may_end_it(
    crew: tuple[Team, User, User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    team, owner, admin, member = crew
    made = ask(team, owner, "a@example.com")
    for moment, over in ((made.expires_at, True), (made.expires_at - timedelta(microseconds=1), False)):
        monkeypatch.setattr(team_pages, "now", lambda moment=moment: moment)
        (asked,) = browser(owner).get("/settings/team").context["asked"]
        assert asked.expired is over
    for role, may in ((TeamRole.MEMBER, True), (TeamRole.ADMIN, False)):
        TeamInvitation.objects.update(role=role)
        (asked,) = browser(admin).get("/settings/team").context["asked"]
        assert asked.may_change is may
    shown = browser(member).get("/settings/team").context
    assert list(shown["asked"]) == [] and (shown["steward"], shown["owns"]) == (False, False)
    assert [browser(owner).get("/settings/team").context[name] for name in ("steward", "owns")] == [True, True]
    for seats, full in ((5, False), (4, True), (3, True)):
        Team.objects.update(seats=seats)
        assert browser(owner).get("/settings/team").context["full"] is full


@pytest.mark.parametrize(
    ("status", "code"),
    [(409, "seats_full"), (429, "rate_limited"), (404, "not_found"), (403, "permission_denied")],
)
def test_a_mail_that_can_not_go_again_is_told_on_the_page_of_the_team(
    crew: tuple[Team, User, User, User], monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    def refuse(*_: object) -> TeamInvitation:
        raise Refusal(code, "Not now.")

    monkeypatch.setattr(team_invitations, "resend", refuse)
    answer = browser(crew[1]).post(f"/settings/team/invitations/{uuid7()}/resend", follow=True)
    if status in (409, 429):
        assert said(answer) == "Not now."
    else:
        assert answer.status_code == status and not answer.redirect_chain


def test_who_owns_a_team_does_not_leave_it_and_a_team_that_is_paid_for_stays(
    crew: tuple[Team, User, User, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, owner, admin, _ = crew
    kept = browser(owner).post(f"/settings/team/members/{owner.pk}/remove")
    assert kept.status_code == 409 and kept.context["leaves"] is True and kept.context["fault"]
    looked = browser(owner).get(f"/settings/team/members/{admin.pk}/remove")
    assert looked.context["leaves"] is False

    def refuse(code: str) -> None:
        def raised(*_: object) -> None:
            raise Refusal(code, "It stays.")

        monkeypatch.setattr(teams, "delete_team", raised)

    refuse("owner_must_stay")
    paid = browser(owner).post("/settings/team/delete")
    assert (paid.status_code, paid.context["fault"]) == (409, "It stays.")
    refuse("not_found")
    assert browser(owner).post("/settings/team/delete").status_code == 404
    assert browser(owner).post(f"/settings/team/members/{uuid7()}/remove").status_code == 404


def test_a_good_link_and_a_bad_one_say_what_they_are(crew: tuple[Team, User, User, User]) -> None:
    team, owner, _, _ = crew
    guest = make("guest@example.com", password=None)
    ask(team, owner, guest.email)
    link = f"/settings/team/join/{token_for(guest.email)}"
    good = browser(guest).get(link)
    assert (good.status_code, good.context["fault"]) == (200, "") and good.context["invitation"].email == guest.email
    assert not Membership.objects.filter(user=guest).exists()
    bad = browser(guest).get("/settings/team/join/x")
    assert bad.status_code == 404 and bad.context["fault"] and bad.context["invitation"] is None
    assert said(browser(guest).post(link, follow=True)) == "You are in Reading circle."


def test_the_pages_of_a_key_begin_without_a_fault(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make("kay@example.com", password=None)
    page = browser(user)
    key, _ = own_keys.create(user, {"name": "one"})
    for path in ("new", f"{key.pk}", f"{key.pk}/rotate"):
        answer = page.get(f"/settings/keys/{path}")
        assert answer.status_code == 200 and not answer.context["form"].errors, path
        assert page.post(f"/settings/keys/{path}", {"name": ""}).status_code == 400, path
    for most, full in ((2, False), (1, True)):
        monkeypatch.setattr(own_keys, "MOST", most)
        assert page.get("/settings/keys").context["full"] is full
    made = page.post("/settings/keys/new", FILLED)
    assert made.status_code == 409 and made.context["form"].errors
    monkeypatch.setattr(own_keys, "MOST", 2)
    made = page.post("/settings/keys/new", FILLED, follow=True)
    assert (made.status_code, made.context["shown"].made) == (200, True)
    turned = page.post(f"/settings/keys/{key.pk}/rotate", {"overlap": "3600"}, follow=True)
    assert (turned.status_code, turned.context["shown"].made) == (200, False)
    until: datetime = ApiKey.objects.get(pk=key.pk).previous_until  # type: ignore[assignment]
    for moment, good in ((until, False), (until - timedelta(microseconds=1), True)):
        monkeypatch.setattr(key_pages, "now", lambda moment=moment: moment)
        assert page.get(f"/settings/keys/{key.pk}/rotate").context["previous"] is good
    ApiKey.objects.filter(pk=key.pk).update(previous_until=None)
    assert page.get(f"/settings/keys/{key.pk}/rotate").context["previous"] is False
    assert page.get(f"/settings/keys/{key.pk}/revoke").status_code == 200
