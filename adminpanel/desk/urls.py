"""The addresses of the desk's own pages, below /admin/desk/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adminpanel.desk import banner, engine, money, monitoring, people, readers, webhooks


def pages() -> list[tuple[str, Callable[..., Any], str]]:
    """Route, view and name of each."""
    return [
        ("money/", money.page, "desk_money"),
        ("people/", people.search, "desk_people"),
        ("people/<uuid:user_id>/", people.person, "desk_person"),
        ("webhooks/", webhooks.page, "desk_webhooks"),
        ("engine/", engine.page, "desk_engine"),
        ("readers/", readers.page, "desk_readers"),
        ("banner/", banner.page, "desk_banner"),
        ("monitoring/", monitoring.page, "desk_monitoring"),
    ]
