"""The documentation as pages. Search and feedback are forms: all of it works without scripts."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

from accounts.addresses import address_group, client_address
from content import feedback, reading, search
from content.models import DocsPage
from oneai.kit.errors import Refusal


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The contents, or what was found for ``?q=``."""
    query = request.GET.get("q", "").strip()[: search.LONGEST]
    found = search.search(query) if query else []
    if query:
        search.remember(query, len(found))
    sections = reading.contents()
    return render(request, "content/docs.html", {"sections": sections, "query": query, "found": found})


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """One page, with its neighbours in the contents."""
    shown = DocsPage.objects.filter(slug=slug, is_published=True).first()
    if shown is None:
        raise Http404
    sections = reading.contents()
    before, after = reading.neighbours(shown, sections)
    context = {"doc": shown, "sections": sections, "before": before, "after": after}
    return render(request, "content/docs_page.html", context)


@require_POST
def give_feedback(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep what a reader says of the page, and go back to it."""
    user_id = request.user.pk if request.user.is_authenticated else None
    answer = request.POST.get("helpful", "")
    if answer not in {"yes", "no"}:
        raise Refusal("invalid_value", "Say whether the page helped.", param="helpful")
    group = address_group(client_address(request))
    try:
        feedback.give(slug, answer == "yes", request.POST.get("comment", ""), group, user_id)
    except Refusal as refusal:
        if refusal.status == 404:
            raise Http404 from refusal
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Thank you. Somebody who can change the page will read it.")
    return redirect("docs_page", slug)


urlpatterns = [
    path("docs", index, name="docs"),
    path("docs/<slug:slug>", page, name="docs_page"),
    path("docs/<slug:slug>/feedback", give_feedback, name="docs_feedback"),
]
