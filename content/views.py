"""Pages that tell what the product is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from content import showcase


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What it is, what it promises, which models, which plans."""
    return render(
        request,
        "content/landing.html",
        {"models": showcase.models(), "plans": showcase.plans()},
    )


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Who runs it, what it stands on, what it does not do."""
    return render(request, "content/about.html")
