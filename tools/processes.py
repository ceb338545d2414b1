"""Child processes of `make run`: own process groups, prefixed output, and an end for all together."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
COLOURS = (36, 35, 33, 34, 32)
PR_SET_PDEATHSIG = 1
# Linux alone ends a child with its parent; elsewhere a `kill -9` of this process leaves the others.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """A running command. When an ``optional`` one ends, the others go on."""

    name: str
    process: subprocess.Popen[bytes]
    prefix: str
    optional: bool = False
    unfinished: bytes = b""
    last_line: str = ""

    def send(self, number: int) -> None:
        """A signal to the child's whole process group."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass


class Stopped(Exception):
    """Somebody asked for the end, by Ctrl-C or a signal."""


class Family:
    """Children that are started one by one, watched together and ended together."""

    def __init__(self, output: IO[str]) -> None:
        self.children: list[Child] = []
        self._output = output
        self._selector = selectors.DefaultSelector()
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        if self._asked:  # a second Ctrl-C means now
            for child in self.children:
                child.send(signal.SIGKILL)
            return
        self._asked = True
        raise Stopped

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], *, optional: bool = False) -> Child:
        """Start a command in the project's folder; its output is printed with its name before each line."""
        process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        label = f"{name:>8} | "
        if self._output.isatty():
            label = f"\033[{COLOURS[len(self.children) % len(COLOURS)]}m{label}\033[0m"
        child = Child(name, process, label, optional)
        self.children.append(child)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        return child

    def relay(self, seconds: float) -> None:
        """Print what the children have said, waiting for at most ``seconds`` for the first of it."""
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
            *lines, child.unfinished = (child.unfinished + data).split(b"\n")
            if not data and child.unfinished:
                lines, child.unfinished = [child.unfinished], b""
            for line in lines:
                child.last_line = line.decode(errors="replace")
                self._output.write(f"{child.prefix}{child.last_line}\n")
        self._output.flush()

    def ended(self) -> Child | None:
        """A child that is no more and that the others need, if any."""
        for child in [child for child in self.children if child.process.poll() is not None]:
            if not child.optional:
                return child
            self.forget(child)
        return None

    def forget(self, child: Child) -> None:
        """Stop watching a child that has done its work."""
        self.relay(0)
        self.children.remove(child)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Relay output until ``ready``. Raises RuntimeError when a child ends or time is up."""
        end = time.monotonic() + seconds
        while not ready():
            dead = self.ended()
            if dead is not None:
                raise RuntimeError(f"{dead.name} ended with status {dead.process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not answer within {seconds:.0f} seconds")
            self.relay(0.1)

    def stop(self, *, grace_seconds: float = 40) -> None:
        """TERM to every group, the last started first; KILL to what is left after the grace."""
        self._asked = True
        for child in reversed(self.children):
            child.send(signal.SIGTERM)
        end = time.monotonic() + grace_seconds
        while any(child.process.poll() is None for child in self.children) and time.monotonic() < end:
            self.relay(0.1)
        for child in self.children:
            child.send(signal.SIGKILL)  # also what a child that has ended left behind
            child.process.wait()
        self.relay(0)
