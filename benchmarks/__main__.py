"""The command line of the benchmarks."""

import argparse
import asyncio
import contextlib
import ipaddress
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks import report
from benchmarks.doors import DOORS
from benchmarks.machine import describe, require_linux
from benchmarks.product import DATABASES
from benchmarks.runner import Section, Wish, measure_floor, measure_peer, measure_product, scaling
from benchmarks.scenarios import SCENARIOS, quick

PAGES = "S8"


def _listed(allowed: tuple[str, ...]) -> "type[str]":
    def read(value: str) -> list[str]:
        found = value.split(",")
        for one in found:
            if one not in allowed:
                raise argparse.ArgumentTypeError(f"{one!r} is not one of {', '.join(allowed)}")
        return found

    return read  # type: ignore[return-value]


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scenario", type=_listed((*SCENARIOS, PAGES)), help="S1,S2,… (default: all)")
    parser.add_argument("--database", type=_listed(DATABASES), default=list(DATABASES))
    parser.add_argument("--door", type=_listed(tuple(DOORS)), default=["v1", "api"], help="v1, api, ws")
    parser.add_argument("--workers", type=_listed(("1", "2")), default=None, help="1, 2 or 1,2")
    parser.add_argument("--rounds", type=int, default=2, help="of each server in turn")
    parser.add_argument("--accounts", type=int, default=8, help="that the streams are spread over")
    parser.add_argument("--quick", action="store_true", help="one round, shorter loads, SQLite and /v1 only")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--port", type=int, default=18400, help="the first of three ports")
    parser.add_argument("--scratch", type=Path, help="folder for databases and logs")
    parser.add_argument("--nice", type=int, default=0, help="of all processes; below 0 needs the right to it")
    parser.add_argument("--floor", action="store_true", help="only the upstream and the bare relay")
    parser.add_argument("--server-url", help="measure this OpenAI-compatible server, e.g. http://127.0.0.1:4000/v1")
    parser.add_argument("--key", default="bench", help="its key")
    parser.add_argument("--model-prefix", default="", help="what stands before bench/… in its model names")
    parser.add_argument("--server-pid", type=int, help="its process, to pin it and to measure time and memory")
    given = parser.parse_args(arguments)
    if given.quick:
        given.rounds = 1
        if arguments is None:
            arguments = sys.argv[1:]
        if "--database" not in arguments:
            given.database = ["sqlite"]
        if "--door" not in arguments:
            given.door = ["v1"]
    if given.workers is None:
        given.workers = ["1"] if given.quick else ["1", "2"]
    if given.rounds < 1 or given.accounts < 1:
        parser.error("--rounds and --accounts are at least 1")
    if given.server_url:
        host = urlsplit(given.server_url).hostname or ""
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
                return given
        parser.error("--server-url must be on this machine's loopback interface")
    return given


def _room_for_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(given: argparse.Namespace, wish: Wish) -> list[Section]:
    if given.floor:
        return await measure_floor(wish)
    if given.server_url:
        url = urlsplit(given.server_url)
        path = url.path.rstrip("/") + "/chat/completions"
        host = "127.0.0.1" if url.hostname == "localhost" else url.hostname or ""
        return await measure_peer(wish, host, url.port or 80, path, given.key, given.model_prefix, given.server_pid)
    sections: list[Section] = []
    for workers in sorted(map(int, given.workers)):
        for database in given.database:
            if workers > 1 and database == "sqlite" and given.scenario is None:
                continue  # one writer either way; asked for by name it is measured
            doors = given.door if workers == 1 or given.scenario else given.door[:1]
            sections += await measure_product(wish, database, workers, doors, given.scenario is not None)
    return sections


async def _stoppable(given: argparse.Namespace, wish: Wish) -> list[Section]:
    """Ctrl-C and SIGTERM cancel the run, so that everything is stopped on the way out."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await _run(given, wish)


def main(arguments: list[str] | None = None) -> int:
    """Measures what was asked for; the exit status is 1 when a "must" was missed or nothing was measured."""
    require_linux()
    given = _arguments(arguments)
    _room_for_sockets()
    try:
        os.nice(given.nice)
    except PermissionError:
        raise SystemExit(f"--nice {given.nice} is not allowed to this user.") from None
    chosen = [one for one in SCENARIOS.values() if given.scenario is None or one.id in given.scenario]
    chosen = [quick(one) for one in chosen] if given.quick else chosen
    if given.scratch:
        given.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="oneai-bench-", dir=given.scratch))

    def say(line: str) -> None:
        print(f"  … {line}", file=sys.stderr, flush=True)

    pages = given.scenario is None or PAGES in given.scenario
    wish = Wish(chosen, given.rounds, given.port, given.accounts, scratch, pages, say)
    head = describe(scratch)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            sections = loop.run(_stoppable(given, wish))
    except asyncio.CancelledError:
        print("Stopped; everything that was started is stopped too.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    across = scaling(sections)
    print(report.text(head, sections, across))
    if given.json:
        report.write_json(given.json, head, sections, across)
    found = [figure for section in sections for figure in section.figures] + across
    measured = any(section.samples or section.pages for section in sections)
    missed = any(figure.verdict.startswith("MISSED") for figure in found if not math.isnan(figure.value))
    return 0 if measured and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
