"""A server process of a test: started under a keeper, waited for, stopped or killed, its output in a file."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.servers.forked import ROOT, Forked

KEEPER = Path(__file__).with_name("keeper.py")


class ServerDied(RuntimeError):
    """A server ended or never answered; the message carries the end of its output."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """One command in a process group of its own that never outlives the process that started it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        stop_signal: signal.Signals = signal.SIGTERM,
        remove: Sequence[Path] = (),
        forked: bool = False,
    ) -> None:
        """``remove`` names folders that go when the process that started this one dies without a stop.

        With ``forked`` the command is a Python script of ours and its arguments, and Python is there already.
        """
        self.command = list(command)
        self.log_path = log_path
        self.env = dict(os.environ if env is None else env)
        self.folder = folder
        self.stop_signal = stop_signal
        self.remove = list(remove)
        self._forked = forked
        self._keeper: subprocess.Popen[bytes] | Forked | None = None
        self.pid = 0

    def start(self) -> None:
        """Start the command; returns at once. Raises ServerDied when it can't be run at all."""
        if self._forked:
            with self.log_path.open("ab") as log, Path(os.devnull).open("rb") as nothing:
                streams = (nothing.fileno(), log.fileno(), log.fileno())
                self._keeper = Forked(self.command, self.env, streams, self.folder)
            self.pid = self._keeper.pid
            return
        job = {
            "command": self.command,
            "folder": str(self.folder),
            "log": str(self.log_path),
            "signal": int(self.stop_signal),
            "remove": [str(path) for path in self.remove],
        }
        self._keeper = subprocess.Popen(
            [sys.executable, "-S", "-E", str(KEEPER), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.env,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line.strip().isdigit():
            raise ServerDied(f"{self.command[0]} did not start: {self.log_tail()}")
        self.pid = int(line)

    @property
    def running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        """Poll ``ready`` until it is true. Raises ServerDied when the process ends or time is up."""
        end = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ServerDied(f"{self.command[0]} ended: {self.log_tail()}")
            if time.monotonic() > end:
                raise ServerDied(f"{self.command[0]} did not answer in {seconds:.0f} s: {self.log_tail()}")
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        if not self.pid:
            return  # it never started; group 0 would be the tests' own
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        """End the whole group at once, as a power cut would, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self._wait(10)
        end = time.monotonic() + 10
        while self._group_lives() and time.monotonic() < end:
            time.sleep(0.01)

    def _group_lives(self) -> bool:
        """Whether any process of the group still runs: its sockets close when it is gone, not when it is told."""
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    return True
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return False

    def stop(self, *, seconds: float = 45) -> int:
        """Ask for an orderly end, wait, and insist after ``seconds``; the exit status."""
        if self.running:
            self.send(self.stop_signal)
        return self._wait(seconds)

    def _wait(self, seconds: float) -> int:
        keeper = self._keeper
        if keeper is None:
            return 0
        try:
            return keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            return keeper.wait(20)
        finally:
            if isinstance(keeper, subprocess.Popen):
                assert keeper.stdin is not None and keeper.stdout is not None
                keeper.stdin.close()
                keeper.stdout.close()
            self._keeper = None

    def log(self) -> str:
        """Everything the process has printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def log_tail(self, characters: int = 3000) -> str:
        return self.log()[-characters:] or "(it printed nothing)"
