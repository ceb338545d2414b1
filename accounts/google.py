"""Who comes in by Google. The identity is the account number (``sub``); an address proves nothing alone.

A number we know signs in, whatever its address is now. An unknown one signs up, except when its
address belongs to somebody here: then see ``_by_address``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.base import AuthProcess
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest

from accounts import audit, standing
from accounts.models import User

log = structlog.get_logger("security")

PROVIDER: Final = "google"
_LONGEST_SUB: Final = 64

_OTHERS = (
    "An account with this address is there already, and this Google account is not connected to it. "
    "Sign in the way you usually do."
)
_NOT_VERIFIED = "Google has not confirmed your e-mail address. Sign up by e-mail instead."


@dataclass(frozen=True)
class NotAdmitted(Exception):
    """Google's answer is good, and yet nobody is signed in; ``text`` is for the person."""

    why: str
    text: str


def verified_email(claims: dict[str, Any]) -> str | None:
    """The address in ``claims`` in lower case if Google says that it verified it, else None."""
    email = claims.get("email")
    if claims.get("email_verified", claims.get("verified_email")) is not True or not isinstance(email, str):
        return None
    try:
        validate_email(email)
    except ValidationError:
        return None
    return email.strip().lower() if len(email) <= 254 else None


def fill_in(user: User, claims: dict[str, Any]) -> None:
    """Name and picture of a new person, as far as they fit."""
    name, picture = claims.get("name"), claims.get("picture")
    if isinstance(name, str):
        user.name = " ".join(name.split())[:150]
    if isinstance(picture, str) and len(picture) <= 500 and urlsplit(picture).scheme == "https":
        user.picture_url = picture


def admit(request: HttpRequest, sociallogin: Any) -> None:
    """Decide about a verified answer of Google, before anything is signed in; NotAdmitted when not."""
    account: SocialAccount = sociallogin.account
    if len(account.uid) > _LONGEST_SUB:
        raise NotAdmitted("sub too long", "Google's answer can't be used.")
    if sociallogin.state.get("process") == AuthProcess.CONNECT:
        _admit_connection(request, sociallogin)
    elif not sociallogin.is_existing:
        _admit_newcomer(request, sociallogin)


def _admit_connection(request: HttpRequest, sociallogin: Any) -> None:
    """A signed-in person connects Google: one Google account each."""
    user: Any = request.user
    if not user.is_authenticated or sociallogin.is_existing:
        return  # allauth sends the first to sign in, and refuses an account that is another person's
    if SocialAccount.objects.filter(user=user, provider=PROVIDER).exists():
        raise NotAdmitted("second account", "Another Google account is connected. Disconnect it first.")


def _admit_newcomer(request: HttpRequest, sociallogin: Any) -> None:
    email = verified_email(sociallogin.account.extra_data)
    if email is None:
        raise NotAdmitted("address not verified", _NOT_VERIFIED)
    with transaction.atomic():
        user = _by_address(request, email)
        if user is not None:
            sociallogin.connect(request, user)
        else:
            # Addresses that others began to add and never proved don't keep their holder out.
            EmailAddress.objects.filter(email__iexact=email, verified=False).delete()


def _by_address(request: HttpRequest, email: str) -> User | None:
    """The person here whom a newcomer with the verified address ``email`` is; None for a new one.

    * Somebody proved the address here too: it is them. Unless they are connected to another
      Google account: then the address has changed hands at Google, and nobody is let in.
      Nor is a disabled person.
    * Somebody signed up with it and never proved it: whoever that was can't be the holder with
      any certainty. The holder gets the account, emptied of everything that signs in, and a notice.
    * A person with that address who has proved another one: nobody is let in.
    """
    proved = EmailAddress.objects.filter(email__iexact=email, verified=True).values_list("user_id", flat=True)
    by_address = User.objects.select_for_update()
    user = by_address.filter(pk__in=list(proved)).first() or by_address.filter(email__iexact=email).first()
    if user is None:
        return None
    if not user.is_active:
        raise NotAdmitted("account disabled", "This account is disabled.")
    if user.google_id or SocialAccount.objects.filter(user=user, provider=PROVIDER).exists():
        raise NotAdmitted("address is another google account's", _OTHERS)
    if user.pk in proved:
        audit.record(user.email, "google.connected", user.pk, reason="same verified address", actor_id=user.pk)
    elif EmailAddress.objects.filter(user=user, verified=True).exists():
        raise NotAdmitted("address not proved by its person", _OTHERS)
    else:
        _hand_over(request, user, email)
    return user


def _hand_over(request: HttpRequest, user: User, email: str) -> None:
    """Give a never verified account to the holder of its address."""
    standing.lock_out(user)
    EmailAddress.objects.filter(user=user).exclude(email__iexact=email).delete()
    address, _ = EmailAddress.objects.get_or_create(user=user, email=email, defaults={"primary": True})
    EmailAddress.objects.filter(pk=address.pk).update(verified=True, primary=True)
    audit.record(
        "google",
        "account.handed_over",
        user.pk,
        target=email,
        reason="Google verified an address that was never verified here",
    )
    log.warning("account_handed_over", user_id=str(user.pk))
    get_adapter(request).send_mail("accounts/email/handed_over", email, {"user": user})


def note_connection(sender: Any, instance: SocialAccount, **_: Any) -> None:
    """Keep ``User.google_id`` in step with the connected account (after it was saved)."""
    if instance.provider == PROVIDER:
        User.objects.filter(pk=instance.user_id).exclude(google_id=instance.uid).update(google_id=instance.uid)


def note_disconnection(sender: Any, instance: SocialAccount, **_: Any) -> None:
    """The same, after it was removed."""
    if instance.provider == PROVIDER:
        User.objects.filter(pk=instance.user_id, google_id=instance.uid).update(google_id=None)
