"""What a test run stands on: which database, which ports, and settings that are the same on every machine.

It takes effect when tests/conftest.py is imported, before Django reads its settings. Parallel test
processes get it from the first one by an environment variable.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.servers.postgres import Postgres
from tests.servers.process import listening
from tests.servers.site import machine_environment

VARIABLE = "ONEAI_TEST_RUN"
KINDS = ("sqlite", "postgresql")
_held: list[socket.socket] = []


@dataclass(frozen=True)
class Run:
    """``postgres_port`` is 0 on SQLite."""

    kind: str
    postgres_port: int
    folder: str


def _kind(arguments: list[str]) -> str:
    kind = "sqlite"
    for position, argument in enumerate(arguments):
        if argument == "--database" and position + 1 < len(arguments):
            kind = arguments[position + 1]
        elif argument.startswith("--database="):
            kind = argument.partition("=")[2]
    if kind not in KINDS:
        raise SystemExit(f"--database must be one of {', '.join(KINDS)}, not {kind!r}")
    return kind


def _site_port() -> int:
    """A port whose neighbours at +10 and +11, where development expects the sandbox, are free too.

    Below the range from which the system takes ports for outgoing connections and for free_port(),
    so that nothing can sit there by the time the sandbox starts. Other test processes keep off what is
    held here of another protocol.
    """
    while True:
        port = 20000 + secrets.randbelow(10000)
        if not listening(port + 10) and not listening(port + 11) and all(map(_hold, (port + 10, port + 11))):
            return port


def _hold(port: int) -> bool:
    """Take a number for the life of this process, by a UDP socket; False when another has it."""
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        taken.bind(("127.0.0.1", port))
    except OSError:
        taken.close()
        return False
    _held.append(taken)
    return True


def join() -> tuple[Run, Postgres | None]:
    """The run this process belongs to, and the PostgreSQL server if this process started it."""
    postgres = None
    if VARIABLE in os.environ:
        run = Run(**json.loads(os.environ[VARIABLE]))
    else:
        kind = _kind(sys.argv)
        if kind == "postgresql":
            postgres = Postgres()
            postgres.start()
            atexit.register(postgres.stop)
        folder = tempfile.mkdtemp(prefix="oneai-tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        run = Run(kind, postgres.port if postgres else 0, folder)
        os.environ[VARIABLE] = json.dumps(asdict(run))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    keep = machine_environment()
    for name in [name for name in os.environ if name not in keep and _is_setting(name)]:
        del os.environ[name]
    url = (
        f"postgresql://oneai@127.0.0.1:{run.postgres_port}/oneai"
        if run.postgres_port
        else f"sqlite:///{Path(run.folder) / f'unit-{worker}.sqlite3'}"
    )
    files = str(Path(run.folder) / f"files-{worker}")
    os.environ.update(keep | {"DEBUG": "1", "PORT": str(_site_port()), "DATABASE_URL": url, "STORAGE_URL": files})
    return run, postgres


def _is_setting(name: str) -> bool:
    """Whether a variable of the caller's shell could change what the product does."""
    documented = Path(__file__).resolve().parent.parent / ".env.example"
    names = {
        line.lstrip("# ").split("=")[0] for line in documented.read_text(encoding="utf-8").splitlines() if "=" in line
    }
    return name.removesuffix("_FILE") in names
