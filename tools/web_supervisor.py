"""Keeps a number of web processes behind one listening socket: what `tools/serve.py` becomes.

    python -m tools.web_supervisor --host 0.0.0.0 --port 8000 --workers 4 [--notice SECONDS]

The socket is bound here and inherited, so its queue belongs to all: what one process leaves in it,
another takes, and a client sees no difference while processes come and go. HUP renews every process,
one after the other, each only when its successor serves. TERM or INT end them all; a second INT at
once. A process that gets TERM itself is replaced as soon as it says so, one that dies or hangs when
that is seen. It stays small on purpose: it imports nothing of the product, so it has nothing to leak
and new code needs no new supervisor.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

START_SECONDS: Final = 120.0
HUNG_SECONDS: Final = 30.0  # without a sign from its event loop
LEAVE_SECONDS: Final = 45.0  # a process needs at most 30 to finish, or to hand over, what it runs
SEND_BUFFER: Final = 128 * 1024  # bytes; the kernel takes up to twice as many
SERVING, LIVING, LEAVING = b"r", b".", b"l"


def say(event: str, level: str = "info", **fields: object) -> None:
    """A line of the log, in the form of all others."""
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = {"event": event, **fields, "level": level, "logger": "supervisor", "timestamp": at}
    print(json.dumps(line), file=sys.stderr, flush=True)


def say_ended(pid: int, status: int, *, leaving: bool) -> None:
    """One that was to leave has left, by itself or by the TERM that it was sent; any other end is a failure."""
    if leaving and status in {0, -signal.SIGTERM}:
        say("process_left", pid=pid)
    else:
        say("process_ended", "warning", pid=pid, status=status)


@dataclass(eq=False)
class Worker:
    """A web process. It writes its state into ``status``; that ``lifeline`` is closed tells it to stop."""

    process: subprocess.Popen[bytes]
    status: int
    lifeline: int
    since: float = field(default_factory=time.monotonic)
    serving: bool = False
    leaving: bool = False

    def mark_leaving(self) -> None:
        if not self.leaving:
            self.leaving, self.since = True, time.monotonic()

    def cut_lifeline(self) -> None:
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    @property
    def overdue(self) -> str:
        """Why it must be killed, if it must. ``since`` is its start, its last sign or when it began to leave."""
        waited = time.monotonic() - self.since
        if self.leaving:
            return "did not end" if waited > LEAVE_SECONDS else ""
        if self.serving:
            return "hung" if waited > HUNG_SECONDS else ""
        return "did not start" if waited > START_SECONDS else ""


class Supervisor:
    """``count`` processes serving ``listener``; ``notice`` is passed on to them."""

    def __init__(self, listener: socket.socket, count: int, notice: float) -> None:
        self.listener = listener
        self.count = count
        self.notice = notice
        self.workers: list[Worker] = []
        self.to_renew: list[Worker] = []
        self.stopping = False
        self.status = 0
        self.ever_served = False
        self.failures = 0
        self.start_after = 0.0
        self._in_terminal = sys.stderr.isatty()
        self._selector = selectors.DefaultSelector()
        self._signals, wakeup = os.pipe()
        for end in (self._signals, wakeup):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wakeup)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # the number arrives through the pipe
        self._selector.register(self._signals, selectors.EVENT_READ)

    def run(self) -> int:
        """Serve until told to stop; the exit status, 1 when no process could ever be started."""
        looked = time.monotonic()
        while True:
            at = time.monotonic()
            if at - looked > 5:  # this process was stopped itself, so it has heard nobody
                for worker in self.workers:
                    worker.since += at - looked
            looked = at
            self._tend()
            if self.stopping and not self.workers:
                return self.status
            for key, _ in self._selector.select(0.5):
                if key.data is None:
                    self._hear_signals()
                else:
                    self._hear(key.data)

    # What is heard --------------------------------------------------------------------------------

    def _hear_signals(self) -> None:
        for number in os.read(self._signals, 64):
            if number == signal.SIGINT and self.stopping:
                for worker in self.workers:
                    worker.process.kill()
            elif number != signal.SIGHUP or self._in_terminal:  # its terminal has gone
                self._stop()
            elif not self.stopping:
                # All, in the midst of a renewal too: what began before may have read what has changed since.
                self.to_renew = list(self.workers)
                say("renewing", processes=len(self.to_renew))

    def _stop(self) -> None:
        if self.stopping:
            return
        say("stopping", processes=len(self.workers))
        self.stopping = True
        self.to_renew = []
        self.listener.close()
        for worker in self.workers:
            worker.mark_leaving()
            worker.since += self.notice
            worker.cut_lifeline()

    def _hear(self, worker: Worker) -> None:
        said = os.read(worker.status, 4096)
        if not said:
            self._ended(worker)
            return
        if not worker.leaving:
            worker.since = time.monotonic()
        if SERVING in said:
            worker.serving = self.ever_served = True
            self.failures = 0
            say("process_serving", pid=worker.process.pid)
        if LEAVING in said:
            worker.mark_leaving()

    def _ended(self, worker: Worker) -> None:
        self._selector.unregister(worker.status)
        os.close(worker.status)
        worker.cut_lifeline()
        status = worker.process.wait()
        self.workers.remove(worker)
        former = worker in self.to_renew
        if former:
            self.to_renew.remove(worker)
        say_ended(worker.process.pid, status, leaving=worker.leaving)
        if worker.serving or worker.leaving:
            return
        if self.to_renew and not former:
            say("renewal_given_up", "warning", reason="the new process did not start; the others stay")
            self.to_renew = []
        self.failures += 1
        self.start_after = time.monotonic() + min(2.0 ** (self.failures - 1), 30.0)
        if not self.ever_served:
            self.status = 1
            self._stop()

    # What is done ---------------------------------------------------------------------------------

    def _tend(self) -> None:
        for worker in self.workers:
            if why := worker.overdue:
                say("process_killed", "warning", pid=worker.process.pid, reason=why)
                worker.process.kill()
                worker.since = time.monotonic()
        if self.stopping:
            return
        staying = [worker for worker in self.workers if not worker.leaving]
        renewing = [worker for worker in self.to_renew if worker.leaving]
        # While processes are renewed there is one more, until the old one may go; never two.
        wanted = self.count + (1 if self.to_renew and not renewing else 0)
        if time.monotonic() >= self.start_after:
            for _ in range(len(staying), wanted):
                self._start()
        if self.to_renew and not renewing and sum(worker.serving for worker in staying) > self.count:
            old = self.to_renew[0]
            old.mark_leaving()
            old.process.send_signal(signal.SIGTERM)

    def _start(self) -> None:
        status, its_status = os.pipe()
        its_lifeline, lifeline = os.pipe()
        fds = (self.listener.fileno(), its_status, its_lifeline)
        command = [sys.executable, "-m", "tools.web_worker", *map(str, fds), str(self.notice)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=fds)
        finally:
            os.close(its_status)
            os.close(its_lifeline)
        worker = Worker(process, status, lifeline)
        self.workers.append(worker)
        self._selector.register(status, selectors.EVENT_READ, worker)


def bind(host: str, port: int) -> socket.socket:
    """The listening socket, IPv6 for a host with a colon. OSError when the address is not to be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Left to itself the kernel takes megabytes for a reader that takes nothing.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def main() -> int:
    """Bind, then supervise; 1 when the address is taken."""
    parser = argparse.ArgumentParser(description="web processes behind one socket")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--notice", type=float, default=0.0)
    given = parser.parse_args()
    try:
        listener = bind(given.host, given.port)
    except OSError as error:
        print(f"Can't listen on {given.host} port {given.port}: {error.strerror}", file=sys.stderr)
        return 1
    return Supervisor(listener, given.workers, given.notice).run()


if __name__ == "__main__":
    sys.exit(main())
