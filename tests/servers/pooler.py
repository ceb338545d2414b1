"""PgBouncer in transaction mode in front of a test's PostgreSQL, as strict as any hosted pooler.

Two server connections for everybody: whatever a session left behind would show at once in another's.
It drops the search path that a connection asks for, and knows no prepared statements.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.postgres import ROLE, Postgres
from tests.servers.process import ServerProcess, free_port, listening

CONNECTIONS = 2


class NoPooler(RuntimeError):
    """PgBouncer is not on this machine."""


def binary() -> str:
    """The path of pgbouncer. Raises NoPooler."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not found:
        raise NoPooler("pgbouncer is not on this machine (Debian: apt install pgbouncer)")
    return found


class Pooler:
    """A PgBouncer on a free loopback port; `url(database_url)` is the way to a database through it."""

    def __init__(self, postgres: Postgres) -> None:
        program = binary()
        self.folder = Path(tempfile.mkdtemp(prefix="oneai-pooler-"))
        self.port = free_port()
        users = self.folder / "users.txt"
        users.write_text(f'"{ROLE}" ""\n', encoding="utf-8")
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={postgres.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\n"
            f"pool_mode = transaction\ndefault_pool_size = {CONNECTIONS}\nmax_client_conn = 300\n"
            "ignore_startup_parameters = extra_float_digits, options\n",
            encoding="utf-8",
        )
        command = [program, str(settings)]
        if os.geteuid() == 0:  # it refuses to be root; its folder must be open to whom it becomes
            self.folder.chmod(0o755)
            command = [program, "-u", "nobody", str(settings)]
        self._server = ServerProcess(
            command,
            log_path=self.folder / "log",
            folder=Path("/"),
            stop_signal=signal.SIGINT,
            remove=[self.folder],
        )

    def start(self) -> None:
        """Start and wait until it listens. Raises ServerDied."""
        self._server.start()
        self._server.wait_until(lambda: listening(self.port), seconds=30)

    def url(self, direct: str) -> str:
        """The address through the pooler of a database with this direct address."""
        parts = urlsplit(direct)
        return parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.port}").geturl()

    def stop(self) -> None:
        """End it and remove its folder."""
        self._server.stop(seconds=10)
        shutil.rmtree(self.folder, ignore_errors=True)
