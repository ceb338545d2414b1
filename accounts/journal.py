"""The security log: one structured line for everything that changes how a person signs in.

People are named by id, addresses as typed by a keyed hash; no code, key, password or cookie.
"""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account import signals as account
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa import signals as steps
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import signals as auth
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from accounts import audit, google, sign_ins
from accounts.addresses import client_address

log = structlog.get_logger("security")


def _address(request: HttpRequest | None) -> str:
    return client_address(request) if request is not None else ""


def _signed_in(sender: Any, request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
    done = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) if request is not None else None
    method = done[-1].get("method", "") if isinstance(done, list) and done else ""
    log.info("signed_in", user_id=str(user.pk), method=method, address=_address(request))


def _signed_out(sender: Any, request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
    if user is not None:
        log.info("signed_out", user_id=str(user.pk), address=_address(request))


def _about_user(event: str) -> Any:
    def receive(sender: Any, request: HttpRequest | None = None, user: Any = None, **_: Any) -> None:
        log.info(event, user_id=str(user.pk), address=_address(request))

    return receive


def _noted(action: str) -> Any:
    """Keep it in the person's own history, too."""

    def receive(sender: Any, user: Any = None, **_: Any) -> None:
        audit.record(user.email, action, user.pk, actor_id=user.pk)

    return receive


def _code_rejected(event: str) -> Any:
    def receive(sender: Any, request: HttpRequest | None = None, user: Any = None, **more: Any) -> None:
        log.warning(event, user_id=str(user.pk), last=more.get("last_attempt"), address=_address(request))

    return receive


def _email_confirmed(sender: Any, request: HttpRequest | None = None, email_address: Any = None, **_: Any) -> None:
    log.info("email_confirmed", user_id=str(email_address.user_id), address=_address(request))


def listen() -> None:
    """Subscribe to what Django and allauth report; called once, when the apps are ready."""
    auth.user_logged_in.connect(_signed_in, weak=False)
    auth.user_logged_out.connect(_signed_out, weak=False)
    auth.user_logged_out.connect(sign_ins.signed_out, weak=False)
    for event in ("user_signed_up", "password_set", "password_changed", "password_reset", "email_changed"):
        getattr(account, event).connect(_about_user(event), weak=False)
    for event in ("login_code_rejected", "email_verification_code_rejected", "password_reset_code_rejected"):
        getattr(account, event).connect(_code_rejected(event), weak=False)
    for signal, action in (
        (account.password_set, "password.set"),
        (account.password_changed, "password.changed"),
        (account.password_reset, "password.reset"),
        (account.email_changed, "email.changed"),
        (steps.authenticator_added, "second_step.added"),
        (steps.authenticator_removed, "second_step.removed"),
        (steps.authenticator_reset, "second_step.codes_made"),
    ):
        signal.connect(_noted(action), weak=False)
    account.email_confirmed.connect(_email_confirmed, weak=False)
    post_save.connect(google.note_connection, sender=SocialAccount)
    post_delete.connect(google.note_disconnection, sender=SocialAccount)
