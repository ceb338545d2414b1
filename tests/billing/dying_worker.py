"""A worker that handles webhooks and dies at a named point: ``python -m tests.billing.dying_worker POINT``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from billing import handling, observing, settling, standing  # noqa: E402


def die(*_: Any, **__: Any) -> Any:
    """As the machine would: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def _after(place: Any, name: str) -> None:
    work: Callable[..., Any] = getattr(place, name)

    def dying(*args: Any, **more: Any) -> Any:
        work(*args, **more)
        die()

    setattr(place, name, dying)


def main(point: str) -> None:
    match point:
        case "after_fetch":
            _after(observing, "look")
        case "after_lock":
            _after(standing, "lock")
        case "before_commit":
            _after(settling, "settle")
        case "after_commit":
            settle = settling.settle

            def settle_and_die_after(*args: Any) -> bool:
                transaction.on_commit(die)
                return settle(*args)

            settling.settle = settle_and_die_after
        case "before_done":
            handling._end = die
        case _:
            raise SystemExit(f"no such point: {point}")
    while True:
        handling.handle_due()


if __name__ == "__main__":
    main(sys.argv[1])
