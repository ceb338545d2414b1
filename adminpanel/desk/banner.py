"""The maintenance banner: tell everybody something, from a moment and until another."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse

from adminpanel.desk.doors import done, require, shown, tried
from content import banner
from content.models import Banner

_AT = {"type": "datetime-local"}


class BannerForm(forms.Form):
    """What it says and when. Times are UTC."""

    text = forms.CharField(max_length=banner.LONGEST, widget=forms.Textarea({"rows": 2}), label="Text")
    level = forms.ChoiceField(choices=Banner.Level.choices, label="Look")
    starts = forms.DateTimeField(required=False, widget=forms.DateTimeInput(_AT), label="From (UTC; empty: now)")
    until = forms.DateTimeField(required=False, widget=forms.DateTimeInput(_AT), label="Until (UTC)")


def page(request: HttpRequest) -> HttpResponse:
    """What is shown, and a form for another."""
    require(request, "banner.view")
    form = BannerForm(request.POST if "text" in request.POST else None)
    if request.method == "POST":
        actor = require(request, "banner.change")
        if "text" not in request.POST:
            return _down(request)
        if form.is_valid():
            given = form.cleaned_data
            if tried(
                form, lambda: banner.put_up(actor, given["text"], given["level"], given["starts"], given["until"])
            ):
                return done(request, "desk_banner", "It stands on every page within five seconds.")
    status = 400 if form.errors else 200
    return shown(request, "banner", status=status, title="Maintenance banner", form=form, rows=banner.upcoming())


def _down(request: HttpRequest) -> HttpResponse:
    actor = require(request, "banner.change")
    try:
        row = Banner.objects.filter(pk=UUID(request.POST.get("id", ""))).first()
    except ValueError as error:
        raise Http404 from error
    if row is None:
        raise Http404
    banner.take_down(actor, row)
    return done(request, "desk_banner", "It is gone from every page within five seconds.")
