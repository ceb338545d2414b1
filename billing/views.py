"""The price list as a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing.plans import offered


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """The plans on sale and how tokens are counted."""
    return render(request, "billing/pricing.html", {"plans": offered()})
