"""The site as real processes: uvicorn with any number of workers and the background worker."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import forked
from tests.servers.forked import Piped
from tests.servers.process import ServerProcess, free_port

PASSWORD = "correct horse battery staple"
# What a process needs of this machine; nothing of the product's settings is inherited.
MACHINE = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


def machine_environment() -> dict[str, str]:
    """The part of this process's environment that is not a setting of the product; `.env` is not read."""
    kept = {name: os.environ[name] for name in MACHINE if name in os.environ}
    return kept | {
        "ONEAI_ENV_FILE": "none",
        "DJANGO_SETTINGS_MODULE": "oneai.settings",
        "PYTHONUNBUFFERED": "1",
    }


def production_settings(port: int, database_url: str) -> dict[str, str]:
    """The settings that production needs, for a site on a loopback port; upstreams are not among them."""
    return {
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(60),
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "SITE_URL": f"http://localhost:{port}",
        "DATABASE_URL": database_url,
        "PORT": str(port),
    }


def some_address() -> str:
    """A random private IPv4 address, as a trusted proxy would name a client."""
    return f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


class CommandFailed(AssertionError):
    """A management command ended with an error; the message carries what it printed."""


@dataclass(frozen=True)
class Newcomer:
    """A verified user with an API key for everything a key may do."""

    email: str
    password: str
    api_key: str


class Site:
    """One deployment: settings, database, `processes` web processes and one background worker."""

    def __init__(
        self,
        database_url: str,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        processes: int = 1,
        worker: bool = True,
        forked: bool = True,
    ) -> None:
        """``settings`` come on top of the production ones; ``processes`` is WEB_CONCURRENCY.

        With ``forked`` its processes come from one that has the libraries already, which is quick; without it they
        are new ones, which run where their starter may and have in memory only what they need.
        """
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.sandbox_url = ""
        self.folder = folder
        self.log_path = folder / f"site-{self.port}.log"
        self.worker_log_path = folder / f"worker-{self.port}.log"
        self.env = machine_environment() | production_settings(self.port, database_url)
        self.env |= {"STORAGE_URL": str(folder / f"files-{self.port}")} | dict(settings or {})
        self.env["WEB_CONCURRENCY"] = str(processes)
        self._with_worker = worker
        self._forked = forked
        self._web: ServerProcess | None = None
        self._worker: ServerProcess | None = None
        self._desk: Piped | None = None

    # Processes -----------------------------------------------------------------------------------
    def start(self, *, seconds: float = 120) -> None:
        """Start what is not running and wait for /readyz; also after a kill. Raises ServerDied."""
        if self._web is None:
            self._web = self._process("tools/serve.py", env={"HOST": "127.0.0.1"}, log_path=self.log_path)
            self._web.start()
        if self._with_worker and self._worker is None:
            self.start_worker()
        self._web.wait_until(self.ready, seconds=seconds)

    def _process(self, *script: str, env: Mapping[str, str], log_path: Path) -> ServerProcess:
        command = [*script] if self._forked else [sys.executable, *script]
        return ServerProcess(command, env=self._asked() | dict(env), log_path=log_path, forked=self._forked)

    def _asked(self) -> dict[str, str]:
        """The environment as an operator gives it, who has never heard of Django's own variable."""
        return {name: value for name, value in self.env.items() if name != "DJANGO_SETTINGS_MODULE"}

    def start_worker(self) -> None:
        """Start the background worker alone."""
        self._worker = self._process("manage.py", "worker", env={}, log_path=self.worker_log_path)
        self._worker.start()

    def ready(self) -> bool:
        """Whether /readyz says 200 now."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """SIGKILL to every web process at once; the worker, and what they all have written, stays."""
        if self._web:
            self._web.kill()
            self._web = None

    def kill_worker(self) -> None:
        if self._worker:
            self._worker.kill()
            self._worker = None

    def terminate(self) -> int:
        """The orderly end that a deploy sends to the web processes; their exit status."""
        web, self._web = self._web, None
        return web.stop(seconds=60) if web else 0

    def send(self, number: signal.Signals) -> None:
        """A signal to every web process."""
        assert self._web is not None
        self._web.send(number)

    @property
    def web_pid(self) -> int:
        assert self._web is not None
        return self._web.pid

    def log(self) -> str:
        """Everything that the web processes and their supervisor have printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        """What the log has of one request, once it has the request's own line, which follows the answer."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            whole, _, _ = self.log().rpartition("\n")  # the last line may be on its way
            lines = [json.loads(line) for line in whole.splitlines() if request_id in line]
            if any(line["logger"] == "access" for line in lines):
                return lines
            time.sleep(0.05)
        raise AssertionError(f"the log has no line of {request_id}")

    def stop(self) -> None:
        """End everything."""
        if self._desk:
            self._desk.finish(20)
            self._desk = None
        if self._worker:
            self._worker.send(signal.SIGTERM)
        self.terminate()
        if self._worker:
            self._worker.stop(seconds=40)
            self._worker = None

    # Commands ------------------------------------------------------------------------------------
    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`manage.py` with these arguments in this deployment's environment, in a process of its own."""
        return forked.run(["manage.py", *arguments], self.env)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """What `manage.py` with these arguments prints. Raises CommandFailed unless ``check`` is off."""
        done = self.run(*arguments)
        if check and done.returncode:
            raise CommandFailed(f"manage.py {' '.join(arguments)}: {done.stderr[-3000:] or done.stdout[-3000:]}")
        return done.stdout

    def command(self, *arguments: str) -> str:
        """As manage(), in a process that is kept, so that a second command takes milliseconds."""
        if self._desk is None or self._desk.poll() is not None:
            with (self.folder / f"desk-{self.port}.log").open("ab") as log:
                self._desk = Piped(["tests.servers.desk"], self.env, log)
        self._desk.stdin.write(json.dumps(arguments) + "\n")
        self._desk.stdin.flush()
        line = self._desk.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"ok": False, "err": "the process ended", "out": ""}
        if not answer["ok"]:
            raise CommandFailed(f"{' '.join(arguments)}: {answer['err'][-3000:]}")
        return str(answer["out"])

    def new_user(self, plan: str = "free", *, email: str = "") -> Newcomer:
        """A new verified user on a plan, with a password and an API key."""
        address = email or f"user-{secrets.token_hex(6)}@example.com"
        self.command("create_user", address, "--password", PASSWORD, "--plan", plan, "--verified")
        key = self.command("create_api_key", address, "--name", "test").strip().split()[-1]
        return Newcomer(address, PASSWORD, key)
