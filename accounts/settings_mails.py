"""The section of the settings about which mails somebody wants."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import notifications, preferences


class NotificationsForm(forms.Form):
    """A mark for each kind of mail that can be done without."""

    quota = forms.BooleanField(label="My quota is used to 80 %, and used up", required=False)
    renewals = forms.BooleanField(label="A week before a charge, and before a trial ends", required=False)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def mails(request: HttpRequest) -> HttpResponse:
    """Which mails somebody wants."""
    user = request.user
    assert user.is_authenticated
    wanted = {name: notifications.wanted(user, name) for name in preferences.NOTIFICATIONS}
    form = NotificationsForm(request.POST if request.method == "POST" else None, initial=wanted)
    if request.method == "POST" and form.is_valid():
        preferences.change(user.pk, {"notifications": form.cleaned_data})
        messages.success(request, "Your choice is saved.")
        return redirect("settings_notifications")
    return render(request, "settings/notifications.html", {"section": "notifications", "form": form})


urlpatterns = [path("settings/notifications", mails, name="settings_notifications")]
