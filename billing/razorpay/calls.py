"""One call to Razorpay: the address, the key, and what each kind of answer means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson

from billing.razorpay.errors import NotFound, Unreadable, no_answer, refused
from billing.razorpay.reading import Fields, is_id
from oneai.kit.http import HTTPFailure, call

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
LARGEST: Final = 4 * 1024 * 1024  # bytes of an answer; a hundred invoices have half a megabyte
PAGE: Final = 100
#: A list that is longer than this does not end.
MOST_PAGES: Final = 2000

Body = Mapping[str, Any]
Thing = TypeVar("Thing")


def seconds(at: datetime) -> int:
    """A time as Razorpay counts it."""
    return int(at.timestamp())


def whole(amount: int, name: str = "amount") -> int:
    """``amount``, if it is a number of paise that can be asked for. ValueError otherwise: that is a slip of ours."""
    if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
        raise ValueError(f"{name} must be a whole number of paise above 0, not {amount!r}")
    return amount


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: an unknown or empty one is refused there."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and value != {}}


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls under one key to the API at ``base_url``, which is without the version."""

    base_url: str
    key_id: str
    key_secret: str

    def __repr__(self) -> str:
        return f"Calls({self.base_url!r}, {self.key_id!r})"

    def _send(
        self, method: str, path: str, *, query: Body | None, body: Body | None, headers: Mapping[str, str] | None
    ) -> Any:
        changes = method != "GET"
        try:
            reply = call(
                method,
                f"{self.base_url}/v1/{path}",
                auth=(self.key_id, self.key_secret),
                headers=dict(headers or {}) | {"Accept": "application/json"},
                query=query,
                json=body,
                connect=CONNECT_SECONDS,
                read=READ_SECONDS,
                limit=LARGEST,
            )
        except HTTPFailure as failure:
            raise no_answer(failure, changes=changes) from failure
        if not 200 <= reply.status < 300:
            raise refused(reply, changes=changes)
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError as error:
            raise Unreadable("the answer is not JSON", reply.status, maybe_done=changes) from error

    def get(self, path: str, *parts: str, **query: Any) -> Any:
        """What stands at ``path``; ``parts`` are ids, each checked before it becomes a part of the address."""
        return self._send("GET", _path(path, parts), query=given(**query) or None, body=None, headers=None)

    def post(
        self,
        read: Callable[[Any], Thing],
        path: str,
        *parts: str,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> Thing:
        """The answer to ``body``, made into an object by ``read``; sent once, whatever comes of it."""
        answer = self._send(method, _path(path, parts), query=None, body=body or {}, headers=headers)
        try:
            return read(answer)
        except Unreadable as error:
            error.maybe_done = True
            raise

    def pages(self, path: str, *parts: str, **query: Any) -> Iterator[Any]:
        """Every object of a list, to its end, newest first as Razorpay gives them; each once.

        What is made meanwhile moves the others back, so some come twice over two pages, and none is missed.
        """
        seen: set[str] = set()
        for page in range(MOST_PAGES):
            answer = Fields(self.get(path, *parts, **query, count=PAGE, skip=page * PAGE), path)
            items = answer.list("items")
            fresh = [item for item in items if Fields(item, path).id() not in seen]
            seen.update(item["id"] for item in fresh)
            yield from fresh
            if len(items) < PAGE:
                return
            if not fresh:
                raise Unreadable(f"the list {path} repeats itself", field="items")
        raise Unreadable(f"the list {path} does not end", field="items")


def _path(path: str, parts: tuple[str, ...]) -> str:
    for part in parts:
        if not is_id(part):
            raise NotFound(f"{part[:70]!r} is not an id of Razorpay", field="id")
    return path.format(*parts)
