"""The page behind a share link: ``/s/<token>``, for whoever has the address. It works without a script.

Nothing of it is kept by caches or found by search engines, and no other site is told its address. Browsers send
``Origin: null`` from such a page, which Django's check of forms refuses: the form that writes something has a
token of its own, and the other one only asks for a password.
"""

from __future__ import annotations

import hmac
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.safestring import mark_safe
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts.addresses import client_address
from chat import sharing
from chat.models import SharedSnapshot
from oneai.kit.derived import keyed_hash
from oneai.kit.errors import Refusal

ON_A_PAGE: Final = 100
COOKIE: Final = "share"
COOKIE_SECONDS: Final = 24 * 3600


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """The conversation as it was frozen, a hundred messages a page; or the question for its password."""
    snapshot = _found(token)
    if snapshot.password and not _has_pass(request, snapshot):
        if request.method == "POST":
            return _unlock(request, snapshot, token)
        return _private(render(request, "chat/shared_locked.html", {}))
    if request.method == "POST":
        return _private(redirect("shared", token))
    sharing.current_html(snapshot)
    at = _page(request, snapshot)
    if request.method == "GET" and at == 0:
        sharing.count_view(snapshot, request.user.pk if request.user.is_authenticated else None)
    messages = [
        {**message, "html": mark_safe(message["html"])}  # noqa: S308 (the sanitiser has made it)
        for message in snapshot.messages[at * ON_A_PAGE : (at + 1) * ON_A_PAGE]
    ]
    pages = (len(snapshot.messages) - 1) // ON_A_PAGE + 1
    context = {
        "snapshot": snapshot,
        "messages_shown": messages,
        "token": token,
        "page": at + 1,
        "pages": pages,
        "before": at or None,
        "after": at + 2 if at + 1 < pages else None,
        "proof": _proof(request, snapshot),
    }
    return _private(render(request, "chat/shared.html", context))


@csrf_exempt
@require_POST
def go_on(request: HttpRequest, token: str) -> HttpResponse:
    """Copy what is shown into the reader's account, and go there; who is not signed in does that first."""
    snapshot = _found(token)
    back = reverse("shared", args=[token])
    if not request.user.is_authenticated:
        return _private(redirect(f"{settings.LOGIN_URL}?next={back}"))
    locked = snapshot.password and not _has_pass(request, snapshot)
    if locked or not hmac.compare_digest(_proof(request, snapshot), request.POST.get("proof", "")):
        return _private(redirect(back))
    try:
        made = sharing.copy_to(snapshot, request.user.pk)
    except Refusal as refusal:
        if refusal.code == "not_found":
            raise Http404 from refusal
        raise
    return _private(redirect("conversation", made.pk))


def _found(token: str) -> SharedSnapshot:
    try:
        return sharing.find(token)
    except Refusal as refusal:
        raise Http404 from refusal


def _page(request: HttpRequest, snapshot: SharedSnapshot) -> int:
    """Which hundred of messages is asked for, counted from 0."""
    text = request.GET.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    if not 1 <= number <= (len(snapshot.messages) - 1) // ON_A_PAGE + 1:
        raise Http404
    return number - 1


def _unlock(request: HttpRequest, snapshot: SharedSnapshot, token: str) -> HttpResponse:
    try:
        good = sharing.is_password(snapshot, request.POST.get("password", "")[:128], client_address(request))
    except Refusal as refusal:
        answer = render(request, "chat/shared_locked.html", {"problem": refusal.text}, status=refusal.status)
        answer["Retry-After"] = str(refusal.retry_after or 60)
        return _private(answer)
    if not good:
        return _private(
            render(request, "chat/shared_locked.html", {"problem": "That is not the password."}, status=403)
        )
    answer = redirect("shared", token)
    answer.set_cookie(
        COOKIE,
        sharing.pass_for(snapshot),
        max_age=COOKIE_SECONDS,
        path=reverse("shared", args=[token]),
        secure=settings.TLS,
        httponly=True,
        samesite="Lax",
    )
    return _private(answer)


def _has_pass(request: HttpRequest, snapshot: SharedSnapshot) -> bool:
    return hmac.compare_digest(request.COOKIES.get(COOKIE, ""), sharing.pass_for(snapshot))


def _proof(request: HttpRequest, snapshot: SharedSnapshot) -> str:
    """Shows that the form was on our page: it is worked out from the reader's session, which nobody else knows."""
    return keyed_hash("share continue", f"{request.session.session_key} {snapshot.pk}")


def _private(answer: HttpResponse) -> HttpResponse:
    answer["Cache-Control"] = "no-store, private"
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return answer


urlpatterns = [
    path("s/<str:token>", shared, name="shared"),
    path("s/<str:token>/continue", go_on, name="shared-continue"),
]
