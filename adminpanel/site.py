"""The admin's own site: it has no sign-in of its own, so no second door with other limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from accounts import audit, second_step
from accounts.principal import needs_second_step

OWN_APPS = frozenset({"accounts", "billing", "chat", "content", "quotas"})


def audited(desk: type[Any]) -> type[Any]:
    """``desk`` with an audit entry for every deletion, and for a change or addition that it writes none for itself."""
    writes_its_own = desk.save_model is not ModelAdmin.save_model

    def note(request: HttpRequest, row: Any, what: str, **details: Any) -> None:
        staff: Any = request.user
        action = f"{row._meta.model_name}.{what}"
        audit.record(
            staff.email, action, target=str(row)[:200], details=details | {"id": str(row.pk)}, actor_id=staff.pk
        )

    class Audited(desk):  # type: ignore[misc]
        def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
            for row in queryset:
                note(request, row, "deleted")
            return super().log_deletions(request, queryset)

        def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
            if not writes_its_own:
                note(request, obj, "added")
            return super().log_addition(request, obj, message)

        def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
            if not writes_its_own:
                note(
                    request,
                    obj,
                    "changed",
                    fields=[name for each in message for name in each.get("changed", {}).get("fields", [])],
                )
            return super().log_change(request, obj, message)

    Audited.__name__, Audited.__doc__, Audited.__module__ = desk.__name__, desk.__doc__, desk.__module__
    return Audited


class StaffAdminSite(AdminSite):
    """Django's admin for staff; signing in happens at /login, under its limits."""

    site_header = "OneAI"
    site_title = "OneAI"
    index_title = "Desk"
    site_url = "/"

    def get_urls(self) -> list[Any]:
        """The desk's own pages before Django's."""
        from adminpanel.desk.urls import pages  # they need the models

        own = [path(f"desk/{route}", self.admin_view(view), name=name) for route, view, name in pages()]
        return [*own, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The desk: its own pages first."""
        from adminpanel.desk.doors import menu

        return super().index(request, (extra_context or {}) | {"desk_menu": menu(request)})

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take the desks of this project only: those that libraries bring write past the audit."""
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        own = [model for model in models if model._meta.app_label in OWN_APPS]
        if own:
            super().register(own, audited(admin_class or ModelAdmin), **options)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Send to the site's page for it, with its limits and its mail."""
        return HttpResponseRedirect("/accounts/password/change/")

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, and with the second step where that is needed."""
        return self._is_staff(request) and not self._lacks_step(request)

    def _is_staff(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_authenticated and user.is_staff)

    def _lacks_step(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return needs_second_step(user.role) and not second_step.taken(request.session)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send a visitor to the site's sign-in and back; refuse who is signed in but not staff.

        Staff who have not taken the second step are sent to take it, or to set it up.
        """
        if request.user.is_authenticated:
            if self.has_permission(request):
                return HttpResponseRedirect("/admin/")
            if self._is_staff(request):
                return self._to_the_step(request)
            raise PermissionDenied
        return HttpResponseRedirect("/login?" + urlencode({"next": request.GET.get("next", "/admin/")}))

    def _to_the_step(self, request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        if second_step.is_on(user):
            return HttpResponseRedirect("/accounts/2fa/reauthenticate/?" + urlencode({"next": "/admin/"}))
        messages.warning(request, "The desk opens once you have a second step. Set one up, then sign in with it.")
        return HttpResponseRedirect("/settings/security")
