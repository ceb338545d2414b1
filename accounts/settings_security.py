"""The section of the settings about what signs in: password, second step, devices, and what was done."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit, devices, second_step, sign_ins, standing
from accounts.models import AuditEntry, User

SHOWN: Final = 50
_DEEDS: Final = {
    "account.handed_over": "The account was given to the holder of its address",
    "api_key.changed": "API key changed",
    "api_key.created": "API key made",
    "api_key.revoked": "API key revoked",
    "api_key.rotated": "API key rotated",
    "account.closing": "Asked for the account to be deleted",
    "account.export_asked": "Asked for a copy of everything",
    "account.kept": "Kept the account after all",
    "email.changed": "E-mail address changed",
    "password.changed": "Password changed",
    "password.reset": "Password reset by code",
    "password.set": "Password set",
    "second_step.added": "Second step added",
    "second_step.codes_made": "New recovery codes made",
    "second_step.removed": "Second step removed",
    "second_step.reset": "Second step removed",
    "google.connected": "Google connected",
    "sign_in.ended": "Signed out on one device",
    "sign_ins.ended": "Signed out everywhere",
}


class EverywhereForm(forms.Form):
    """How far signing out everywhere goes."""

    keep_current = forms.BooleanField(label="Stay signed in here", required=False, initial=True)
    api_keys = forms.BooleanField(label="Revoke all my API keys, too", required=False)


def _person(request: HttpRequest) -> User:
    assert request.user.is_authenticated
    return request.user


def _deed(row: AuditEntry, user: User) -> dict[str, Any]:
    words = row.action.replace(".", " ").replace("_", " ")
    by = "" if row.actor_id == user.pk else "by staff" if row.actor_id is not None else "by the site"
    return {
        "at": row.at,
        "text": _DEEDS.get(row.action, words[:1].upper() + words[1:]),
        "target": "" if row.target == user.email or row.subject_id != user.pk else row.target,
        "by": by,
    }


@require_safe
@never_cache
@login_required
def security(request: HttpRequest) -> HttpResponse:
    """What signs in, where it is signed in, and what was done."""
    user = _person(request)
    rows = list(sign_ins.of(user.pk)[: SHOWN + 1])
    places = [
        {"row": row, "device": devices.named(row.user_agent), "current": row.session_key == request.session.session_key}
        for row in rows[:SHOWN]
    ]
    deeds = [_deed(row, user) for row in audit.about(user.pk)[:20]]
    context = {
        "section": "security",
        "steps": second_step.state(user),
        "places": places,
        "more": len(rows) > SHOWN,
        "deeds": deeds,
    }
    return render(request, "settings/security.html", context)


@require_POST
@never_cache
@login_required
def sign_out_one(request: HttpRequest, sign_in_id: UUID) -> HttpResponse:
    """End one sign-in; this browser's own is ended like any other."""
    standing.sign_out_one(_person(request), sign_in_id)
    messages.success(request, "Signed out there.")
    return redirect("settings_security")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Ask how far it shall go, and do it."""
    form = EverywhereForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        user = _person(request)
        standing.sign_out_everywhere(user, keys=form.cleaned_data["api_keys"])
        if not form.cleaned_data["keep_current"]:
            request.session.flush()
            return redirect("account_login")
        update_session_auth_hash(request, user)
        messages.success(request, "You are signed out everywhere else.")
        return redirect("settings_security")
    return render(request, "settings/sign_out.html", {"section": "security", "form": form})


urlpatterns = [
    path("settings/security", security, name="settings_security"),
    path("settings/security/sign-out", sign_out_everywhere, name="settings_sign_out"),
    path("settings/security/sign-ins/<uuid:sign_in_id>/end", sign_out_one, name="settings_end_sign_in"),
]
