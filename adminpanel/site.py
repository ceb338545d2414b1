"""The admin's own site: it has no sign-in of its own, so no second door with other limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect


class StaffAdminSite(AdminSite):
    """Django's admin for staff; signing in happens at /login, under its limits."""

    site_header = "OneAI"
    site_title = "OneAI"
    index_title = "Desk"
    site_url = "/"

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
