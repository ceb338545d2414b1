"""The settings: the way in, and the section about the person themselves.

Each section is a page of the app whose matter it is, inside ``settings/shell.html``.
"""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User


class ProfileForm(forms.ModelForm[User]):
    """What a person may change about themselves, as over the API."""

    name = forms.CharField(label="Name", max_length=150, required=False, help_text="How mails and pages address you.")
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Such as Asia/Kolkata.",
    )
    use_required_attribute = False

    class Meta:
        model = User
        fields = ["name", "timezone"]

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not name.isprintable():
            raise forms.ValidationError("Use printable characters.")
        return name

    def clean_timezone(self) -> str:
        zone = str(self.cleaned_data["timezone"])
        if zone not in zoneinfo.available_timezones():
            raise forms.ValidationError("This time zone is not known.")
        return zone


@require_safe
@login_required
def settings(request: HttpRequest) -> HttpResponse:
    """The first section."""
    return redirect("settings_profile")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Name and time zone."""
    user = request.user
    assert user.is_authenticated
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        user.save(update_fields=["name", "timezone", "updated_at"])
        messages.success(request, "Your profile is saved.")
        return redirect("settings_profile")
    zones = sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone or zone == "UTC")
    context: dict[str, Any] = {"section": "profile", "form": form, "zones": zones}
    return render(request, "settings/profile.html", context, status=400 if form.errors else 200)


urlpatterns = [
    path("settings", settings, name="settings"),
    path("settings/profile", profile, name="settings_profile"),
]
