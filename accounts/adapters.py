"""What allauth asks of us: exact limits around passwords, safe ways back, and who may come by Google."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import google, standing, throttles
from accounts.addresses import address_group, client_address
from accounts.models import User
from accounts.pseudonyms import log_name

log = structlog.get_logger("security")


def display_name(user: User) -> str:
    """How pages and mails address a person."""
    return user.name or user.email


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-in by e-mail."""

    def is_ajax(self, request: HttpRequest) -> bool:
        """Never: forms answer with pages, whatever the request's headers say."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only paths of this site: a sign-in never leads to another host."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Nothing: ``authenticate`` counts the attempt."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """The person whose password this is, or None.

        The attempt is counted before the password is looked at, for the address and for the
        account, whether or not that exists. A success gives back the account's, not the address's.
        """
        email = str(credentials.get("email") or "").strip().lower()
        throttles.take(throttles.SIGN_IN_BY_ADDRESS, address_group(client_address(request)))
        ticket = throttles.take(throttles.SIGN_IN_BY_ACCOUNT, email)
        user: User | None = super().authenticate(request, **credentials)
        if user is None:
            log.warning("sign_in_failed", account=log_name(email), address=client_address(request))
        else:
            throttles.give_back(ticket)
        return user

    def set_password(self, user: User, password: str) -> None:
        """Change the password and end every session and token that was opened under the old one."""
        user.set_password(password)
        user.save()
        standing.end_sign_ins(user)

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """After a reset by code the account's failed sign-ins no longer count."""
        throttles.forget(throttles.SIGN_IN_BY_ACCOUNT, str(credentials.get("email") or "").strip().lower())

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account_email")


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Sign-in by Google; the rules are in ``accounts.google``."""

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        google.fill_in(user, sociallogin.account.extra_data)
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        try:
            google.admit(request, sociallogin)
        except google.NotAdmitted as refused:
            log.warning("google_refused", why=refused.why, address=client_address(request))
            messages.error(request, refused.text)
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_login"))) from refused

    def authenticate_by_email(self, sociallogin: Any) -> None:
        """Never: an address is no identity. ``google.admit`` decides what it may lead to."""

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Make the person and the link to Google together, or neither."""
        try:
            with transaction.atomic():
                user: User = super().save_user(request, sociallogin, form)
        except IntegrityError as error:  # the same address signed up in another tab a moment ago
            messages.error(request, "Please try again.")
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_login"))) from error
        return user

    def validate_disconnect(self, account: Any, accounts: Any) -> None:
        super().validate_disconnect(account, accounts)
        user: User = account.user
        if not user.has_usable_password() and len(accounts) == 1:
            raise self.validation_error("no_password")

    def on_authentication_error(self, request: HttpRequest, provider: Any, error: Any = None, **_: Any) -> None:
        log.warning("google_failed", error=str(error), address=client_address(request))
