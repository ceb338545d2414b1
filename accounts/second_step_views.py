"""The pages of the second step: the library's under our limits, and how passkeys are begun."""

from __future__ import annotations

import json
from typing import Any

from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.mfa.webauthn.internal import auth
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.guard import by_address, by_person, guarded
from accounts.throttles import PASSWORD_BY_ACCOUNT, SIGN_IN_BY_ADDRESS


class Authenticate(base.AuthenticateView):  # type: ignore[misc]
    """The second step at sign-in; a passkey is offered to who has one."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**kwargs)
        if auth.get_credentials(self.stage.login.user):
            return found | {"options": json.dumps(found["js_data"]["request_options"])}
        return found


class AddPasskey(webauthn.AddWebAuthnView):  # type: ignore[misc]
    """A new passkey, which the device keeps and which names its person."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**kwargs)
        return found | {"options": json.dumps(auth.begin_registration(self.request.user, True))}


class ConfirmByPasskey(webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc]
    """A passkey before what matters is changed."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**kwargs)
        return found | {"options": json.dumps(found["js_data"]["request_options"])}


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Where the library leads when something was changed."""
    return redirect("settings_security")


@guarded(by_address(SIGN_IN_BY_ADDRESS))
def _passkey(request: HttpRequest) -> HttpResponseBase:
    response: HttpResponseBase = webauthn.login_webauthn(request)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_by_passkey(request: HttpRequest) -> HttpResponseBase:
    """GET: what a browser's script asks the device. POST: its answer, which signs in."""
    if request.method == "POST":
        return _passkey(request)
    return JsonResponse({"options": auth.begin_authentication(None)})


_changes = guarded(by_person(PASSWORD_BY_ACCOUNT))


def _own(view: Any) -> Any:
    return login_required(guarded()(never_cache(view)))


urlpatterns = [
    path("accounts/2fa/", index, name="mfa_index"),
    path("accounts/2fa/authenticate/", guarded()(never_cache(Authenticate.as_view())), name="mfa_authenticate"),
    path("accounts/2fa/reauthenticate/", guarded()(base.reauthenticate), name="mfa_reauthenticate"),
    path("accounts/2fa/app/", _own(totp.activate_totp), name="mfa_activate_totp"),
    path("accounts/2fa/app/off/", _changes(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("accounts/2fa/codes/", never_cache(recovery.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "accounts/2fa/codes/new/",
        login_required(_changes(recovery.generate_recovery_codes)),
        name="mfa_generate_recovery_codes",
    ),
    path("accounts/2fa/passkeys/", index, name="mfa_list_webauthn"),
    path("accounts/2fa/passkeys/new/", _own(AddPasskey.as_view()), name="mfa_add_webauthn"),
    path("accounts/2fa/passkeys/login/", sign_in_by_passkey, name="mfa_login_webauthn"),
    path(
        "accounts/2fa/passkeys/confirm/",
        _own(ConfirmByPasskey.as_view()),
        name="mfa_reauthenticate_webauthn",
    ),
    path(
        "accounts/2fa/passkeys/<int:pk>/remove/", login_required(webauthn.remove_webauthn), name="mfa_remove_webauthn"
    ),
    path("accounts/2fa/passkeys/<int:pk>/name/", login_required(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
]
