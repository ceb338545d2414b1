"""Which tests of a run a process gets, and in what order."""

from __future__ import annotations

import os
import zlib
from itertools import islice

import pytest

# A test that has none of these and no django_db mark can't tell one database from the other.
# Fixtures of a whole site. What stands on one takes processes and seconds: each module's runs on one of two databases.
SITES = {"live_site", "own_site", "fresh_site", "site", "page", "browser"}
# What is here asks databases for nothing that one does otherwise than the other: ordinary rows, by Django's own ways.
ORDINARY = ("tests/accounts/", "tests/adminpanel/", "tests/content/", "tests/kit/", "tests/operations/")
# There are so many of these that each module meets both databases though each test runs on one: two of five on SQLite.
MANY = ("tests/billing/", "tests/chat/")
USES_DATABASE = {"db", "transactional_db", "django_db_setup", "database", "postgres", "live_site", "fresh_site"}


def left_to_the_other(item: pytest.Item, kind: str) -> bool:
    """Whether the run on ``kind``, one of two, leaves a test to the other one (--shared)."""
    if item.get_closest_marker(kind):
        return False
    stands_on_it = item.get_closest_marker("django_db") or USES_DATABASE & set(getattr(item, "fixturenames", ()))
    if not stands_on_it or item.get_closest_marker("wire"):
        return kind == "postgresql"
    if item.get_closest_marker("slow") or item.get_closest_marker("faults"):
        return kind == "sqlite"
    # Three of five, or of modules, go to PostgreSQL: SQLite's run has the browser's part after it.
    if not SITES & set(getattr(item, "fixturenames", ())) and not item.nodeid.startswith(ORDINARY):
        number = zlib.crc32(item.nodeid.encode())
        return item.nodeid.startswith(MANY) and kind != ("sqlite" if number % 2 == 0 and number % 5 else "postgresql")
    dealt_to = "postgresql" if zlib.crc32(item.nodeid.partition("::")[0].encode()) % 5 < 3 else "sqlite"
    return kind != dealt_to


def _takes_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("faults", "slow", "long"))


def _together(item: pytest.Item) -> str:
    """What tests have in common that should run in one process: a site, or the like, that their module starts."""
    found = [name for names in item._fixtureinfo.name2fixturedefs.values() for name in names]  # type: ignore[attr-defined]
    return item.nodeid.partition("::")[0] if any(one.scope == "module" for one in found) else item.nodeid


def dealt(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests so that each process begins with its share of the long ones.

    Processes are given even pieces of the whole and take from each other's ends what is left there: the
    last ones to run are short, and nobody waits for a long one that began late.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    groups: dict[str, list[pytest.Item]] = {}
    for item in filter(_takes_long, items):
        groups.setdefault(_together(item), []).append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(shares, key=len).extend(group)
    short = iter([item for item in items if not _takes_long(item)])
    order: list[pytest.Item] = []
    for number, share in enumerate(shares):
        order += share
        order += islice(short, max(0, len(items) * (number + 1) // processes - len(order)))
    return order
