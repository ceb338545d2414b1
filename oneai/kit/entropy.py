"""Random bytes of the operating system, fetched in larger portions.

Each call to the system gives up the interpreter, and a busy thread waits to have it back; ids and
nonces are made several times for each request.
"""

from __future__ import annotations

import os
import threading

PORTION = 2048


class _Portion(threading.local):
    data = b""
    place = 0
    process = 0


_portion = _Portion()


def take(count: int) -> bytes:
    """``count`` random bytes (at most 2048), fit for secrets; never the same twice, in no thread or process."""
    portion = _portion
    if portion.place + count > len(portion.data) or portion.process != os.getpid():
        portion.data, portion.place, portion.process = os.urandom(PORTION), 0, os.getpid()
    start = portion.place
    portion.place = start + count
    return portion.data[start : start + count]
