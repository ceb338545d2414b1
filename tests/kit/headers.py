"""What the headers of every answer must be (C-01 to C-11 of the security table), told by the kind of answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx

from oneai.kit.gate import LETTERS

PERMISSIONS = (
    "camera=(), microphone=(), geolocation=(), usb=(), midi=(), serial=(), display-capture=(), browsing-topics=(), "
    'payment=(self "https://api.razorpay.com"), clipboard-write=(self)'
)
DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"
PAGE = re.compile(
    r"default-src 'none'; script-src 'nonce-([\w+/-]{22,}=*)' 'strict-dynamic'; style-src 'self' 'nonce-\1'; "
    r"img-src 'self' data: blob:; font-src 'self'; connect-src 'self' [^;]+; form-action 'self'[^;]*; "
    r"frame-src 'self'[^;]*; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; worker-src 'self'; "
    r"manifest-src 'self'(; upgrade-insecure-requests)?"
)
DESK = re.compile(r"default-src 'none'; script-src 'self'; style-src 'self'; img-src .*; manifest-src 'self'.*")
EXACT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": PERMISSIONS,
}
ABSENT = ("server", "x-powered-by", "strict-transport-security", "access-control-allow-credentials")


def faults(path: str, answer: httpx.Response, *, private: bool = False) -> Iterator[str]:
    """What the headers of an answer over plain HTTP have against them; ``private``: it is about who asked."""
    headers = answer.headers
    if path.startswith(LETTERS):  # a mail as it would come, in a frame of the desk: a test of its own
        return
    told = f"{answer.request.method} {path} ({answer.status_code})"
    page = headers.get("content-type", "").startswith("text/html")
    for name, value in EXACT.items():
        if headers.get(name) != value:
            yield f"{told}: {name} is {headers.get(name)}"
    yield from (f"{told}: {name} is {headers[name]}" for name in ABSENT if name in headers)
    if not re.fullmatch(r"[a-z2-7]{26}", headers.get("x-request-id", "")):
        yield f"{told}: x-request-id is {headers.get('x-request-id')}"
    opener = ("same-origin", "same-origin-allow-popups") if page and path.startswith("/billing") else ("same-origin",)
    if headers.get("cross-origin-opener-policy") not in opener:
        yield f"{told}: cross-origin-opener-policy is {headers.get('cross-origin-opener-policy')}"
    if headers.get("referrer-policy") not in ("strict-origin-when-cross-origin", "no-referrer", "same-origin"):
        yield f"{told}: referrer-policy is {headers.get('referrer-policy')}"
    policy = headers.get("content-security-policy", "")
    wanted = DESK if path.startswith("/admin/") else PAGE
    if not (wanted.fullmatch(policy) if page else policy == DATA):
        yield f"{told}: content-security-policy is {policy}"
    if headers.get("access-control-allow-origin") not in ((None, "*") if path.startswith("/v1/") else (None,)):
        yield f"{told}: access-control-allow-origin is {headers.get('access-control-allow-origin')}"
    cache = headers.get("cache-control", "")
    if path.startswith(("/api/", "/v1/")) and answer.status_code >= 400 and cache != "no-store, private":
        yield f"{told}: cache-control is {cache}"
    if private and answer.status_code < 400 and not {"no-store", "private"} & set(re.split(r",\s*", cache)):
        yield f"{told}: cache-control is {cache}, and it is about who asked"
    for cookie in headers.get_list("set-cookie"):
        name, *terms = re.split(r";\s*", cookie.lower())
        if "max-age=0" in terms:
            continue
        if not {"path=/", "samesite=lax"} <= set(terms) or "httponly" not in terms or "domain" in cookie.lower():
            yield f"{told}: cookie {name.partition('=')[0]} has {', '.join(terms)}"
