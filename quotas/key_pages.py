"""The section of the settings where somebody sees to their API keys. All of it works without scripts.

The text of a new key is on the page to which the form that made it leads, and on that page once: loaded
again it says so, and makes no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from accounts import own_keys, shown_once
from accounts.models import ApiKey, User
from accounts.principal import SCOPES
from accounts.shown_once import ShownOnce
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.money import dollars
from quotas import key_budgets
from quotas.figures import LimitState
from quotas.key_forms import SCOPE_TEXTS, KeyForm, RotationForm, of_key
from quotas.policy import TOKENS

SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget as the page shows it. ``level`` colours its meter: low from 80 %, out at 100 %."""

    text: str
    share: float
    level: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A key as the page shows it. ``state`` is ``good``, ``soon`` (it ends) or ``expired``."""

    key: ApiKey
    state: str
    previous: bool
    may: str
    budgets: list[Budget]


def _budget(limit: LimitState) -> Budget:
    taken, most = limit.used + limit.held, limit.limit or 0
    share = min(1.0, taken / most) if most else 1.0
    level = "out" if share >= 1 else "low" if share >= 0.8 else "some"
    if limit.unit == TOKENS:
        return Budget(f"{taken:,} of {most:,} tokens", share, level)
    return Budget(f"{dollars(taken)} of {dollars(most)}", share, level)


def _shown(key: ApiKey, limits: list[LimitState], at: datetime) -> Shown:
    state = "good"
    if key.expires_at is not None and key.expires_at <= at + SOON:
        state = "expired" if key.expires_at <= at else "soon"
    return Shown(
        key=key,
        state=state,
        previous=key.previous_until is not None and key.previous_until > at,
        may="all that a key can" if set(key.scopes) >= SCOPES else _may(key),
        budgets=[_budget(limit) for limit in limits],
    )


def _may(key: ApiKey) -> str:
    return ", ".join(text.lower() for scope, text in SCOPE_TEXTS if scope in key.scopes)


def _owner(request: HttpRequest) -> User:
    assert request.user.is_authenticated
    return request.user


def _page(request: HttpRequest, name: str, status: int = 200, **context: Any) -> HttpResponse:
    return render(request, f"settings/{name}.html", {"section": "keys"} | context, status=status)


def _to_text(request: HttpRequest, key: ApiKey, shown: ShownOnce) -> HttpResponse:
    shown_once.put(request.session, key.pk, shown)
    return redirect("settings_key_text", key.pk)


@require_safe
@never_cache
@login_required
def listed(request: HttpRequest) -> HttpResponse:
    """Every key that is not revoked, the newest first."""
    owner = _owner(request)
    keys = list(own_keys.of(owner.pk).order_by("-created_at", "-id"))
    limits, at = key_budgets.of(owner.pk, keys), now()
    shown = [_shown(key, limits.get(key.pk, []), at) for key in keys]
    return _page(request, "keys", keys=shown, full=len(keys) >= own_keys.MOST, most=own_keys.MOST)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def new(request: HttpRequest) -> HttpResponse:
    """A form for a key; it leads to the page that shows the text of the key, once."""
    form = KeyForm(request.POST or None)
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            key, text = own_keys.create(_owner(request), form.terms())
            return _to_text(request, key, ShownOnce(text, made=True))
        except Refusal as refusal:
            status = form.refused(refusal)
    return _page(request, "key_form", status, form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def change(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """The same form for a key that there is."""
    key = own_keys.find(_owner(request).pk, key_id)
    form = KeyForm(request.POST or None, initial=of_key(key))
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            changed = own_keys.change(_owner(request), key_id, form.terms(key))
        except Refusal as refusal:
            status = form.refused(refusal)
        else:
            messages.success(request, f"{changed.name} is saved.")
            return redirect("settings_keys")
    return _page(request, "key_form", status, form=form, key=key)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def rotate(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Ask for how long the present text stays good; leads to the page that shows the new one, once."""
    key = own_keys.find(_owner(request).pk, key_id)
    form = RotationForm(request.POST or None)
    status = 400 if form.errors else 200
    if request.method == "POST" and form.is_valid():
        try:
            key, text = own_keys.rotate(_owner(request), key_id, form.chosen())
            return _to_text(request, key, ShownOnce(text, made=False))
        except Refusal as refusal:
            form.add_error(None, refusal.text)
            status = refusal.status
    previous = key.previous_until is not None and key.previous_until > now()
    return _page(request, "key_rotate", status, form=form, key=key, previous=previous)


@require_GET  # a HEAD would take the text and show it to nobody
@never_cache
@login_required
def text_once(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """The text of a key that was made or rotated a moment ago; 410 once it was shown."""
    key = own_keys.find(_owner(request).pk, key_id)
    shown = shown_once.take(request.session, key.pk)
    return _page(request, "key_text", 200 if shown else 410, key=key, shown=shown)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Ask once more, then revoke."""
    key = own_keys.find(_owner(request).pk, key_id)
    if request.method != "POST":
        return _page(request, "key_revoke", key=key)
    own_keys.revoke(_owner(request), key_id)
    messages.success(request, f"{key.name} is revoked.")
    return redirect("settings_keys")


@require_POST
@never_cache
@login_required
def end_previous(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """End the overlap of a rotation."""
    key = own_keys.end_previous(_owner(request), key_id)
    messages.success(request, f"The earlier text of {key.name} has ended.")
    return redirect("settings_keys")


urlpatterns = [
    path("settings/keys", listed, name="settings_keys"),
    path("settings/keys/new", new, name="settings_key_new"),
    path("settings/keys/<uuid:key_id>", change, name="settings_key"),
    path("settings/keys/<uuid:key_id>/rotate", rotate, name="settings_key_rotate"),
    path("settings/keys/<uuid:key_id>/text", text_once, name="settings_key_text"),
    path("settings/keys/<uuid:key_id>/revoke", revoke, name="settings_key_revoke"),
    path("settings/keys/<uuid:key_id>/end-previous", end_previous, name="settings_key_end_previous"),
]
