"""What the views of this API share: who may come in, and with which scope of a key."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from accounts.principal import Principal
from oneai.kit.errors import Refusal


class ScopedView(APIView):
    """A view for signed-in people and for keys that have ``scope``; checked before anything else is read."""

    scope: ClassVar[str]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        principal(request).require(self.scope)


class BearerView(ScopedView):
    """As ScopedView, but a browser's session is not enough: the door of programs."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if principal(request).method == "session":
            raise Refusal("not_authenticated", "Send an API key: Authorization: Bearer oneai_…")


class PersonView(APIView):
    """A view for people, by session or token: a key may not do what is here, whatever its scopes."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        principal(request).require_person()


def person(request: Request) -> User:
    """The row of the person who asks."""
    return User.objects.get(pk=principal(request).user_id)


def principal(request: Request) -> Principal:
    """Who asks. Refusal ``not_authenticated`` when nobody does."""
    if not isinstance(request.user, Principal):
        raise Refusal("not_authenticated")
    return request.user
