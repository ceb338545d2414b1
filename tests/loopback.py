"""Shut the sockets of the test process but those of this machine: tests need no internet."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


class OutsideWorld(RuntimeError):
    """A test tried to reach another machine."""


def _check(address: Any) -> None:
    if not isinstance(address, tuple):
        return  # a path: a Unix socket
    host = str(address[0])
    if host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise OutsideWorld(f"a test tried to connect to {host}")


def _guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def checked(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(address)
        return connect(self, address)

    return checked


def shut() -> None:
    """From now on connections to other machines raise OutsideWorld."""
    socket.socket.connect = _guarded(_connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = _guarded(_connect_ex)  # type: ignore[method-assign]


def open_again() -> None:
    """Undo shut()."""
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
