"""The drill from outside: the scratch database, the processes that die and the one that heals."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from django.db import connection

from adminpanel.drill.upstream import DrillUpstream
from oneai import env

POINTS: Final = ("before_hold", "after_hold", "after_call", "mid_stream", "before_settle", "after_settle")
HEALED_WITHIN: Final = 30.0
_PATIENCE: Final = 60.0
_SCRATCH: Final = re.compile(r"oneai_drill_[0-9a-f]{12}")


class DrillFailed(Exception):
    """The drill itself could not be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the deaths at one point left behind.

    ``difference`` counts what breaks an invariant of the ledger; ``charged_otherwise`` is the sum of what
    the upstream billed and we charged otherwise, in tokens, of generations whose id we had;
    ``unbilled`` what it billed for generations that nobody was charged for. ``heal_seconds`` runs from the
    death to the last hold's end.
    """

    point: str
    deaths: int
    calls: int
    difference: int
    charged_otherwise: int
    unbilled: int
    left_open: int
    heal_seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the ledger adds up, charges what was billed, and was healed in time."""
        return not (self.difference or self.charged_otherwise or self.left_open) and self.heal_seconds <= HEALED_WITHIN

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"good": self.is_good}


def _scratch_environment(url: str, schema: str, upstream: str) -> dict[str, str]:
    """A site of its own: nothing of this one's but, on PostgreSQL, the server."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(Path.home()),
        "ONEAI_ENV_FILE": "none",
        "DJANGO_SETTINGS_MODULE": "oneai.settings",
        "PYTHONPATH": str(env.BASE_DIR),
        "DEBUG": "1",
        "SECRET_KEY": secrets.token_hex(32),
        "DATABASE_URL": url,
        "DATABASE_SCHEMA": schema,
        "OPENROUTER_API_KEY": "sk-or-drill",
        "OPENROUTER_BASE_URL": upstream,
        "PLATFORM_DAILY_USD": "1000",
    }


@contextmanager
def _scratch(upstream: str) -> Iterator[dict[str, str]]:
    """The environment of a scratch database that is gone afterwards: a file, or a schema on the site's server."""
    schema = f"oneai_drill_{secrets.token_hex(6)}"
    with tempfile.TemporaryDirectory(prefix="oneai-drill-") as folder:
        if connection.vendor == "sqlite":
            yield _scratch_environment(f"sqlite:///{folder}/drill.sqlite3", schema, upstream)
            return
        url = env.text("DATABASE_DIRECT_URL") or env.text("DATABASE_URL")
        try:
            yield _scratch_environment(url, schema, upstream)
        finally:
            assert _SCRATCH.fullmatch(schema)
            with connection.cursor() as cursor:
                cursor.execute(f"DROP SCHEMA IF EXISTS {connection.ops.quote_name(schema)} CASCADE")


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(  # noqa: S603 (a program of ours)
        command, cwd=env.BASE_DIR, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def _must(environment: dict[str, str], *arguments: str) -> None:
    done = _run(environment, *arguments)
    if done.returncode:
        raise DrillFailed(f"{' '.join(arguments)}: {done.stderr.strip()[-2000:]}")


class _Healer:
    """The process that lives on."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "adminpanel.drill.act", "heal"],
            cwd=env.BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def heal(self) -> dict[str, Any]:
        """Wait until nothing is open; what the books say then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{_PATIENCE}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"open"'):
                found: dict[str, Any] = json.loads(line)
                return found
        raise DrillFailed("the process that heals is gone")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def drill(rounds: int, points: Sequence[str] = POINTS) -> Iterator[Result]:
    """Kill ``rounds`` workers at each of ``points``, one after the other; a result for each point as it is there."""
    upstream = DrillUpstream()
    try:
        with _scratch(upstream.url) as environment:
            _must(environment, "manage.py", "migrate", "-v", "0")
            _must(environment, "-m", "adminpanel.drill.act", "prepare")
            healer = _Healer(environment)
            try:
                for point in points:
                    yield _die_at(point, rounds, environment, upstream, healer)
            finally:
                healer.close()
    finally:
        upstream.close()


def _die_at(point: str, rounds: int, environment: dict[str, str], upstream: DrillUpstream, healer: _Healer) -> Result:
    before = set(upstream.bills)
    slowest, left = 0.0, 0
    found: dict[str, Any] = {"differences": [], "records": []}
    for _ in range(rounds):
        done = _run(environment, "-m", "adminpanel.drill.act", "work", point)
        died = time.monotonic()
        if done.returncode != -9:
            raise DrillFailed(f"the worker did not reach {point}: {done.stderr.strip()[-2000:]}")
        found = healer.heal()
        slowest = max(slowest, time.monotonic() - died)
        left = max(left, int(found["open"]))
    charged = {name: (tokens, nano) for name, tokens, nano, _ in found["records"] if name}
    otherwise = unbilled = 0
    for name in set(upstream.bills) - before:
        bill = upstream.bills[name]
        if name in charged:
            otherwise += abs(bill.tokens - charged[name][0]) + int(bill.nano_usd != charged[name][1])
        else:
            unbilled += bill.tokens
    return Result(
        point, rounds, len(set(upstream.bills) - before), len(found["differences"]), otherwise, unbilled, left,
        round(slowest, 1),
    )  # fmt: skip
