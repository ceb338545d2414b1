"""The paths of the imitated Google."""

from __future__ import annotations

from aiohttp import web

BASE = "/google"


def add(app: web.Application) -> None:
    """Adds every path under `BASE`."""
