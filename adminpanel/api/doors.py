"""What the views of ``/api/admin`` share: staff alone, by session or token, each with the permission that it needs."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.api.doors import PersonView, principal
from accounts.audit import Actor
from accounts.models import User
from accounts.permissions import may
from oneai.kit.errors import Refusal
from oneai.kit.fields import Body, read_body

REASON = "Kept in the audit, and shown to the person where it concerns a limit."
Q = OpenApiParameter("q", str, description="Part of an address, a name, or an id.")


class StaffView(PersonView):
    """A view for staff; a key is refused whatever its scopes, as is whoever lacks the permission of the method."""

    permissions: ClassVar[dict[str, str]]
    """By the method in lower case, what it needs of ``accounts.permissions``."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        needed = self.permissions.get((request.method or "").lower())
        if needed is not None:
            require(request, needed)


def require(request: Request, permission: str) -> None:
    """Refusal ``permission_denied`` unless who asks may do it, ``second_factor_required`` without the second step."""
    who = principal(request)
    if not may(who.role, permission):
        raise Refusal("permission_denied", details={"permission": permission})
    who.require_second_step()


def actor(request: Request) -> Actor:
    """Who acts, as the audit names them."""
    who = principal(request)
    return Actor(who.email, who.user_id)


def identity(text: str) -> UUID:
    """The id in a path. Refusal ``not_found`` for what is none."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Refusal("not_found") from error


def somebody(text: str) -> User:
    """The person with this id. Refusal ``not_found``."""
    user = User.objects.filter(pk=identity(text)).first()
    if user is None:
        raise Refusal("not_found")
    return user


def with_reason(kind: type[Body], request: Request) -> tuple[dict[str, Any], str]:
    """The body's fields without its reason, and the reason. Refusal ``missing_required_parameter`` without one."""
    body = read_body(kind, request)
    reason = str(body.pop("reason", "")).strip()
    if not reason:
        raise Refusal("missing_required_parameter", "Say why.", param="reason")
    return body, reason
