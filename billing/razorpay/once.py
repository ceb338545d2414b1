"""Making something once, where nothing but refunds knows a key for that.

What is made carries a key of ours in its notes. After an answer that leaves open whether it was
made, it is looked for by that key, and so it is before a later try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from billing.razorpay.errors import RazorpayError

NOTE: Final = "oneai_key"
#: How far the clocks may be apart, and how long before its first try nothing can have been made.
SLACK: Final = timedelta(minutes=10)


class Noted(Protocol):
    """Something with notes."""

    @property
    def notes(self) -> Mapping[str, str]: ...


Made = TypeVar("Made", bound=Noted)
Thing = TypeVar("Thing")


def with_key(key: str, notes: Mapping[str, str] | None = None) -> dict[str, str]:
    """``notes`` with our key among them. ValueError for one that would be cut or not be found."""
    if not 1 <= len(key) <= 200:
        raise ValueError("a key has 1 to 200 characters")
    return dict(notes or {}) | {NOTE: key}


def found(things: Iterable[Made], key: str) -> Made | None:
    """The oldest of ``things`` that carries ``key``; None when none does.

    The oldest, so that everybody who looks finds the same one, were there ever two.
    """
    last = None
    for thing in things:
        if thing.notes.get(NOTE) == key:
            last = thing
    return last


def made_since(first_try: datetime) -> datetime:
    """From when on a list has to be read, to find what was made at ``first_try`` or after it."""
    return first_try - SLACK


def once(create: Callable[[], Thing], find: Callable[[], Thing | None], *, tried_before: bool = False) -> Thing:
    """What ``create`` makes, or what an earlier try made after all.

    ``tried_before`` looks first. When the answer leaves open whether it was made and it can't be
    found now, the error is raised with ``maybe_done``: look again before the next try.
    """
    if tried_before and (there := find()) is not None:
        return there
    try:
        return create()
    except RazorpayError as error:
        if not error.maybe_done:
            raise
        try:
            there = find()
        except RazorpayError:
            raise error from None
        if there is None:
            raise
        return there
