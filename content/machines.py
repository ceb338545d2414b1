"""What programs that read the site ask for: robots.txt, the sitemap, security.txt."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from content import reading
from content.models import DocsPage
from oneai.kit.clock import now, utc_text

PRIVATE = ("/admin/", "/api/", "/v1/", "/c", "/settings", "/usage", "/billing", "/dashboard", "/s/")
VALID = timedelta(days=180)


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """What may be read by programs that follow links."""
    lines = ["User-agent: *", *(f"Disallow: {prefix}" for prefix in PRIVATE), "Allow: /"]
    lines += ["", f"Sitemap: {settings.SITE_URL}/sitemap.xml", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """Every public page, with the day of its last change where it has one."""
    pages: list[tuple[str, datetime | None]] = [
        (reverse(name), None) for name in ("landing", "pricing", "about", "docs", "blog")
    ]
    docs = DocsPage.objects.filter(is_published=True).only("slug", "updated_at")
    pages += [(reverse("docs_page", args=[doc.slug]), doc.updated_at) for doc in docs]
    pages += [(reverse("post", args=[post.slug]), post.updated_at) for post in reading.posts()[:5000]]
    context = {"pages": [(f"{settings.SITE_URL}{address}", changed) for address, changed in pages]}
    return render(request, "content/sitemap.xml", context, content_type="application/xml; charset=utf-8")


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Where to tell of a weakness (RFC 9116). It ends, as that demands, half a year from the day it is read."""
    ends = (now() + VALID).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: mailto:security@{urlsplit(settings.SITE_URL).hostname}",  # the address that RFC 2142 gives it
        f"Expires: {utc_text(ends)}",
        "Preferred-Languages: en",
        f"Canonical: {settings.SITE_URL}/.well-known/security.txt",
        "",
    ]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


urlpatterns = [
    path("robots.txt", robots),
    path("sitemap.xml", sitemap),
    path(".well-known/security.txt", security),
]
