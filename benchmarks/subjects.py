"""What is measured: the upstream itself, the bare relay, and a server under test."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.doors import UPSTREAM, Door
from benchmarks.generator import Target
from benchmarks.machine import Cores, on_cores
from tests.servers.process import ROOT, ServerProcess, listening


@dataclass(frozen=True)
class Subject:
    """A server that the load is put on. `roots` are the processes whose time and memory count as its own."""

    name: str
    target: Target
    roots: tuple[int, ...] = ()
    database_roots: tuple[int, ...] = ()
    # Of a server that was already there, nothing is known of when it last served many streams.
    fresh: bool = True


def through(
    name: str,
    door: Door,
    port: int,
    *,
    host: str = "127.0.0.1",
    path: str | None = None,
    keys: Sequence[str] = ("bench",),
    model_prefix: str = "",
) -> Target:
    """The target behind a door. `model_prefix` stands before the model's name, as some servers want it."""

    def body(model: str, tag: str, stream: bool) -> bytes:
        return door.body(model_prefix + model, tag, stream)

    return Target(name, port, path or door.path, body, door.marker, tuple(keys), host, door.websocket)


def direct(port: int) -> Subject:
    """The upstream, with nothing between."""
    return Subject("direct", through("direct", UPSTREAM, port))


def byte_proxy(port: int, pid: int) -> Subject:
    """The bare relay."""
    return Subject("byte proxy", through("byte proxy", UPSTREAM, port), roots=(pid,))


def start_module(
    module: str, arguments: Sequence[str], port: int, cores: Sequence[int], scratch: Path
) -> ServerProcess:
    """Starts one of the benchmarks' own servers and waits for its port. Raises ServerDied."""
    require_free(port)
    process = ServerProcess(
        [sys.executable, "-m", module, "--port", str(port), *arguments],
        log_path=scratch / f"{module}.log",
        folder=ROOT,
    )
    with on_cores(cores):
        process.start()
    process.wait_until(lambda: listening(port), seconds=20)
    return process


def start_simulator(port: int, models: Sequence[str], cores: Cores, scratch: Path) -> ServerProcess:
    """The upstream, on the load's core."""
    return start_module("benchmarks.simulator", ["--models", ",".join(models)], port, cores.rest, scratch)


def start_byte_proxy(port: int, upstream_port: int, cores: Cores, scratch: Path) -> ServerProcess:
    """The bare relay, on the first of the servers' cores."""
    arguments = ["--upstream-port", str(upstream_port)]
    return start_module("benchmarks.byteproxy", arguments, port, cores.server[:1], scratch)


def require_free(port: int) -> None:
    """Ends the program with a clear word when something listens on the port."""
    if listening(port):
        raise SystemExit(f"Port {port} is taken; choose others with --port.")
