"""Pages of lists: ``{"results", "next", "previous"}`` by cursor, faults named and not guessed around."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.response import Response

from oneai.kit.drf import CursorList
from oneai.kit.errors import Refusal

USUAL: Final = 25
MOST: Final = 100
LARGEST: Final = 10**9
PAGE_PARAMETERS: Final = [
    OpenApiParameter("limit", int, description="1 to 100; 25 when left out."),
    OpenApiParameter("cursor", str, description="From ``next`` or ``previous``."),
]


def limit_parameter(request: Request) -> int:
    """``?limit=``: 25 when left out, at most 100. Refusal ``invalid_value`` when it is no whole number."""
    value = request.query_params.get("limit")
    if value is None:
        return USUAL
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or int(value) < 1:
        raise Refusal("invalid_value", "Must be a whole number from 1 to 100.", param="limit")
    return min(int(value), MOST)


def _is_moment(value: str) -> bool:
    try:
        found = datetime.fromisoformat(value)
        return found.tzinfo is not None and bool(found.astimezone(UTC))
    except (ValueError, OverflowError):  # in its own zone within the calendar, in UTC beyond it
        return False


class Pages(CursorList):
    """Cursor pages of a queryset, whose order the view gives.

    ``position_is`` says whether a cursor's position can be one of the first column of that order: what
    comes back from a client is looked at before the database sees it.
    """

    position_is: Callable[[str], bool] = staticmethod(_is_moment)

    def __init__(self, ordering: tuple[str, ...] = (), position_is: Callable[[str], bool] | None = None) -> None:
        self._order = ordering
        if position_is is not None:
            self.position_is = position_is

    def get_page_size(self, request: Request) -> int:
        return limit_parameter(request)

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return self._order

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except (NotFound, UnicodeDecodeError) as error:
            raise Refusal("invalid_value", "The cursor is not one of ours.", param="cursor") from error
        if cursor is not None and cursor.position is not None:
            position = str(cursor.position)
            if "\x00" in position or len(position) > 1000 or not self.position_is(position):
                raise Refusal("invalid_value", "The cursor is not one of ours.", param="cursor")
        return cursor


def any_text(position: str) -> bool:
    """A position in an order by text."""
    return True


def _offset(request: Request, size: int) -> int:
    value = request.query_params.get("cursor", "")
    if not value:
        return 0
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    name, _, number = text.partition("=")
    if name != "at" or not number.isdigit() or len(number) > 9:
        raise Refusal("invalid_value", "The cursor is not one of ours.", param="cursor")
    return min(int(number), size)


def slice_of(request: Request, rows: Sequence[Any]) -> tuple[Sequence[Any], str | None, str | None]:
    """The page of ``rows``, which are in memory, that the request asks for; and the URLs around it."""

    def read(start: int, count: int) -> tuple[Sequence[Any], int]:
        return rows[start : start + count], len(rows)

    return page_of(request, read, len(rows))


Read = Callable[[int, int], tuple[Sequence[Any], int]]


def page_of(request: Request, read: Read, size: int = LARGEST) -> tuple[Sequence[Any], str | None, str | None]:
    """As ``slice_of``, where a page comes by ``read(start, count)``, with the number of all rows."""
    limit, start = limit_parameter(request), _offset(request, size)
    page, size = read(start, limit)

    def link(at: int) -> str:
        parameters = [pair for pair in request.query_params.lists() if pair[0] not in {"cursor"}]
        cursor = base64.b64encode(f"at={at}".encode("ascii")).decode("ascii")
        return request.build_absolute_uri(f"{request.path}?{urlencode([*parameters, ('cursor', cursor)], doseq=True)}")

    following = link(start + limit) if start + limit < size else None
    before = link(max(0, min(start, size) - limit)) if start > 0 else None
    return page, following, before


def list_response(results: Any, following: str | None, before: str | None) -> Response:
    """The body of every list."""
    return Response({"results": results, "next": following, "previous": before})
