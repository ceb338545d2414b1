"""Who holds what of a person: each app says at its start what it exports and how it erases that.

So an account is exported and erased whole, and no app sees another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from accounts.models import User

File = tuple[str, Any]
"""A path in the export, and what is written there as JSON; text and bytes are written as they are."""


class NotYet(Exception):
    """Something of theirs still runs, and must come to its end before it can be erased."""


@dataclass(frozen=True, slots=True)
class Holder:
    """An app: ``keep`` raises the Refusal for which an account can't close, ``erase`` says how many rows went.

    ``erase`` may be called again after a crash, and finds less to do then. It raises NotYet.
    """

    name: str
    export: Callable[[User], Iterator[File]]
    erase: Callable[[User], int]
    keep: Callable[[User], None] = lambda _: None


_holders: Final[list[Holder]] = []


def held_by(holder: Holder) -> None:
    """Register an app's part; called once, when the apps are ready."""
    _holders.append(holder)


def holders() -> list[Holder]:
    """All of them, in the order of their registration."""
    return list(_holders)
