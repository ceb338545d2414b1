"""Changing, ending, pausing and taking back, each with what it costs or gives back said before it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing import change_preview, changing, checkout, limits, portal, stopping
from billing.checkout_pages import refused, to_pay
from billing.models import Subscription
from billing.standing import Holder
from billing.terms import CYCLE_END, NOW
from billing.whose import address, holder_of, person
from billing.wording import bought
from oneai.kit.errors import Refusal

REASONS = [
    ("", "I would rather not say"),
    ("Too expensive", "It costs too much"),
    ("Not used enough", "I don’t use it enough"),
    ("Something is missing", "Something is missing"),
    ("Something does not work", "Something does not work"),
    ("Another product", "I use something else"),
]


class ChangeForm(forms.Form):
    """Another plan, interval or number of seats, and from when on."""

    offer = forms.ChoiceField(label="Plan", widget=forms.RadioSelect)
    seats = forms.IntegerField(label="Seats", min_value=1, max_value=checkout.MOST_SEATS, required=False)
    when = forms.ChoiceField(required=False, choices=[("", ""), (NOW, NOW), (CYCLE_END, CYCLE_END)])
    use_required_attribute = False

    def __init__(self, row: Subscription, offers: Mapping[str, str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["offer"].choices = list(offers.items())  # type: ignore[attr-defined]
        if row.plan.per_seat:
            self.fields["seats"].initial = row.quantity
        else:
            del self.fields["seats"]


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Choose (GET), see what it comes to (GET with a choice), and do it (POST)."""
    user, holder = person(request), holder_of(request)
    row = portal.current(holder)
    if row is None:
        return redirect("pricing")
    offers = change_preview.offers(user, row)
    given = request.POST if request.method == "POST" else _chosen(request, row)
    form = ChangeForm(row, {offer.value: offer.label for offer in offers}, given or None)
    preview, status = None, 200
    if given and form.is_valid():
        code, _, interval = form.cleaned_data["offer"].partition(":")
        seats, when = form.cleaned_data.get("seats"), form.cleaned_data["when"]
        try:
            if request.method == "POST":
                limits.count_change(user.pk)
                return _done(request, holder, changing.change(user, holder, code, interval, seats, when))
            wanted = changing.wish(user, row, code, interval, seats, when)
            preview = change_preview.of(holder, row, wanted)
        except Refusal as refusal:
            status = refused(form, refusal)
    elif given:
        status = 400
    context = {
        "section": "plan",
        "whose": f"?team={holder.team_id}" if holder.team_id else "",
        "team": holder.team_id,
        "subscription": row,
        "now_is": bought(row.plan, row.price, row.quantity),
        "price": portal.price_text(row),
        "form": form,
        "offers": offers,
        "chosen": form.data.get("offer", ""),
        "preview": preview,
    }
    return render(request, "billing/change.html", context, status=status)


def _chosen(request: HttpRequest, row: Subscription) -> dict[str, str]:
    """The choice in the address, also as the price list links to it; empty when nothing is chosen yet."""
    query = request.GET
    offer = query.get("offer") or ""
    if not offer and "plan" in query:
        offer = f"{query['plan']}:{query.get('interval') or row.price.interval}"
    if not offer:
        return {}
    return {"offer": offer, "seats": query.get("seats", ""), "when": query.get("when", "")}


def _done(request: HttpRequest, holder: Holder, done: changing.Changed) -> HttpResponse:
    if done.replacement is not None:
        return to_pay(done.replacement.pk)
    if done.when == CYCLE_END:
        messages.success(request, "The change is set for the end of this period.")
    else:
        messages.success(request, "The change is made. What the new plan holds is there as soon as it is paid.")
    return redirect(address("billing", holder))


class CancelForm(forms.Form):
    """When and why."""

    when = forms.ChoiceField(choices=[(CYCLE_END, CYCLE_END), (NOW, NOW)])
    reason = forms.ChoiceField(label="Why? It helps us.", choices=REASONS, required=False)
    use_required_attribute = False


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def cancel(request: HttpRequest) -> HttpResponse:
    """At the end of the period, which can be taken back, or now with what is left of it paid back."""
    user, holder = person(request), holder_of(request)
    row = portal.current(holder)
    if row is None:
        return redirect(address("billing", holder))
    form = CancelForm(request.POST or None)
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        when = form.cleaned_data["when"]
        try:
            limits.count_change(user.pk)
            stopping.cancel(holder, when, form.cleaned_data["reason"], user.email)
        except Refusal as refusal:
            status = refused(form, refusal)
        else:
            ended = f"{row.plan.name} has ended." if when == NOW else "It ends with the period. You can take that back."
            messages.success(request, ended)
            return redirect(address("billing", holder))
    context = {
        "section": "plan",
        "back": address("billing", holder),
        "subscription": row,
        "form": form,
        "ending": change_preview.of_ending(row, user),
    }
    return render(request, "billing/cancel.html", context, status=status)


@require_POST
@login_required
def undo(request: HttpRequest) -> HttpResponse:
    """Take back what was to happen at the end of the period."""
    actor = person(request).email
    return _deed(request, lambda holder: stopping.undo(holder, actor), "{plan} goes on as it was.")


@require_POST
@login_required
def pause(request: HttpRequest) -> HttpResponse:
    """Stop charging for a while."""
    return _deed(request, stopping.pause, "{plan} is paused. Nothing is charged.")


@require_POST
@login_required
def resume(request: HttpRequest) -> HttpResponse:
    """Go on after a pause."""
    return _deed(request, stopping.resume, "{plan} runs again.")


def _deed(request: HttpRequest, do: Callable[[Holder], Subscription], done: str) -> HttpResponse:
    """Do it and say so on the page of the plan; a refusal is said there, too."""
    holder = holder_of(request)
    try:
        limits.count_change(person(request).pk)
        row = do(holder)
    except Refusal as refusal:
        messages.error(request, refusal.text)
    else:
        messages.success(request, done.format(plan=row.plan.name))
    return redirect(address("billing", holder))


urlpatterns = [
    path("billing/change", change, name="billing_change"),
    path("billing/cancel", cancel, name="billing_cancel"),
    path("billing/undo", undo, name="billing_undo"),
    path("billing/pause", pause, name="billing_pause"),
    path("billing/resume", resume, name="billing_resume"),
]
