"""The schema on PostgreSQL: found also where a pooler drops the search path, and refused where it is not ours."""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from tests.servers import forked
from tests.servers.databases import Databases
from tests.servers.site import machine_environment

pytestmark = pytest.mark.postgresql


def manage(url: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = machine_environment() | {"DEBUG": "1", "DATABASE_URL": url} | settings
    return forked.run(["manage.py", *arguments], env)


def test_the_role_carries_the_path_so_that_a_session_without_options_works_in_the_schema(database: Databases) -> None:
    url = database.empty()
    done = manage(url, "setup_database", DATABASE_SCHEMA="house")
    assert (done.returncode, "schema house" in done.stdout) == (0, True), done.stderr
    with psycopg.connect(url) as plain:
        assert plain.execute("SELECT current_schema()").fetchone() == ("house",)


@pytest.mark.slow
def test_migrate_goes_by_the_direct_url_and_the_site_refuses_another_schema(database: Databases) -> None:
    url = database.empty()
    dead = url.rpartition("/")[0] + "/there-is-no-such-database"
    done = manage(dead, "migrate", DATABASE_DIRECT_URL=url)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as plain:
        found = plain.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert found == (0,)
    check = "from oneai.kit import schema; schema.check()"
    assert manage(url, "shell", "-c", check).returncode == 0
    elsewhere = url + ("&" if "?" in url else "?") + "options=-c%20search_path%3Dpublic"
    refused = manage(elsewhere, "shell", "-c", check)
    assert refused.returncode != 0
    assert "setup_database" in refused.stderr


def test_on_sqlite_there_is_nothing_to_set_up() -> None:
    done = manage("sqlite:///:memory:", "setup_database")
    assert done.returncode == 1
    assert "SQLite" in done.stderr
