"""The section of the settings about one's own data: a copy of it, and its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from accounts import closing, exporting, second_step
from accounts.api.closing_views import as_file, prove
from accounts.guard import guarded
from accounts.models import User
from oneai.kit.errors import Refusal


class DeleteForm(forms.Form):
    """Proof that it is really them; which fields there are depends on how they sign in."""

    use_required_attribute = False

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        if user.has_usable_password():
            self.fields["password"] = forms.CharField(
                label="Your password",
                strip=False,
                widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            )
        else:
            self.fields["email"] = forms.EmailField(label=f"Type {user.email}", help_text="So that it is no accident.")
        if second_step.is_on(user):
            self.fields["second_factor"] = forms.CharField(
                label="Code of your app, or a recovery code",
                widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
            )


def _person(request: HttpRequest) -> User:
    assert request.user.is_authenticated
    return request.user


@require_safe
@never_cache
@login_required
def data(request: HttpRequest) -> HttpResponse:
    """Exports, and whether the account is to be deleted."""
    user = _person(request)
    context = {"section": "data", "exports": exporting.of(user.pk), "closing": closing.of(user)}
    return render(request, "settings/data.html", context)


@require_POST
@never_cache
@login_required
@guarded()
def export(request: HttpRequest) -> HttpResponseBase:
    """Have a copy made."""
    exporting.ask(_person(request))
    messages.success(request, "We put your data together, and write to you when it can be fetched.")
    return redirect("settings_data")


@require_GET
@never_cache
@login_required
def fetch(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """The file."""
    return as_file(exporting.find(_person(request).pk, export_id))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@guarded()
def delete(request: HttpRequest) -> HttpResponseBase:
    """Ask whether it is meant, and by whom; then the days of grace begin."""
    user = _person(request)
    kept = ""
    try:
        closing.check(user)
    except Refusal as refusal:
        kept = refusal.text
    form = DeleteForm(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and not kept and form.is_valid():
        try:
            prove(user, form.cleaned_data)
            closing.ask(user)
        except Refusal as refusal:
            if refusal.param not in form.fields:
                raise
            form.add_error(refusal.param, refusal.text)
        else:
            return redirect("settings_data")
    context = {"section": "data", "form": form, "kept": kept, "days": closing.GRACE.days}
    status = 409 if kept and request.method == "POST" else 400 if form.errors else 200
    return render(request, "settings/delete.html", context, status=status)


@require_POST
@never_cache
@login_required
@guarded()
def undo(request: HttpRequest) -> HttpResponseBase:
    """Keep the account after all."""
    closing.undo(_person(request))
    messages.success(request, "Your account stays.")
    return redirect("settings_data")


urlpatterns = [
    path("settings/data", data, name="settings_data"),
    path("settings/data/export", export, name="settings_export"),
    path("settings/data/export/<uuid:export_id>", fetch, name="settings_export_file"),
    path("settings/data/delete", delete, name="settings_delete"),
    path("settings/data/keep", undo, name="settings_keep"),
]
