"""What this app itself holds of a person: how they sign in, their keys, mails and history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts import audit, preferences, sign_ins, teams
from accounts.belongings import File, Holder
from accounts.models import (
    ApiKey,
    Export,
    Membership,
    OutgoingMail,
    Role,
    TeamInvitation,
    TeamRole,
    User,
)

_KEY_FIELDS: Final = (
    "id", "name", "prefix", "scopes", "allowed_models", "allowed_networks", "limit_tokens", "limit_nano_usd",
    "requests_per_minute", "tokens_per_minute", "created_at", "last_used_at", "expires_at", "revoked_at",
)  # fmt: skip


def export(user: User) -> Iterator[File]:
    """Profile, preferences, keys without their texts, sign-ins, team and history."""
    yield (
        "profile.json",
        {
            "id": user.pk,
            "email": user.email,
            "name": user.name,
            "picture_url": user.picture_url,
            "role": user.role,
            "plan": user.current_subscription,
            "timezone": user.timezone,
            "created_at": user.created_at,
            "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
            "google_id": user.google_id,
            "supabase_id": user.supabase_id,
            "second_steps": list(Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")),
            "team": list(Membership.objects.filter(user=user).values("team__name", "role", "joined_at")),
        },
    )
    yield "preferences.json", preferences.of(user)
    yield "api-keys.json", list(ApiKey.objects.filter(user=user).order_by("created_at").values(*_KEY_FIELDS))
    places = sign_ins.of(user.pk).values("user_agent", "address", "created_at", "last_seen_at", "expires_at")
    yield "sign-ins.json", list(places)
    deeds = audit.about(user.pk).filter(subject_id=user.pk).order_by("at").values("at", "action", "target", "reason")
    yield "history.json", list(deeds.iterator(chunk_size=500))


def keep(user: User) -> None:
    """Refusals ``owner_must_stay`` and ``team_subscribed`` for the owner of a team."""
    teams.check_may_go(user.pk)


def address_of(user: User) -> str:
    """What stands where the address stood: it can't exist (RFC 2606), and says nothing."""
    return f"{user.pk.hex}@erased.invalid"


def erase(user: User) -> int:
    """Take from the row all that names somebody, and delete what hangs on it; the row itself stays."""
    email, pseudonym = user.email, address_of(user)
    if email == pseudonym:
        return 0
    with transaction.atomic():
        gone = 0
        own = Membership.objects.filter(user=user, role=TeamRole.OWNER).first()
        if own is not None:  # alone in it, or they would have had to stay
            teams.delete_team(user, own.team_id)
        if Membership.objects.filter(user=user).exists():
            gone += Membership.objects.filter(user=user).delete()[0]
            teams.changed(user.pk)
        mine = (SocialAccount, EmailAddress, Authenticator, Export)
        gone += sum(kind.objects.filter(user=user).delete()[0] for kind in mine)
        gone += TeamInvitation.objects.filter(email__iexact=email).delete()[0]
        TeamInvitation.objects.filter(invited_by=user).update(invited_by=None)
        letters = OutgoingMail.objects.values_list("pk", "to").iterator(chunk_size=1000)
        gone += OutgoingMail.objects.filter(pk__in=[pk for pk, to in letters if email in to]).delete()[0]
        sign_ins.end_of(user.pk)
        # Keys stay as rows, because what was used is counted by them; their names are the person's words.
        ApiKey.objects.filter(user=user).update(name="key", allowed_networks=[])
        audit.erase(user.pk, email, pseudonym)
        User.objects.filter(pk=user.pk).update(
            email=pseudonym,
            name="",
            picture_url="",
            google_id=None,
            supabase_id=None,
            role=Role.USER,
            is_active=False,
            password=make_password(None),
            preferences={},
            locale="en",
            timezone="UTC",
            last_login=None,
        )
    return gone + 1


HOLDER: Final = Holder("account", export, erase, keep)
