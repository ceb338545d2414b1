"""Sign-in with Google for programs, which keep no session: the same verification and rules as the browser's."""

from __future__ import annotations

from typing import Any, Final

import structlog
from allauth.account.models import EmailAddress
from allauth.account.signals import user_signed_up
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpRequest

from accounts import google, throttles
from accounts.addresses import address_group, client_address
from accounts.google_views import StrictGoogle
from accounts.models import User
from oneai.kit.errors import Refusal

log = structlog.get_logger("security")

_ONCE: Final = throttles.Limit("google/id-token", 1, 7200)  # longer than any id_token lives


def by_code(request: HttpRequest, code: str, redirect_uri: str, verifier: str) -> User:
    """Whose ``code`` it is, which Google gave for ``redirect_uri`` and the challenge of ``verifier``.

    Refusals: ``invalid_value`` for a code that Google does not take, ``unavailable``, and those of ``_admitted``.
    """
    adapter = _adapter(request)
    app = adapter.get_provider().app
    client = OAuth2Client(
        request, app.client_id, app.secret, adapter.access_token_method, adapter.access_token_url, redirect_uri
    )
    try:
        answer = client.get_access_token(code, pkce_code_verifier=verifier)
        return _admitted(request, adapter, answer)
    except (OAuth2Error, ValueError) as error:
        raise _refused(request, "code", error) from error
    except OSError as error:  # as the library's client says that nobody answers
        raise Refusal("unavailable", "Google does not answer. Try again in a moment.", retry_after=5) from error


def by_id_token(request: HttpRequest, id_token: str) -> User:
    """Whose ``id_token`` it is; it is good once. Refusals as for ``by_code``."""
    adapter = _adapter(request)
    try:
        throttles.take(_ONCE, id_token)
    except Refusal as used:
        raise _refused(request, "id_token", used) from used
    try:
        return _admitted(request, adapter, {"id_token": id_token})
    except (OAuth2Error, ValueError) as error:
        raise _refused(request, "id_token", error) from error
    except OSError as error:  # as the library's client says that nobody answers
        raise Refusal("unavailable", "Google does not answer. Try again in a moment.", retry_after=5) from error


def _adapter(request: HttpRequest) -> StrictGoogle:
    if not settings.SOCIALACCOUNT_PROVIDERS:
        raise Refusal("invalid_value", "Sign-in with Google is not set up on this site.", param="provider")
    throttles.take(throttles.GOOGLE_BY_ADDRESS, address_group(client_address(request)))
    return StrictGoogle(request)


def _refused(request: HttpRequest, param: str, error: Exception) -> Refusal:
    log.warning("google_failed", error=type(error).__name__, address=client_address(request))
    return Refusal("invalid_value", "Google's answer is not valid, or was used before.", param=param)


def _admitted(request: HttpRequest, adapter: StrictGoogle, answer: dict[str, Any]) -> User:
    """The person of a verified answer, who is new or known. Refusal ``sign_in_refused``, ``account_disabled``."""
    login = adapter.complete_login(request, adapter.get_provider().app, SocialToken(), response=answer)
    session, request.session = request.session, SessionStore()  # what the library notes there is for browsers
    try:
        login.lookup()
        google.admit(request, login)
        if not login.is_existing:
            _sign_up(request, login)
    except google.NotAdmitted as refused:
        log.warning("google_refused", why=refused.why, address=client_address(request))
        raise Refusal("sign_in_refused", refused.text) from refused
    finally:
        request.session = session
    user: User = login.user
    if not user.is_active:
        raise Refusal("account_disabled")
    if not EmailAddress.objects.filter(user=user, verified=True).exists():
        raise Refusal("sign_in_refused", "Confirm your e-mail address first: sign in on the site.")
    return user


def _sign_up(request: HttpRequest, login: Any) -> None:
    social = get_adapter(request)
    if not social.is_open_for_signup(request, login):
        raise Refusal("sign_in_refused", "New accounts are closed at the moment.")
    try:
        user = social.save_user(request, login)
    except ImmediateHttpResponse as error:  # somebody signed up with the address a moment ago
        raise Refusal("conflict", "Please try again.") from error
    user_signed_up.send(sender=User, request=request, user=user, sociallogin=login)
