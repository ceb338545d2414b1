"""Mails about money on the staff desk: which were written, and how each of them reads, with example figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from billing import letters
from billing.letters import Letter
from billing.mail_examples import EXAMPLES
from billing.models import Notice

if TYPE_CHECKING:  # Django's own takes no parameter at run time
    ModelAdmin = admin.ModelAdmin[Notice]
else:
    ModelAdmin = admin.ModelAdmin


def _letter(name: str) -> Letter:
    try:
        return EXAMPLES[name].make()
    except KeyError as error:
        raise Http404 from error


@admin.register(Notice)
class NoticeAdmin(ModelAdmin):
    """What was written to whom; the rows are only looked at."""

    list_display = ["created_at", "kind", "user", "subject"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = ["user__email", "=key"]
    ordering = ["-created_at"]
    show_full_result_count = False
    change_list_template = "billing/desk/notices.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        desk = self.admin_site.admin_view
        return [
            path("mails/", desk(self.mails), name="billing_mails"),
            path("mails/<slug:name>/", desk(self.mail), name="billing_mail"),
            path("shown/<slug:name>/", desk(self.shown), name="billing_mail_shown"),
            *super().get_urls(),
        ]

    def mails(self, request: HttpRequest) -> HttpResponse:
        """Every mail there is, and when it is sent."""
        listed = [(name, example.when, example.make().subject) for name, example in EXAMPLES.items()]
        return self._page(request, "mails", title="Mails about money", mails=listed)

    def mail(self, request: HttpRequest, name: str) -> HttpResponse:
        """One mail in both its forms."""
        letter = _letter(name)
        return self._page(
            request,
            "mail",
            title=letter.subject,
            when=EXAMPLES[name].when,
            text=letters.as_text(letter),
            shown=reverse("admin:billing_mail_shown", args=[name]),
        )

    def shown(self, request: HttpRequest, name: str) -> HttpResponse:
        """The HTML form alone, as a mail program gets it; the gate lets its inline styles through and no script."""
        self._check(request)
        return HttpResponse(letters.as_html(_letter(name)))

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
        self._check(request)
        whole = self.admin_site.each_context(request) | {"opts": self.model._meta} | context
        return TemplateResponse(request, f"billing/desk/{name}.html", whole)
