"""Google's two views: start and callback. Stricter than the library's: see each override."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase

from accounts import throttles
from accounts.guard import by_address, guarded


class StrictGoogle(GoogleOAuth2Adapter):  # type: ignore[misc]
    """Takes an identity from a signed id_token only, so that its audience is always checked."""

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        if not kwargs["response"].get("id_token"):
            raise OAuth2Error("Google sent no id_token")
        self.did_fetch_access_token = False  # the library would skip the signature otherwise
        try:
            return super().complete_login(request, app, token, **kwargs)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise OAuth2Error("Google sent an id_token that can't be read") from error


_start = OAuth2LoginView.adapter_view(StrictGoogle)
_callback = OAuth2CallbackView.adapter_view(StrictGoogle)


def _must_be_configured(request: HttpRequest) -> None:
    if not get_adapter(request).list_apps(request, provider="google"):
        raise Http404


@guarded(by_address(throttles.GOOGLE_BY_ADDRESS))
def start(request: HttpRequest) -> HttpResponseBase:
    """Go to Google. Of the query only ``next`` and ``process`` are kept: no wider scopes on request."""
    _must_be_configured(request)
    kept = QueryDict(mutable=True)
    for name in ("next", "process"):
        value = request.POST.get(name) or request.GET.get(name)
        if value and (name == "next" or value in {"login", "connect"}):
            kept[name] = value
    request.GET = kept  # type: ignore[assignment]
    request.POST = QueryDict()
    response: HttpResponseBase = _start(request)
    return response


@guarded()
def callback(request: HttpRequest) -> HttpResponseBase:
    """Come back from Google."""
    _must_be_configured(request)
    response: HttpResponseBase = _callback(request)
    return response
