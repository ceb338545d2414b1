"""Fixtures of the whole suite: the database the run is for, the sandbox, real sites, and Chromium.

`pytest --database sqlite` (the default) or `--database postgresql` chooses the database for both
the unit tests' own (pytest-django) and the sites under test. Models may be imported anywhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from playwright.sync_api import expect
from pytest_django.plugin import DjangoDbBlocker, blocking_manager_key

from tests import environment, loopback
from tests.dealing import dealt, left_to_the_other
from tests.servers.databases import Databases
from tests.servers.passwords import hash_quickly
from tests.servers.postgres import Postgres
from tests.servers.process import ServerDied
from tests.servers.redis import Redis
from tests.servers.sandbox import Sandbox
from tests.servers.site import Site

RUN, POSTGRES = environment.join()
django.setup()
hash_quickly()
# Parallel test processes inherit this environment; one that already names settings would have
# them read before it could choose ports of its own.
os.environ.pop("DJANGO_SETTINGS_MODULE", None)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSERS = ("tests/frontend/", "tests/sandbox/")  # where tests that drive one may stand (tools/suite.py)
# Seconds that a server may take to answer, and a page to become what is expected: only a failure waits for it.
PATIENCE = 30
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


# The run -----------------------------------------------------------------------------------------
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=environment.KINDS, default="sqlite", help="the database to test on")
    parser.addoption(
        "--shared",
        action="store_true",
        help="leave to the run on the other database what one run is enough for: on PostgreSQL, tests that use no "
        "database or are marked wire; on SQLite, other tests marked slow or faults that use one",
    )
    parser.addoption("--full", action="store_true", help="run long proofs at their full length instead of a sample")


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether a long proof runs at its full length (--full) or as a sample."""
    return bool(pytestconfig.getoption("--full"))


def pytest_report_header() -> list[str]:
    return [f"database: {RUN.kind}", f"chromium: {CHROMIUM or 'not on this machine'}"]


def pytest_configure() -> None:
    loopback.shut()
    for part in ("connect", "read", "write", "pool"):  # of calls that name no time of their own
        setattr(DEFAULT_TIMEOUT_CONFIG, part, PATIENCE)


def pytest_unconfigure() -> None:
    loopback.open_again()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Mark browser tests and put them last: once started, Playwright's loop stays in the thread."""
    other = "postgresql" if RUN.kind == "sqlite" else "sqlite"
    left = {item for item in items if item.get_closest_marker(other)}
    if config.getoption("--shared"):
        left |= {item for item in items if left_to_the_other(item, RUN.kind)}
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=list(left))
    for item in items:
        if {"page", "browser", "context"} & set(getattr(item, "fixturenames", ())):
            if not item.nodeid.startswith(BROWSERS):
                raise pytest.UsageError(f"{item.nodeid} drives a browser, which belongs to one of {BROWSERS}")
            item.add_marker(pytest.mark.browser)
    yield
    items[:] = sorted(dealt(items), key=lambda item: item.get_closest_marker("browser") is not None)


# Databases ---------------------------------------------------------------------------------------
MIGRATED = pytest.StashKey[str]()  # the rows that migrations write


@contextmanager
def _past_the_audit() -> Iterator[None]:
    """SQLite empties tables row by row, which the audit's trigger forbids: it is away while tests empty them."""
    operations = SQLite.ops_class
    empty = operations.sql_flush
    kept = import_module("accounts.migrations.0007_audit_append_only").SQLITE[1]

    def sql_flush(self: Any, *arguments: Any, **more: Any) -> list[str]:
        return ["DROP TRIGGER IF EXISTS audit_entries_kept", *empty(self, *arguments, **more), kept]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "sql_flush", sql_flush)
        yield


@contextmanager
def _beside_playwright() -> Iterator[None]:
    """Its loop may run in the test's thread already, where Django would refuse the ORM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker, database: Databases, pytestconfig: pytest.Config
) -> Iterator[None]:
    """Take a migrated database for the unit tests, and note its rows for pytest_runtest_teardown."""
    with _beside_playwright(), django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = urlsplit(database.migrated()).path.removeprefix("/")
        pytestconfig.stash[MIGRATED] = connection.creation.serialize_db_to_string()
    with _past_the_audit():
        yield
    with _beside_playwright(), django_db_blocker.unblock():
        connection.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Put back what migrations had written, after a test that ended by emptying every table."""
    yield
    marker = item.get_closest_marker("django_db")
    empties = "transactional_db" in getattr(item, "fixturenames", ()) or (marker and marker.kwargs.get("transaction"))
    if empties and nextitem and MIGRATED in item.config.stash:
        with item.config.stash[blocking_manager_key].unblock():
            call_command("flush", interactive=False, inhibit_post_migrate=True, verbosity=0)
            connection.creation.deserialize_db_from_string(item.config.stash[MIGRATED])


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The run's PostgreSQL server; only for tests marked postgresql."""
    if not RUN.postgres_port:
        raise pytest.UsageError("mark the test with pytest.mark.postgresql to use the postgres fixture")
    return POSTGRES or Postgres.at(RUN.postgres_port)


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Makes databases of the kind the run is for: `.kind`, `.empty()` and `.migrated()` give URLs."""
    server = request.getfixturevalue("postgres") if RUN.postgres_port else None
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return Databases(RUN.kind, Path(RUN.folder), server, f"site_{worker}")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis that keeps nothing; `.url`, `.kill()`, `.start()`."""
    server = Redis()
    server.start()
    yield server
    server.stop()


# Sites -------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def server_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of everything that servers print."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def sandbox(server_logs: Path) -> Iterator[Sandbox]:
    """The outside world's imitation, where development's settings expect it: `.url`, `.settings()`."""
    port = int(os.environ["PORT"])
    server = Sandbox(server_logs, port=port + 10, smtp_port=port + 11)
    server.start()
    yield server
    server.stop()


def _started(site: Site, sandbox: Sandbox, prepare: Callable[[Site], object] | None = None) -> Site:
    site.sandbox_url = sandbox.url
    try:
        site.command("sync_models")
        if prepare:
            prepare(site)
        site.start()
    except (ServerDied, AssertionError):
        site.stop()
        raise
    return site


@pytest.fixture(scope="session")
def live_site(database: Databases, sandbox: Sandbox, server_logs: Path) -> Iterator[Site]:
    """One running site for many tests: `.url`, `.new_user()`, `.manage()`; don't stop or kill it."""
    # Sign-ins are limited by address: a test that signs in names one of its own in X-Forwarded-For.
    site = Site(database.migrated(), server_logs, settings=sandbox.settings() | {"TRUSTED_PROXIES": "1"})
    yield _started(site, sandbox)
    site.stop()


def _sites(database: Databases, sandbox: Sandbox, server_logs: Path) -> Iterator[Callable[..., Site]]:
    started: list[Site | Sandbox] = []

    def start(
        *,
        processes: int = 1,
        worker: bool = True,
        settings: Mapping[str, str] | None = None,
        pace: str = "",
        database_url: str = "",
        prepare: Callable[[Site], object] | None = None,
    ) -> Site:
        upstream = sandbox
        if pace:
            upstream = Sandbox(server_logs, pace=pace)
            upstream.start()
            started.append(upstream)
        together = upstream.settings() | dict(settings or {})
        url = database_url or database.migrated()
        site = Site(url, server_logs, settings=together, processes=processes, worker=worker)
        started.append(site)
        return _started(site, upstream, prepare)

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture
def fresh_site(database: Databases, sandbox: Sandbox, server_logs: Path) -> Iterator[Callable[..., Site]]:
    """Starts sites of this test alone, which may be killed: `fresh_site(processes=2, settings={…})`.

    With `pace="human"` the site gets a sandbox of its own whose models write at that pace; with
    `database_url` a migrated database that the test has chosen. `prepare` is called with the site before it
    starts, when it has its models.
    """
    yield from _sites(database, sandbox, server_logs)


@pytest.fixture(scope="module")
def own_site(database: Databases, sandbox: Sandbox, server_logs: Path) -> Iterator[Callable[..., Site]]:
    """As `fresh_site`, for all tests of a module: what they change there no other test sees."""
    yield from _sites(database, sandbox, server_logs)


# Browser -----------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's Chromium: Playwright's own download is not needed."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not on this machine")
    expect.set_options(timeout=1000 * PATIENCE)
    return browser_type_launch_args | {"executable_path": CHROMIUM, "args": CHROMIUM_ARGUMENTS}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """A browser test may have the database from its set-up to its end: no fixture is early enough to say so."""
    with _beside_playwright() if item.get_closest_marker("browser") else nullcontext():
        return (yield)
