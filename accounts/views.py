"""The pages of sign-in: allauth's flows under our limits. Only what ``accounts.urls`` names exists."""

from __future__ import annotations

from allauth.account import views as account
from allauth.socialaccount import views as social
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.guard import by_address, by_email, by_person, by_session, guarded
from accounts.throttles import (
    CODE_BY_ADDRESS,
    CODE_BY_SESSION,
    MAIL_BY_ACCOUNT,
    MAIL_BY_ADDRESS,
    PASSWORD_BY_ACCOUNT,
    SIGN_UP_BY_ACCOUNT,
    SIGN_UP_BY_ADDRESS,
    SIGN_UP_BY_ADDRESS_DAILY,
)

_mail = guarded(by_address(MAIL_BY_ADDRESS), by_email(MAIL_BY_ACCOUNT))
_code = guarded(by_address(CODE_BY_ADDRESS), by_session(CODE_BY_SESSION))
_password = guarded(by_person(PASSWORD_BY_ACCOUNT))

login = guarded()(account.login)  # the adapter counts, around the password itself
signup = guarded(by_address(SIGN_UP_BY_ADDRESS), by_address(SIGN_UP_BY_ADDRESS_DAILY), by_email(SIGN_UP_BY_ACCOUNT))(
    account.signup
)
inactive = account.account_inactive
confirm_email = _code(account.email_verification_sent)
request_code = _mail(account.request_login_code)
confirm_code = _code(account.confirm_login_code)
reset_password = _mail(account.password_reset)
confirm_reset = _code(account.confirm_password_reset_code)
complete_reset = _code(account.complete_password_reset)
reset_done = account.password_reset_from_key_done
reauthenticate = guarded()(account.reauthenticate)
change_password = _password(account.password_change)
set_password = _password(account.password_set)
email = guarded(by_person(MAIL_BY_ACCOUNT))(account.email)
connections = guarded()(social.connections)
google_cancelled = social.login_cancelled
google_error = social.login_error


@guarded()
def logout(request: HttpRequest) -> HttpResponseBase:
    """Sign out on POST and have the browser forget what it kept of this site."""
    response: HttpResponseBase = account.logout(request)
    if request.method == "POST":
        response["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response
