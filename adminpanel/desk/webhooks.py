"""The webhook inbox: how it stands, and what was put aside, with a button to have it handled again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from adminpanel import actions
from adminpanel.desk.doors import require, shown
from billing import differences, gateway, inbox
from billing.models import WebhookEvent, WebhookState
from oneai.kit.clock import now

MOST: Final = 50
_LATELY: Final = timedelta(days=7)


def page(request: HttpRequest) -> HttpResponse:
    """Counts by state, the oldest that waits, and the dead letters."""
    require(request, "webhooks.view")
    if request.method == "POST":
        actor = require(request, "webhooks.replay")
        chosen = []
        for text in request.POST.getlist("event"):
            try:
                chosen.append(UUID(text))
            except ValueError:
                continue
        again = actions.replay(actor, chosen, request.POST.get("reason", "").strip()[:500])
        left = len(chosen) - len(again)
        if again:
            messages.success(request, f"Handled again: {len(again)}.")
        if left:
            messages.warning(request, f"Left alone, at work or without a body: {left}.")
        if not chosen:
            messages.warning(request, "Nothing was chosen.")
        return HttpResponseRedirect(reverse("admin:desk_webhooks"))
    states = dict(WebhookEvent.objects.order_by().values_list("state").annotate(count=Count("pk")))
    recent = WebhookEvent.objects.filter(received_at__gte=now() - _LATELY)
    kinds = recent.order_by().values("event_type").annotate(count=Count("pk"), last=Max("received_at"))
    dead = WebhookEvent.objects.filter(state=WebhookState.DEAD).defer("body").order_by("-received_at")
    waiting = WebhookEvent.objects.filter(state=WebhookState.WAITING, attempts__gt=0).defer("body")
    return shown(
        request,
        "webhooks",
        title="Webhooks",
        configured=gateway.configured(),
        states=[(state.label, states.get(state.value, 0), state.value) for state in WebhookState],
        last=WebhookEvent.objects.aggregate(at=Max("received_at"))["at"],
        oldest=inbox.oldest_unhandled(),
        kinds=kinds.order_by("-count", "event_type"),
        dead=dead[:MOST],
        dead_more=max(0, states.get(WebhookState.DEAD, 0) - MOST),
        retried=waiting.order_by("due_at")[:MOST],
        differences=differences.unrepaired()[:MOST],
    )
