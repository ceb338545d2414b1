"""The admin's own site: it has no sign-in of its own, so no second door with other limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts import second_step
from accounts.principal import needs_second_step

OWN_APPS = frozenset({"accounts", "billing", "chat", "content", "quotas"})


class StaffAdminSite(AdminSite):
    """Django's admin for staff; signing in happens at /login, under its limits."""

    site_header = "OneAI"
    site_title = "OneAI"
    index_title = "Desk"
    site_url = "/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take the desks of this project only: those that libraries bring write past the audit."""
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        own = [model for model in models if model._meta.app_label in OWN_APPS]
        if own:
            super().register(own, admin_class, **options)

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
