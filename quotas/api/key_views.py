"""API keys over HTTP, for the people whose they are: list, make, read, change, rotate, revoke.

The rows are the accounts'; what a key has used of its budget is told here, where both can be seen.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import own_keys
from accounts.api.doors import PersonView, person, principal
from accounts.models import ApiKey
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.fields import read_body
from oneai.kit.paging import PAGE_PARAMETERS, Pages
from quotas import key_budgets
from quotas.api.key_shapes import KeyChange, KeyShape, KeyWithText, NewKey, Rotation, shown


def _answer(key: ApiKey, status: int = 200, text: str = "") -> Response:
    limits = key_budgets.of(key.user_id, [key]).get(key.pk, [])
    return Response(shown(key, limits, now(), text), status=status)


class KeyList(PersonView):
    """A person's keys."""

    pagination_class = Pages  # read by the OpenAPI schema alone

    @extend_schema(
        operation_id="api_keys_list", tags=["user"], parameters=PAGE_PARAMETERS, responses=KeyShape(many=True)
    )
    def get(self, request: Request) -> Response:
        """The person's keys, the newest first; revoked ones are left out. Closed to keys."""
        user_id = principal(request).user_id
        pages = Pages(("-created_at", "-id"))
        page: Any = pages.paginate_queryset(own_keys.of(user_id), request, self)
        limits, at = key_budgets.of(user_id, page), now()
        return pages.get_paginated_response([shown(key, limits.get(key.pk, []), at) for key in page])

    @extend_schema(operation_id="api_keys_create", tags=["user"], request=NewKey, responses={201: KeyWithText})
    def post(self, request: Request) -> Response:
        """Make a key. Its text, `key`, is in this answer and can't be shown again."""
        values = read_body(NewKey, request)
        if "name" not in values:
            raise Refusal("missing_required_parameter", "A key needs a name.", param="name")
        key, text = own_keys.create(person(request), values)
        return _answer(key, 201, text)


class KeyDetail(PersonView):
    """One key."""

    @extend_schema(operation_id="api_keys_read", tags=["user"], responses=KeyShape)
    def get(self, request: Request, key_id: str) -> Response:
        """A key, without its text."""
        return _answer(own_keys.find(principal(request).user_id, key_id))

    @extend_schema(operation_id="api_keys_change", tags=["user"], request=KeyChange, responses=KeyShape)
    def patch(self, request: Request, key_id: str) -> Response:
        """Change what is given; it holds from the next call on. `unlimited`, `never` and `[]` lift a bound."""
        own_keys.find(principal(request).user_id, key_id)
        return _answer(own_keys.change(person(request), key_id, read_body(KeyChange, request)))

    @extend_schema(operation_id="api_keys_revoke", tags=["user"], responses={204: None})
    def delete(self, request: Request, key_id: str) -> Response:
        """Revoke the key, for good and everywhere."""
        own_keys.revoke(person(request), key_id)
        return Response(status=204)


class KeyRotation(PersonView):
    """A key's text."""

    @extend_schema(operation_id="api_keys_rotate", tags=["user"], request=Rotation, responses=KeyWithText)
    def post(self, request: Request, key_id: str) -> Response:
        """Give the key another text, `key`, shown this once; the one before stays good for a while, a day unless said.

        Everything else about the key stays: its id, its limits and what it has used of them.
        """
        own_keys.find(principal(request).user_id, key_id)
        values = read_body(Rotation, request)
        key, text = own_keys.rotate(person(request), key_id, Rotation.overlap(values))
        return _answer(key, 200, text)


class KeyPrevious(PersonView):
    """The text before the last rotation."""

    @extend_schema(operation_id="api_keys_end_previous", tags=["user"], responses={204: None})
    def delete(self, request: Request, key_id: str) -> Response:
        """End the overlap of a rotation now."""
        own_keys.end_previous(person(request), key_id)
        return Response(status=204)
