"""Error pages that need nothing but a template: no database, no session, no request."""

from __future__ import annotations

import html

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from oneai.kit.errors import CODES, refusal_for_status


def error_page(status: int, request_id: str, nonce: str) -> bytes:
    """The page for ``status`` in our design; a plain one when even its template fails."""
    text = CODES[refusal_for_status(status).code].message
    context = {
        "status": status,
        "message": text,
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
