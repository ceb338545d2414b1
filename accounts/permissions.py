"""Who of the staff may do what, in one table. The desk, ``/api/admin`` and their tests read it here.

Nobody but the person concerned reads conversations: there is no permission for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accounts.models import Role

_ALL: Final = frozenset({Role.SUPPORT, Role.FINANCE, Role.OWNER})
_SUPPORT: Final = frozenset({Role.SUPPORT, Role.OWNER})
_FINANCE: Final = frozenset({Role.FINANCE, Role.OWNER})
_OWNER: Final = frozenset({Role.OWNER})

TABLE: Final[Mapping[str, frozenset[Role]]] = {
    "users.view": _ALL,
    "users.change": _OWNER,  # disable, end what somebody is signed in by
    "quotas.view": _ALL,
    "quotas.change": _SUPPORT,  # limits and rates of one person, tokens beside the plan
    "subscriptions.view": _ALL,
    "subscriptions.change": _FINANCE,  # end one, with money back; a plan by hand
    "analytics.view": _FINANCE,
    "rates.change": _FINANCE,  # what a dollar costs, for the margin
    "audit.view": _ALL,
    "webhooks.view": _ALL,
    "webhooks.read": _FINANCE,  # the bodies of events: addresses, telephone numbers, how people pay
    "webhooks.replay": _FINANCE,
    "engine.view": _ALL,
    "engine.change": _OWNER,  # switch a model, look again at a stuck turn
    "readers.view": _ALL,
    "banner.view": _ALL,
    "banner.change": _OWNER,
    "monitoring.view": _ALL,
}
"""By the name of what is done: the roles that may do it."""


def may(role: str, permission: str) -> bool:
    """Whether somebody of ``role`` may do what ``permission`` names. KeyError for a name that is not in the table."""
    return role in TABLE[permission]
