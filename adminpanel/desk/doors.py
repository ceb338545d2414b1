"""What the desk's own pages share: who may come in, how they are framed, and where they stand in the menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.audit import Actor
from accounts.models import User
from accounts.permissions import may
from oneai.kit.errors import Refusal
from quotas.allowances import InvalidTerms


class Page(NamedTuple):
    """A page of the menu: the name of its address, its title and what it takes to see it."""

    name: str
    title: str
    permission: str
    says: str


PAGES: Final = (
    Page("desk_money", "Revenue and usage", "analytics.view", "What came in, what it cost, what is left of it"),
    Page("desk_people", "People and quotas", "quotas.view", "Find somebody; set a limit with its reason"),
    Page("desk_webhooks", "Webhooks", "webhooks.view", "What Razorpay told us, and what was put aside"),
    Page("desk_engine", "Models and turns", "engine.view", "How upstreams answer; switch a model; stuck turns"),
    Page("desk_readers", "Readers", "readers.view", "How pages are rated, and what is sought in vain"),
    Page("desk_banner", "Maintenance banner", "banner.view", "Tell everybody something, for a time"),
    Page("desk_monitoring", "Monitoring", "monitoring.view", "The site's own figures, as Prometheus reads them"),
)


def staff(request: HttpRequest) -> User:
    """Who asks. PermissionDenied for nobody and for people without a role."""
    if not isinstance(request.user, User) or not request.user.is_staff:
        raise PermissionDenied
    return request.user


def require(request: HttpRequest, permission: str) -> Actor:
    """Who acts. PermissionDenied unless they may."""
    who = staff(request)
    if not may(who.role, permission):
        raise PermissionDenied
    return Actor(who.email, who.pk)


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """The pages that who asks may see, with their addresses."""
    user = request.user
    if not isinstance(user, User) or not user.is_staff:
        return []
    return [
        {"title": page.title, "says": page.says, "href": reverse(f"admin:{page.name}"), "name": page.name}
        for page in PAGES
        if may(user.role, page.permission)
    ]


def shown(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """The page ``templates/desk/<name>.html`` in the admin's frame."""
    role = staff(request).role
    frame = admin.site.each_context(request) | {
        "desk_menu": menu(request),
        "may": {permission.replace(".", "_"): may(role, permission) for permission in _ASKED},
    }
    return TemplateResponse(request, f"desk/{name}.html", frame | context, status=status)


_ASKED: Final = (
    "quotas.change", "subscriptions.view", "subscriptions.change", "users.change", "rates.change", "webhooks.replay",
    "engine.change", "banner.change", "audit.view",
)  # fmt: skip


def done(request: HttpRequest, address: str, said: str, **arguments: UUID) -> HttpResponse:
    """Say that it is done, on the page it was done from."""
    messages.success(request, said)
    return HttpResponseRedirect(reverse(f"admin:{address}", kwargs=arguments or None))


def tried(form: forms.Form, change: Callable[[], Any]) -> bool:
    """Whether ``change`` went through; what refuses it is said in the form."""
    try:
        change()
    except (InvalidTerms, LookupError, ValueError) as error:
        said = str(error)
        form.add_error(None, said[:1].upper() + said[1:] + ("" if said.endswith(".") else "."))
    except Refusal as refusal:
        form.add_error(None, refusal.text)
    else:
        return True
    return False


class Reasoned(forms.Form):
    """A change that says why."""

    reason = forms.CharField(max_length=500, label="Reason")
