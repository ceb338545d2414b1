"""The product under test: real processes as production runs them, its only upstream the simulator."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import Cores, cores_of, on_cores
from benchmarks.subjects import require_free
from tests.servers.postgres import NoPostgreSQL, Postgres
from tests.servers.process import ServerDied, ServerProcess
from tests.servers.site import CommandFailed, Site

REASON = "measuring"
# Accounts whose pages are measured, one to have many rows, one few; the streams' are not among their rows.
PAGE_READERS = ("many-rows@example.com", "few-rows@example.com")
DATABASES = ("sqlite", "postgresql")


class NotMeasurable(RuntimeError):
    """The product, or the database it needs, does not start here; the message says why."""


class DurablePostgres(Postgres):
    """The suite's PostgreSQL with what it leaves out: a commit is on the disk before it is answered."""

    options = ("max_connections=200", "shared_buffers=128MB", "fsync=on", "synchronous_commit=on")

    def start(self) -> None:
        """Starts it. Raises ServerDied, NoPostgreSQL."""
        super().start()  # makes the data folder and the role, with settings that keep nothing safe
        assert self._server is not None
        self._server.stop(seconds=30)
        options = (
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            *self.options,
        )
        program = [*self._as_user, str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        self._server = ServerProcess(
            [*program, *(f"-c{option}" for option in options)],
            log_path=self.folder / "log",
            folder=Path("/"),
            stop_signal=signal.SIGINT,
            remove=[self.folder],
        )
        self._server.start()
        self._server.wait_until(self._answers, seconds=60)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._server is not None
        return self._server.pid


@dataclass(frozen=True)
class Running:
    """A started product: the keys of its accounts, and its processes."""

    site: Site
    keys: tuple[str, ...]
    postgres: DurablePostgres | None
    worker: ServerProcess

    @property
    def roots(self) -> tuple[int, ...]:
        """The web processes: what is measured."""
        return (self.site.web_pid,)

    @property
    def database_roots(self) -> tuple[int, ...]:
        """The database's processes, if it has any of its own."""
        return (self.postgres.pid,) if self.postgres else ()

    @property
    def helpers(self) -> tuple[int, ...]:
        """The background worker, which runs beside the load as it does in production."""
        return (self.worker.pid,)

    def restart(self, cores: Cores) -> None:
        """New web processes over the same data."""
        self.site.terminate()
        _start_web(self.site, cores)

    def audit(self) -> str:
        """What `audit_ledger` finds: an empty text when the counters agree with the ledger."""
        done = self.site.run("audit_ledger")
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-500:]

    def stop(self) -> None:
        """Ends everything and removes the database."""
        self.worker.stop(seconds=40)
        self.site.stop()
        if self.postgres:
            self.postgres.stop()


def _start_web(site: Site, cores: Cores) -> None:
    """Starts the web processes on cores of their own. Raises ServerDied, NotMeasurable."""
    with on_cores(cores.server):
        site.start()
    if (found := cores_of(site.web_pid)) != set(cores.server):
        raise NotMeasurable(f"the web processes run on cores {sorted(found)}, not on {sorted(cores.server)}")


def start(
    database: str, workers: int, accounts: int, simulator_port: int, port: int, cores: Cores, scratch: Path
) -> Running:
    """Makes a database, accounts without limits and their keys, and starts `workers` web processes.

    Raises NotMeasurable with the end of the output of what failed.
    """
    require_free(port)
    postgres: DurablePostgres | None = None
    site: Site | None = None
    worker: ServerProcess | None = None
    try:
        if database == "postgresql":
            with on_cores(cores.rest):
                postgres = DurablePostgres()
                postgres.start()
            url = postgres.create_database("bench")
        else:
            file = scratch / f"bench-{port}-{workers}.sqlite3"
            for old in scratch.glob(f"{file.name}*"):
                old.unlink()
            url = f"sqlite:///{file}"
        site = _site(url, workers, simulator_port, port, scratch)
        with on_cores(cores.rest):
            site.manage("migrate", "-v", "0")
            site.command("sync_models")
            for email in PAGE_READERS:
                site.command("create_user", email, "--plan", "team", "--verified")
            keys = tuple(_account(site, number) for number in range(accounts))
            worker = _worker(site, scratch)
        _start_web(site, cores)
    except (ServerDied, CommandFailed, NoPostgreSQL, NotMeasurable) as problem:
        if worker:
            worker.stop()
        if site:
            site.stop()
        if postgres:
            postgres.stop()
        raise NotMeasurable(str(problem)) from problem
    return Running(site, keys, postgres, worker)


def _site(url: str, workers: int, simulator_port: int, port: int, scratch: Path) -> Site:
    settings = {
        "PORT": str(port),
        "SITE_URL": f"http://localhost:{port}",
        "OPENROUTER_BASE_URL": f"http://127.0.0.1:{simulator_port}/api/v1",
        "OPENROUTER_API_KEY": "bench",
        "PLATFORM_DAILY_USD": "1000000",
    }
    site = Site(url, scratch, settings=settings, processes=workers, worker=False, forked=False)
    site.port = port
    site.url = f"http://localhost:{port}"
    site.log_path = scratch / f"site-{port}.log"
    return site


def _worker(site: Site, scratch: Path) -> ServerProcess:
    """The background worker, apart from the site so that its process is known and takes another core."""
    worker = ServerProcess(
        [sys.executable, "manage.py", "worker"], env=site.env, log_path=scratch / f"worker-{site.port}.log"
    )
    worker.start()
    return worker


def _account(site: Site, number: int) -> str:
    """An account that nothing limits, and its key."""
    email = f"bench-{number}@example.com"
    site.command("create_user", email, "--plan", "team", "--verified")
    site.command("set_quota", email, "--model", "*", "--tokens", "unlimited", "--reason", REASON)
    rates: Sequence[str] = ("--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited")
    site.command("set_rates", email, *rates, "--reason", REASON)
    return site.command("create_api_key", email, "--name", "bench").strip().split()[-1]
