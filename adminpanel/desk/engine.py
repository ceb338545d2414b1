"""Models and turns: how upstreams answer, one click to switch a model, and calls that lost their producer."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.audit import Actor
from adminpanel import actions, health
from adminpanel.desk.doors import require, shown
from chat.models import UpstreamKey
from oneai.kit.money import dollars
from quotas.models import Hold

BY_THE_DESK = "by the staff desk"


def page(request: HttpRequest) -> HttpResponse:
    """How it stands; a POST switches a model or has a stuck call looked at again."""
    require(request, "engine.view")
    if request.method == "POST":
        _change(request, require(request, "engine.change"))
        return HttpResponseRedirect(reverse("admin:desk_engine"))
    return shown(
        request,
        "engine",
        title="Models and turns",
        models=health.models(),
        switched_off=health.switched_off(),
        stuck=health.stuck(),
        keys=[(key, "" if key.remaining_nano_usd is None else dollars(key.remaining_nano_usd)) for key in
              UpstreamKey.objects.order_by("upstream", "name")],
    )  # fmt: skip


def _change(request: HttpRequest, actor: Actor) -> None:
    try:
        chosen = UUID(request.POST.get("id", ""))
    except ValueError as error:
        raise Http404 from error
    reason = request.POST.get("reason", "").strip()[:500] or BY_THE_DESK
    what = request.POST.get("what")
    if what in ("on", "off"):
        slugs = actions.switch_models(actor, [chosen], reason, on=what == "on")
        said = f"{slugs[0]} is switched {what}." if slugs else "It was so already."
        messages.success(request, said)
    elif what == "look":
        hold = Hold.objects.filter(pk=chosen).first()
        if hold is not None and actions.look_again(actor, hold, reason):
            messages.success(request, "The worker looks at it at once.")
        else:
            messages.warning(request, "It has ended meanwhile, or its producer may still be alive.")
    else:
        raise Http404
