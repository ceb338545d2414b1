"""Counters of this process and its siblings, as Prometheus reads them. Off, and free, without METRICS_TOKEN.

Each process counts in a file of its own (prometheus-client's multiprocess mode), so whichever answers a scrape knows
of all on its host. Labels have few values: never a person, a key, a model's answer or a path with an id.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

from oneai import env

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DOORS: Final = (
    ("/api/chat/stream", "chat"), ("/api/webhooks/", "webhook"), ("/api/subscription/webhook", "webhook"),
    ("/api/", "api"), ("/v1/", "v1"), ("/admin/", "admin"), ("/static/", "static"),
    ("/healthz", "health"), ("/readyz", "health"), ("/metrics", "health"),
)  # fmt: skip

_REFUSALS: Final = (
    "quota_exceeded", "rate_limited", "too_many_generations", "too_many_attempts", "platform_limit_reached",
)  # fmt: skip

_counters: dict[str, Any] = {}
_children: dict[tuple[str, str], Any] = {}
_seconds: Callable[[str, str], Any] | None = None
_folder: Path | None = None


def door_of(path: str) -> str:
    """Which door a path leads to: a label of few values."""
    for prefix, door in _DOORS:
        if path.startswith(prefix):
            return door
    return "page"


def start(folder: Path) -> None:
    """Count from now on, in ``folder``; what processes that are gone left there goes."""
    global _seconds, _folder
    if _folder is not None:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_the_dead(folder)
    env.share_metrics(folder)
    import prometheus_client
    from prometheus_client import values

    host = socket.gethostname()
    of_processes: Any = values.MultiProcessValue
    values.ValueClass = of_processes(process_identifier=lambda: f"{host}-{os.getpid()}")
    registry = prometheus_client.CollectorRegistry()

    def counter(name: str, says: str, label: str = "", known: Iterable[str] = ()) -> None:
        labels = (label,) if label else ()
        _counters[name] = prometheus_client.Counter(f"oneai_{name}", says, labels, registry=registry)
        for each in known:  # what has not happened is a zero, not a hole
            _counters[name].labels(each)

    histogram = prometheus_client.Histogram(
        "oneai_response_seconds",
        "Time to the first byte of an answer, by door and class of status.",
        ("door", "status"),
        buckets=BUCKETS,
        registry=registry,
    )
    counter("refusals", "Expected refusals that were answered, by code.", "code", _REFUSALS)
    counter("errors", "Exceptions that nobody expected, by where.", "where", ("view",))
    counter("webhooks_received", "Events that came in, by outcome.", "outcome", ("kept", "refused"))
    counter("webhooks_handled", "Events that were handled, by outcome.", "outcome", ("done", "ignored", "dead"))
    counter("tokens", "Tokens that were charged, by kind.", "kind", ("prompt", "completion"))
    counter("upstream_nano_usd", "What calls cost at the upstreams, in nano-USD.")
    counter("calls", "Calls that were charged, by where the figure comes from.", "source")
    counter("duties", "Rounds of the worker's duties, by outcome.", "outcome", ("done", "failed"))

    def child(door: str, status: str) -> Any:
        return histogram.labels(door, status)

    _seconds, _folder = child, folder


def on() -> bool:
    """Whether anything is counted."""
    return _folder is not None


def answered(path: str, status: int, seconds: float) -> None:
    """An answer began after ``seconds``. On every request, so it costs microseconds; nothing when off."""
    if _seconds is None:
        return
    key = (door_of(path), f"{status // 100}xx")
    child = _children.get(key)
    if child is None:
        child = _children[key] = _seconds(*key)
    child.observe(seconds)


def count(name: str, *labels: str, by: float = 1) -> None:
    """Add to a counter; nothing when off."""
    counter = _counters.get(name)
    if counter is None:
        return
    (counter.labels(*labels) if labels else counter).inc(by)


def text(more: Iterable[Any] = ()) -> tuple[bytes, str]:
    """Everything in the format of Prometheus, and its media type; ``more`` are metric families of the whole site."""
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry, files = CollectorRegistry(), cast(Any, multiprocess.MultiProcessCollector)
    files(registry, path=str(_folder))
    families = list(more)

    class _Site:
        def collect(self) -> Iterable[Any]:
            return families

    registry.register(_Site())
    return generate_latest(registry), CONTENT_TYPE_LATEST


def samples() -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of everything that is counted, all processes together."""
    from prometheus_client import CollectorRegistry, multiprocess

    registry, files = CollectorRegistry(), cast(Any, multiprocess.MultiProcessCollector)
    files(registry, path=str(_folder))
    return [(one.name, one.labels, one.value) for family in registry.collect() for one in family.samples]


def _forget_the_dead(folder: Path) -> None:
    """Remove the files of processes of this host that are gone, and those that another has not touched for a day."""
    mine, old = f"_{socket.gethostname()}", time.time() - 86_400
    for file in folder.glob("*.db"):
        owner, _, number = file.stem.rpartition("-")
        if owner.endswith(mine):
            gone = number.isdigit() and not _alive(int(number))
        else:
            gone = file.stat().st_mtime < old
        if gone:
            file.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
