"""Django's own CSRF check for requests that do not pass its middleware."""

from __future__ import annotations

from io import BytesIO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from oneai.kit.errors import Refusal
from oneai.kit.gate import Scope

_middleware = CsrfViewMiddleware(lambda request: HttpResponse())


def check(scope: Scope) -> None:
    """Refusal ``csrf_failed`` unless the request carries the token of its cookie, from an origin of ours."""
    request = ASGIRequest(dict(scope), BytesIO(b""))
    _middleware.process_request(request)
    if _middleware.process_view(request, _view, (), {}) is not None:
        raise Refusal("csrf_failed")


def _view(request: HttpRequest) -> HttpResponse:
    """Stands for the view: it has no exemption."""
    return HttpResponse()
