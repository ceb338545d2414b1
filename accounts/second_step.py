"""The second step of signing in: whether somebody has one, whether this sign-in took it, and who must.

allauth.mfa does the steps themselves (codes of an app, recovery codes, passkeys). Staff of a site that others
can reach are staff only where the step was taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from accounts import throttles
from accounts.models import User
from accounts.principal import needs_second_step
from oneai.kit import sealing
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")

BY_ACCOUNT: Final = throttles.Limit("second-step/account", 5, 300)
_STEPS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def is_on(user: User) -> bool:
    """Whether signing in as ``user`` takes a second step."""
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=_STEPS).exists())


def state(user: User) -> dict[str, Any]:
    """What somebody has set up: whether anything is ``on``, the ``app``, the ``passkeys``, and if one is ``needed``."""
    rows = list(Authenticator.objects.filter(user_id=user.pk).order_by("created_at", "pk"))
    return {
        "on": any(row.type in _STEPS for row in rows),
        "app": any(row.type == Authenticator.Type.TOTP for row in rows),
        "passkeys": [row for row in rows if row.type == Authenticator.Type.WEBAUTHN],
        "needed": needs_second_step(user.role),
    }


def taken(session: Mapping[str, Any]) -> bool:
    """Whether whoever signed in with this session's data took it, or came by a passkey, which is both at once."""
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY)
    return isinstance(records, list) and any(
        isinstance(record, dict) and record.get("method") == "mfa" for record in records
    )


def check_code(user: User, code: str) -> None:
    """Take a code of the person's app, or one of their recovery codes, which is then used up.

    Refusal ``invalid_value`` for a wrong one, ``too_many_attempts``.
    """
    ticket = throttles.take(BY_ACCOUNT, str(user.pk))
    for authenticator in Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.WEBAUTHN):
        if authenticator.wrap().validate_code(code):
            authenticator.record_usage()
            throttles.give_back(ticket)
            return
    log.warning("second_step_failed", user_id=str(user.pk))
    raise Refusal("invalid_value", "The code is not right, or was used before.", param="second_factor")


def check_program(user: User, code: str) -> None:
    """What a program must bring beside the first step. Refusal ``second_factor_required``, or that of the code."""
    if is_on(user):
        if not code:
            raise Refusal("second_factor_required")
        check_code(user, code)
    elif needs_second_step(user.role):
        raise Refusal("second_factor_required", "Staff sign in with a second step: set one up on the site first.")


def take_away(user: User) -> int:
    """Remove every second step of somebody who has lost them; returns how many there were."""
    return int(Authenticator.objects.filter(user_id=user.pk).delete()[0])


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    """What allauth.mfa asks of us."""

    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Staff who must have a second step keep the last one."""
        user: User = authenticator.user
        others = Authenticator.objects.filter(user_id=user.pk, type__in=_STEPS).exclude(pk=authenticator.pk)
        return not needs_second_step(user.role) or others.exists()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return f"Passkey {number}" if number > 1 else "Passkey"
