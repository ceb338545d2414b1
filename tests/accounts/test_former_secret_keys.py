"""After SECRET_KEY has changed: what the former one made stays good while that is in SECRET_KEY_FALLBACKS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import apikeys, leaks, team_invitations, tokens
from accounts.authentication import authenticate
from accounts.claims import Claim, Standing, standings
from accounts.models import TeamInvitation
from billing import trials
from billing.models import Trial
from chat import sharing
from chat.models import SharedSnapshot
from oneai.kit import clock, sealing
from oneai.kit.errors import Refusal
from tests.accounts.people import make, sign_in
from tests.accounts.team_people import team_of

pytestmark = pytest.mark.django_db
Rotate = Callable[[], str]


@pytest.fixture
def rotate(settings: Settings) -> Rotate:
    """Changes SECRET_KEY and lists the former one."""

    def change() -> str:
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret key of at least fifty characters, as asked"
        settings.SECRET_KEY_FALLBACKS = [former]
        return former

    return change


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def good(key: str) -> bool:
    try:
        return authenticate(bearer(key), {}) is not None
    except Refusal:
        return False


def test_a_key_is_good_while_its_secret_is_listed_and_once_used_without_it(rotate: Rotate, settings: Settings) -> None:
    user = make()
    (row, used), (_, unused) = apikeys.mint(user), apikeys.mint(user)
    rotate()
    principal = authenticate(bearer(used), {})
    assert principal is not None and principal.api_key_id == row.pk
    settings.SECRET_KEY_FALLBACKS = []
    assert (good(used), good(unused)) == (True, False)


def test_both_texts_of_a_rotated_key_are_told_apart_by_their_prefix(rotate: Rotate, settings: Settings) -> None:
    row, before = apikeys.mint(make())
    after = apikeys.replace_text(row, clock.now() + timedelta(hours=1))
    rotate()
    seals = [principal.seal for text in (before, after) if (principal := authenticate(bearer(text), {}))]
    assert seals == [before.rpartition("_")[0], after.rpartition("_")[0]]
    settings.SECRET_KEY_FALLBACKS = []
    assert good(before) and good(after)
    with clock.travel(timedelta(hours=1, seconds=1)):
        assert not good(before)


def test_a_turn_starts_by_such_a_key(rotate: Rotate) -> None:
    row, text = apikeys.mint(make())
    rotate()
    claim = Claim(apikeys.digest_of(text) or "", formers=apikeys.former_digests(text))
    (standing,) = standings([claim], clock.now())
    assert isinstance(standing, Standing) and standing.principal.api_key_id == row.pk


def test_such_a_key_that_leaked_is_ended(rotate: Rotate) -> None:
    _, text = apikeys.mint(make())
    rotate()
    (finding,) = leaks.findings(f"key = {text}")
    assert finding.verdict == leaks.GOOD and leaks.end(finding, "command", "found in a paste")
    assert not good(text)


def test_sessions_tokens_and_what_is_sealed_go_on(rotate: Rotate, settings: Settings) -> None:
    user, client = make(), Client()
    sign_in(client, user)
    token, _ = tokens.issue_access(user)
    sealed = sealing.seal("the key of an app")
    rotate()
    assert client.get("/settings/security").status_code == 200
    assert tokens.verify(token).user == user
    assert sealing.unseal(sealed) == "the key of an app"
    settings.FIELD_ENCRYPTION_KEYS = ["given later"]
    assert sealing.unseal(sealed) == "the key of an app"


def test_a_session_keeps_its_key_whichever_page_comes_first(rotate: Rotate, settings: Settings) -> None:
    """Several tabs ask at the same moment, and an answer may get lost: all they have is the cookie of before."""
    user, client = make(), Client()
    sign_in(client, user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    rotate()
    for _ in range(3):
        tab = Client()
        tab.cookies[settings.SESSION_COOKIE_NAME] = cookie
        assert tab.get("/settings/security").status_code == 200
        assert tab.cookies[settings.SESSION_COOKIE_NAME].value == cookie
    settings.SECRET_KEY_FALLBACKS = []
    assert tab.get("/settings/security").status_code == 200


def test_a_session_under_an_unlisted_secret_is_signed_out(rotate: Rotate, settings: Settings) -> None:
    client = Client()
    sign_in(client, make())
    rotate()
    settings.SECRET_KEY_FALLBACKS = ["none of ours, of at least fifty characters, as it is asked for"]
    assert client.get("/settings/security").status_code == 302


def test_in_two_steps_who_knows_the_next_secret_takes_what_it_made(settings: Settings) -> None:
    """While processes are renewed one after another, those of the first step and of the second answer by turns."""
    user, client = make(), Client()
    sign_in(client, user)
    _, text = apikeys.mint(user)
    former, coming = settings.SECRET_KEY, "the next secret key of at least fifty characters, as it is asked for"
    for secret, other in ((former, coming), (coming, former), (former, coming), (coming, former)):
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret, [other]
        assert good(text)
        assert client.get("/settings/security").status_code == 200


def test_links_of_shares_and_invitations_go_on(rotate: Rotate) -> None:
    owner, guest = make(), make()
    seed = "5eed" * 8
    shared = SharedSnapshot(token_seed=seed, token_digest=sharing._digest(sharing._token(seed)))
    link = sharing.url_of(shared)
    token = "in the mail"
    digest, ends = team_invitations.digest_of(token), clock.now() + timedelta(days=1)
    TeamInvitation.objects.create(
        team=team_of(owner), email=guest.email, digest=digest, invited_by=owner, expires_at=ends
    )
    rotate()
    assert link and sharing.url_of(shared) == link
    assert team_invitations.look(guest, token).email == guest.email


def test_who_has_had_a_trial_has_had_it_under_the_new_secret_too(rotate: Rotate, settings: Settings) -> None:
    (identity,) = trials.identities(make("asha.rao+trial@example.com"))
    Trial.objects.create(identity=identity, plan="plus", ends_at=clock.now())  # the account is gone
    again = make("asha.rao@example.com")
    assert not trials.may_try(again)
    rotate()
    assert not trials.may_try(again)
    settings.SECRET_KEY_FALLBACKS = []
    assert trials.may_try(again), "which is why the former one stays listed"
