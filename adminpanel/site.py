"""The admin's own site: it has no sign-in of its own, so no second door with other limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

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
        user: Any = request.user
        return bool(user.is_authenticated and user.is_staff)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send a visitor to the site's sign-in and back; refuse who is signed in but not staff."""
        if request.user.is_authenticated:
            if self.has_permission(request):
                return HttpResponseRedirect("/admin/")
            raise PermissionDenied
        return HttpResponseRedirect("/login?" + urlencode({"next": request.GET.get("next", "/admin/")}))
