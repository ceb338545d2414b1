"""Views that belong to no app: health, and the answers to errors that Django raises."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
    JsonResponse,
)
from django.http.response import HttpResponseBase
from django.urls import Resolver404, is_valid_path
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import escape_leading_slashes
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from oneai.kit import diagnosis, reports
from oneai.kit.connections import connections
from oneai.kit.drf import as_refusal
from oneai.kit.errors import Refusal
from oneai.kit.gate import current_request_id, is_api
from oneai.kit.pages_errors import error_page


def refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal as JSON on the API, as a page elsewhere."""
    request_id = current_request_id()
    openai = request.path.startswith("/v1/")
    response: HttpResponse
    if is_api(request.path):
        response = JsonResponse(refusal.body(request_id, openai=openai), status=refusal.status)
    else:
        nonce = getattr(request, "scope", {}).get("csp_nonce", "")
        refusal.told()
        page = error_page(refusal.status, request_id, nonce, retry_after=refusal.retry_after)
        response = HttpResponse(page, status=refusal.status)
    for name, value in refusal.answer_headers(openai=openai).items():
        response[name] = value
    return response


class EmptyRefusals(MiddlewareMixin):
    """Gives a page to who opens an address that only takes forms: Django refuses the method without a word.

    It happens to people: by the address bar, by going back, and by a sign-in in the middle of sending a form.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not isinstance(response, HttpResponseNotAllowed) or response.content:
            return response
        told = refuse(request, Refusal("method_not_allowed"))
        told["Allow"] = response["Allow"]
        return told


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Whether this process answers at all."""
    return JsonResponse({"status": "ok"})


_migrated = False


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether the database answers and has every migration, and the site is not being stopped: 200, else 503.

    A process that alone is renewed says nothing of it: its siblings serve.
    """
    global _migrated
    if connections.stopping:
        return JsonResponse({"status": "unavailable", "reason": "the server is stopping"}, status=503)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:
            if diagnosis.pending_migrations():
                return JsonResponse({"status": "unavailable", "reason": "migrations are missing"}, status=503)
            _migrated = True
    except Exception:
        return JsonResponse({"status": "unavailable", "reason": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"})


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask here whatever the page says."""
    return HttpResponseRedirect(f"{settings.STATIC_URL}favicon.svg")


@csrf_exempt
def api_not_found(request: HttpRequest) -> HttpResponse:
    """Any path below /api and /v1 that is not there: JSON, whatever the method."""
    return refuse(request, Refusal("not_found"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, Refusal("invalid_request"))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, Refusal("permission_denied"))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404; to the page of the same address without its last slash, where there is one."""
    page = request.path.rstrip("/")
    no_route = isinstance(exception, Resolver404) and page != request.path  # a view that finds nothing means it
    if no_route and request.method in {"GET", "HEAD"} and not is_api(request.path) and is_valid_path(page):
        query = request.META.get("QUERY_STRING", "")
        # Two slashes in front would name another host.
        return HttpResponsePermanentRedirect(escape_leading_slashes(quote(page)) + (f"?{query}" if query else ""))
    return refuse(request, Refusal("not_found"))


def server_error(request: HttpRequest) -> HttpResponse:
    """500; an outage of the database is 503, a refusal that a page raised is itself."""
    import sys

    error = sys.exc_info()[1]
    refusal = as_refusal(error) if error is not None else None
    if refusal is None:
        reports.unexpected("view", error)
    return refuse(request, refusal or Refusal("internal_error"))


def csrf_failure(request: HttpRequest, reason: str = "", **_: Any) -> HttpResponse:
    return refuse(request, Refusal("csrf_failed"))
