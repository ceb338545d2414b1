"""Limits and refusals around page views: what a form's POST costs, and the page when that is too much."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts import throttles
from accounts.addresses import address_group, client_address
from accounts.throttles import Limit
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id
from oneai.kit.pages_errors import error_page

View = Callable[[HttpRequest], HttpResponseBase]
Cost = Callable[[HttpRequest], None]


def by_address(limit: Limit) -> Cost:
    """Counts for the client's address."""
    return lambda request: _take(limit, address_group(client_address(request)))


def by_email(limit: Limit) -> Cost:
    """Counts for the address of the account in the form; a form without one counts for none."""

    def cost(request: HttpRequest) -> None:
        email = request.POST.get("email", "").strip().lower()
        if email:
            _take(limit, email)

    return cost


def by_session(limit: Limit) -> Cost:
    """Counts for the session, which holds the code that the form is about."""

    def cost(request: HttpRequest) -> None:
        if request.session.session_key:
            _take(limit, request.session.session_key)

    return cost


def by_person(limit: Limit) -> Cost:
    """Counts for whoever is signed in."""

    def cost(request: HttpRequest) -> None:
        if request.user.is_authenticated:
            _take(limit, str(request.user.pk))

    return cost


def _take(limit: Limit, subject: str) -> None:
    throttles.take(limit, subject)


def guarded(*costs: Cost) -> Callable[[View], View]:
    """A view whose POST pays ``costs`` first, and which answers a Refusal with a page."""

    def wrap(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest) -> HttpResponseBase:
            try:
                if request.method == "POST":
                    for cost in costs:
                        cost(request)
                return view(request)
            except Refusal as refusal:
                return refusal_page(request, refusal)

        return inner

    return wrap


def refusal_page(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The page of a refusal, with its status and headers."""
    nonce = getattr(request, "scope", {}).get("csp_nonce", "")
    at_sign_in = request.path == reverse("account_login")
    response = HttpResponse(
        error_page(refusal.status, current_request_id(), nonce, retry_after=refusal.retry_after, at_sign_in=at_sign_in),
        status=refusal.status,
        headers=refusal.answer_headers(),
    )
    response["Cache-Control"] = "no-store, private"
    return response
