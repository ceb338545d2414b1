"""Fork processes that have the libraries already: run as a script by tests.servers.forked, its socket as stdin.

A Python that starts Django spends most of its first second on modules that no setting changes. They are
imported here once; a process forked from here runs the program it was asked for from its first line, with
an environment, settings, streams and a session of its own. For each there is a guard beside it, which
ends its whole group when the asker's connection closes, as tests/servers/keeper.py does for servers.
"""

import array
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

GRACE_SECONDS = 8
# None of these reads a setting when it is imported; what does, each process imports for itself.
LIBRARIES = (
    "aiohttp", "argon2", "asyncio", "django.contrib.auth.hashers", "django.core.handlers.asgi",
    "django.core.management", "django.db.models", "django.forms", "django.http", "django.middleware.csrf",
    "django.template", "django.urls", "email", "http.client", "httpx", "jwt", "orjson", "psycopg", "psycopg_pool",
    "redis.asyncio", "smtplib", "ssl", "structlog", "urllib.request",
)  # fmt: skip


def become(job: dict[str, Any], streams: list[int]) -> None:
    """Run the program that was asked for; its end is the interpreter's own."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        for number, mode in enumerate(("r", "w", "w"))
    )
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()
    program, *_ = sys.argv = job["arguments"]
    sys.path[0] = job["folder"]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def guard(connection: socket.socket) -> NoReturn:
    """Start one process, tell its number, and at its end its status; end it when nobody waits for it any more."""
    data, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    for _, _, sent in ancillary:
        streams.frombytes(sent)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ended, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    child = os.fork()
    if not child:
        become(json.loads(data), list(streams))
        sys.exit()
    for stream in streams:
        os.close(stream)
    connection.sendall(b"%d\n" % child)
    done = status = 0
    while not done:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        done, status = os.waitpid(child, os.WNOHANG)  # a child that is stopped or goes on makes itself heard too
        if ended in ready:
            os.read(ended, 64)
        elif not done:  # the asker has gone
            signal_group(child, signal.SIGTERM)
            end = time.monotonic() + GRACE_SECONDS
            while not done and time.monotonic() < end:
                time.sleep(0.02)
                done, status = os.waitpid(child, os.WNOHANG)
            break
    signal_group(child, signal.SIGKILL)  # also what it left behind
    code = os.waitstatus_to_exitcode(status)
    with suppress(OSError):
        connection.sendall(b"%d\n" % code)
    os._exit(0)


def signal_group(child: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, number)


def main() -> None:
    for name in LIBRARIES:
        import_module(name)
    for number in (signal.SIGINT, signal.SIGTERM):  # a Ctrl-C reaches the asker, who decides
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guards are not waited for
    asking = socket.socket(fileno=os.dup(0))
    while True:
        data, ancillary, _, _ = asking.recvmsg(1, socket.CMSG_SPACE(4))
        if not data:
            return
        numbers = array.array("i")
        numbers.frombytes(ancillary[0][2])
        connection = socket.socket(fileno=numbers[0])
        if not os.fork():
            asking.close()
            guard(connection)
        connection.close()


if __name__ == "__main__":
    main()
