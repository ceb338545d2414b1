"""Python processes forked from one that has the libraries already (tests/servers/nest.py): `manage.py` and the like.

They are processes as any other, and cost a quarter of the time. What a test proves about how a program
is started belongs to a real start: tests.servers.process, or subprocess.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent

_nest: tuple[subprocess.Popen[bytes], socket.socket] | None = None
_starting = threading.Lock()


def _asking() -> socket.socket:
    """The socket of this process's nest, which lives as long as this process."""
    global _nest
    with _starting:
        if _nest is None or _nest[0].poll() is not None:
            ours, theirs = socket.socketpair()
            command = [sys.executable, "-m", "tests.servers.nest"]
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
            process = subprocess.Popen(command, cwd=ROOT, env=kept, stdin=theirs.fileno(), start_new_session=True)
            theirs.close()
            _nest = process, ours
            atexit.register(ours.close)
        return _nest[1]


class Forked:
    """A running process; ends with this one unless it has ended before."""

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], streams: tuple[int, int, int], folder: Path = ROOT
    ) -> None:
        """``arguments`` begins with a script or a module's name; whoever gives ``streams`` closes them."""
        self._connection, theirs = socket.socketpair()
        handed = array.array("i", [theirs.fileno()])
        _asking().sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
        theirs.close()
        job = {"arguments": list(arguments), "env": dict(env), "folder": str(folder)}
        self._connection.sendmsg(
            [json.dumps(job).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
        )
        self._said = b""
        self._status: int | None = None
        if not self._hear(60):
            raise RuntimeError(f"{arguments[0]} was not started")
        self.pid = self._number()

    def _hear(self, seconds: float) -> bool:
        """Whether a line came in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self._said:
            if not select.select([self._connection], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            data = self._connection.recv(64)
            if not data:
                raise RuntimeError("the process that forks is gone")
            self._said += data
        return True

    def _number(self) -> int:
        """The first line that was heard; one that ends at once has said two by then."""
        line, _, self._said = self._said.partition(b"\n")
        return int(line)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float) -> int:
        """The exit status. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        if self._status is None:
            if not self._hear(timeout):
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._status = self._number()
            self._connection.close()
        return self._status

    def end(self) -> None:
        """End it, if it runs, with all it has started."""
        self._connection.close()


class Piped(Forked):
    """One that is spoken to line by line: ``stdin`` and ``stdout``; its stderr goes to ``log``, or beside ours."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: IO[bytes] | None = None) -> None:
        its_in, ours_in = os.pipe()
        ours_out, its_out = os.pipe()
        try:
            super().__init__(arguments, env, (its_in, its_out, log.fileno() if log else 2))
        finally:
            os.close(its_in)
            os.close(its_out)
        self.stdin = os.fdopen(ours_in, "w", encoding="utf-8")
        self.stdout = os.fdopen(ours_out, encoding="utf-8")

    def finish(self, timeout: float) -> tuple[int, str]:
        """Say no more to it and wait for its end: its status, and what of its output was not read yet."""
        self.stdin.close()
        with self.stdout:
            rest = self.stdout.read()
        return self.wait(timeout), rest


def run(arguments: Sequence[str], env: Mapping[str, str], *, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """As subprocess.run with captured output. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        process = Forked(arguments, env, (nothing.fileno(), out.fileno(), errors.fileno()))
        try:
            status = process.wait(timeout)
        finally:
            process.end()
        for stream in (out, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read().decode(), errors.read().decode())
