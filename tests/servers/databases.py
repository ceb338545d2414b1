"""Empty and migrated databases for sites under test, on the database the run is for."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

from tests.servers import forked
from tests.servers.postgres import Postgres
from tests.servers.site import machine_environment

TEMPLATE = "template_of_sites"


class Databases:
    """Hands out databases of one kind; a migrated one is a copy of a template that the run makes once."""

    def __init__(self, kind: str, folder: Path, postgres: Postgres | None, prefix: str) -> None:
        """``folder`` is shared by parallel test processes; ``prefix`` keeps their databases apart."""
        self.kind = kind
        self._folder = folder
        self._postgres = postgres
        self._prefix = prefix
        self._made = 0
        self._has_template = False

    def empty(self) -> str:
        """The URL of a database without tables."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        if self._postgres:
            return self._postgres.create_database(name)
        return f"sqlite:///{self._folder / name}.sqlite3"

    def migrated(self) -> str:
        """The URL of a database after `manage.py migrate`, with nothing else in it."""
        if not self._has_template:
            self._make_template()
            self._has_template = True
        if self._postgres:
            self._made += 1
            return self._postgres.create_database(f"{self._prefix}_{self._made}", template=TEMPLATE)
        url = self.empty()
        shutil.copy(self._folder / f"{TEMPLATE}.sqlite3", url.removeprefix("sqlite:///"))
        return url

    def _make_template(self) -> None:
        """Unless another process of the run has made it: the first one does, the others wait."""
        made = self._folder / f"{TEMPLATE}.made"
        with (self._folder / f"{TEMPLATE}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                return
            if self._postgres:
                self._migrate(self._postgres.create_database(TEMPLATE))
            else:
                self._migrate(f"sqlite:///{self._folder / TEMPLATE}.sqlite3")
            made.touch()

    @staticmethod
    def _migrate(url: str) -> None:
        env = machine_environment() | {"DATABASE_URL": url, "DEBUG": "1"}
        done = forked.run(["manage.py", "migrate", "-v", "0"], env, timeout=300)
        if done.returncode:
            raise AssertionError(f"migrate failed on {url}: {done.stderr[-4000:]}")
