"""The same deeds leave the same rows on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.quotas.test_processes import environment
from tests.servers import forked
from tests.servers.databases import Databases

SEED = int(os.environ.get("ONEAI_SEED", "0")) or 20261128


def trace(url: str, lives: int, deeds: int) -> list[str]:
    command = ["tests.quotas.trace", str(SEED), str(lives), str(deeds)]
    done = forked.run(command, environment(url), timeout=3000)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


def compare(database: Databases, folder: Path, lives: int, deeds: int) -> None:
    print(f"ONEAI_SEED={SEED}")
    sqlite = Databases("sqlite", folder, None, "trace").migrated()
    ours, theirs = trace(database.migrated(), lives, deeds), trace(sqlite, lives, deeds)
    assert len(ours) == lives
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert one == other, f"life {number} differs"


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_trace_leaves_the_same_rows_on_both_databases(database: Databases, tmp_path: Path) -> None:
    compare(database, tmp_path, 4, 100)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.postgresql
def test_ten_thousand_deeds_leave_the_same_rows_on_both_databases(database: Databases, tmp_path: Path) -> None:
    compare(database, tmp_path, 100, 100)
