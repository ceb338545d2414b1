"""What readers made of the documentation: ratings by page, what they said, and what they sought in vain."""

from __future__ import annotations

from typing import Final

from django.db.models import Count, F, Q
from django.http import HttpRequest, HttpResponse

from adminpanel.desk.doors import require, shown
from content.models import DocsFeedback, DocsPage, DocsSearch

MOST: Final = 50


def page(request: HttpRequest) -> HttpResponse:
    """Pages by how many were not helped, the newest comments, and searches that found nothing."""
    require(request, "readers.view")
    rated = DocsPage.objects.annotate(
        yes=Count("feedback", filter=Q(feedback__helpful=True)),
        no=Count("feedback", filter=Q(feedback__helpful=False)),
    ).filter(Q(yes__gt=0) | Q(no__gt=0))
    return shown(
        request,
        "readers",
        title="Readers",
        rated=rated.order_by(F("no").desc(), "-yes", "title")[:MOST],
        comments=DocsFeedback.objects.exclude(comment="").select_related("page").order_by("-created_at")[:MOST],
        in_vain=DocsSearch.objects.filter(found=0).order_by("-times", "-last_at")[:MOST],
        sought=DocsSearch.objects.filter(found__gt=0).order_by("-times", "-last_at")[:15],
    )
