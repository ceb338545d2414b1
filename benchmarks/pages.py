"""S8: what a signed-in person's pages take when the conversation is long and the list full."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.machine import cpu_seconds
from tests.servers.process import ROOT

WARM = 20
REQUESTS = 200


class PagesFailed(RuntimeError):
    """The pages could not be measured; the message says what answered what."""


@dataclass(frozen=True)
class Page:
    """One path, warm, asked again and again over one connection. Times in milliseconds.

    `queries_small` are those of the same path for an account with one short conversation.
    """

    name: str
    p50: float
    p95: float
    cpu_ms: float
    size: int
    queries: int
    queries_small: int


def seed(env: Mapping[str, str], large: str, small: str) -> dict[str, Any]:
    """Rows for the two accounts. Raises PagesFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pages_seed", large, small],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        raise PagesFailed((done.stderr or done.stdout).strip()[-800:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(port: int, seeded: Mapping[str, Any], roots: tuple[int, ...]) -> list[Page]:
    """Asks every path one request after the other. Raises PagesFailed when one does not answer 200."""
    headers = {"Cookie": str(seeded["cookie"]), "Accept": "*/*", "Host": f"localhost:{port}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pages = []
    try:
        for name, path in seeded["paths"].items():
            times: list[int] = []
            size = 0
            before = 0.0
            for number in range(WARM + REQUESTS):
                if number == WARM:
                    before = cpu_seconds(roots)
                began = time.monotonic_ns()
                connection.request("GET", str(path), headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise PagesFailed(f"{path} answered {answer.status}: {body[:300]!r}")
                if number >= WARM:
                    times.append(time.monotonic_ns() - began)
                size = len(body)
            pages.append(
                Page(
                    name,
                    percentile(times, 0.5),
                    percentile(times, 0.95),
                    (cpu_seconds(roots) - before) * 1e3 / REQUESTS,
                    size,
                    int(seeded["queries"][name]),
                    int(seeded["queries_small"][name]),
                )
            )
    except (OSError, http.client.HTTPException) as problem:
        raise PagesFailed(repr(problem)) from problem
    finally:
        connection.close()
    return pages


def page_figures(pages: list[Page]) -> list[Figure]:
    """The slowest page's time, the most queries of any, and whether they grow with the rows."""
    if not pages:
        return []
    return [
        Figure("s8-time", max(page.p95 for page in pages)),
        Figure("s8-queries", max(page.queries for page in pages)),
        Figure("s8-growth", max(page.queries - page.queries_small for page in pages)),
    ]
