"""Error pages that need nothing but a template: no database, no session, no request."""

from __future__ import annotations

import html
import math

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from oneai.kit.errors import CODES, refusal_for_status


def in_words(seconds: int) -> str:
    """How long to wait, never too little: ``1 second``, ``90 seconds``, ``5 minutes``, ``24 hours``."""
    size, unit = next(
        ((size, unit) for size, unit in ((3600, "hour"), (60, "minute")) if seconds >= 2 * size), (1, "second")
    )
    count = max(1, math.ceil(seconds / size))
    return f"{count} {unit}{'' if count == 1 else 's'}"


def error_page(
    status: int, request_id: str, nonce: str, *, retry_after: int | None = None, at_sign_in: bool = False
) -> bytes:
    """The page for ``status`` in our design; a plain one when even its template fails.

    ``retry_after`` is in seconds; ``at_sign_in`` offers the ways in without a password.
    """
    text = CODES[refusal_for_status(status).code].message
    context = {
        "status": status,
        "message": text,
        "wait": in_words(retry_after) if retry_after else "",
        "at_sign_in": at_sign_in,
        "request_id": request_id,
        "csp_nonce": nonce,
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
    }
    for name in (f"{status}.html", "500.html"):
        try:
            return render_to_string(name, context).encode()
        except TemplateDoesNotExist:
            continue
        except Exception:
            break
    return f"<!doctype html><title>{status}</title><h1>{status}</h1><p>{html.escape(text)}</p>".encode()
