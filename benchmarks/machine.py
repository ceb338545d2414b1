"""What /proc says: processor time, memory, and whether someone else used the machine meanwhile."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Read before anything is pinned.
AVAILABLE = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (0,)
VERSIONS = ("django", "uvicorn", "uvloop", "httptools", "aiohttp", "httpx", "orjson", "psycopg")


@dataclass(frozen=True)
class Cores:
    """Which cores the servers under test run on, and which all the rest.

    `alone` is false when the servers share a core with the load: their figures are then a lower bound.
    """

    server: tuple[int, ...]
    rest: tuple[int, ...]
    alone: bool

    @classmethod
    def divide(cls, workers: int) -> "Cores":
        """One core for each worker, the others for load, upstream and database."""
        if len(AVAILABLE) > workers:
            return cls(AVAILABLE[-workers:], AVAILABLE[:-workers], alone=True)
        return cls(AVAILABLE, AVAILABLE[:1], alone=False)


@contextlib.contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """What is started inside runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, cores: Iterable[int]) -> None:
    """Moves every thread of a running process tree to these cores. Raises OSError when not allowed to."""
    for one in tree(pid):
        for thread in Path(f"/proc/{one}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def cores_of(root: int) -> set[int]:
    """The cores on which any thread of a running process tree may run."""
    found: set[int] = set()
    for one in tree(root):
        with contextlib.suppress(OSError):  # it, or a thread of it, has just ended
            for thread in Path(f"/proc/{one}/task").iterdir():
                found |= os.sched_getaffinity(int(thread.name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the command's name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def tree(root: int) -> list[int]:
    """A process and all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted, and many times
        if entry.isdigit() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Processor time of the trees under `roots`, user and system, children that have ended included."""
    ticks = 0
    for root in roots:
        for position, pid in enumerate(tree(root)):
            if fields := _stat(pid):
                # utime and stime; of the root also those of the children it has waited for
                ticks += sum(map(int, fields[11 : 15 if position == 0 else 13]))
    return ticks / TICKS


def resident_bytes(roots: Iterable[int]) -> list[int]:
    """Resident memory of every process of the trees under `roots`."""
    sizes = []
    for root in roots:
        for pid in tree(root):
            with contextlib.suppress(OSError, IndexError):
                sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE)
    return sizes


@dataclass(frozen=True)
class Load:
    """Processor seconds of the whole machine since it started."""

    busy: float
    stolen: float

    @classmethod
    def now(cls) -> "Load":
        """Reads /proc/stat."""
        user, nice, system, _idle, _wait, irq, soft, stolen = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
        return cls((user + nice + system + irq + soft) / TICKS, stolen / TICKS)


def describe(scratch: Path) -> dict[str, str]:
    """The machine and the versions, for the head of a report."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    known = {}
    for name in VERSIONS:
        with contextlib.suppress(PackageNotFoundError):
            known[name] = version(name)
    return {
        "machine": f"{model}, {len(AVAILABLE)} cores, {memory} MB, {platform.system()} "
        f"{platform.release()}, scratch on {_filesystem(scratch)}",
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {number}" for name, number in known.items()),
    }


def _filesystem(path: Path) -> str:
    """The kind of filesystem a path is on: on tmpfs a commit costs nothing, which a reader must know."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, found, *_ = line.split()
        if path.resolve().is_relative_to(where) and len(where) >= len(best):
            best, kind = where, found
    return kind


def require_linux() -> None:
    """Ends the program with a clear word where /proc and core pinning don't exist."""
    if sys.platform != "linux":
        raise SystemExit("The benchmarks read /proc and pin processes to cores: they run on Linux only.")
