"""What exactness rests on, taken away one at a time in a copy of the project: each turns a test red."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.process import ROOT
from tests.servers.site import machine_environment

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "node_modules", ".*_cache", "__pycache__", "*.sqlite3*")
BOOK = "tests/quotas/test_book.py"

MUTANTS = {
    "the room of a limit": (
        "quotas/admission.py",
        "if affordable is not None and affordable < most:",
        "if False:",
        [BOOK, "-k", "fits_to_the_token"],
    ),
    "the count of changed rows": (
        "oneai/kit/rows.py",
        "if write.exactly is not None and count != write.exactly:",
        "if False:",
        [BOOK, "-k", "behind_the_books_back"],
    ),
    "the unique key of a hold": (
        "quotas/migrations/0001_initial.py",
        '("reference", models.CharField(max_length=80, unique=True))',
        '("reference", models.CharField(max_length=80))',
        [BOOK, "-k", "one_hold_in_whichever"],
    ),
    "the state that a hold must have to be closed": (
        "quotas/journal.py",
        "where=\"t.state IN ('held', 'orphaned')\",",
        "",
        [BOOK, "-k", "behind_the_books_back"],
    ),
    "the commit before the call": (
        "chat/turns.py",
        "        return apply_in_transaction(jobs)\n",
        """        results = apply_in_transaction(jobs)
        transaction.set_rollback(any(isinstance(job, turn_jobs.Start) for job in jobs))
        return results
""",
        ["tests/chat/test_stream.py", "-k", "the_deltas_join"],
    ),
    "the test whether a hold is open": (
        "quotas/book.py",
        "if hold is None or not hold.is_open:",
        "if hold is None:",
        [BOOK, "-k", "ends_once"],
    ),
}
ON_POSTGRESQL = {
    "the lock of the account": (
        "oneai/kit/rows.py",
        'sql += " FOR UPDATE"',
        "pass",
        ["tests/quotas/test_processes.py", "-k", "fifty_sends"],
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("mutants") / "project"
    shutil.copytree(ROOT, target, ignore=LEFT_OUT, symlinks=True)
    return target


def passes(copy: Path, arguments: list[str], kind: str) -> bool:
    """Whether the tests pass there; AssertionError when none was run."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--database", kind, *arguments]
    # A run of its own: it shares neither this one's server nor its databases' names.
    # Named in the environment, the settings would be read before the run has chosen its database.
    env = {name: value for name, value in machine_environment().items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode in {0, 1}, done.stdout[-3000:] + done.stderr[-2000:]
    return done.returncode == 0


def turns_red(copy: Path, mutant: tuple[str, str, str, list[str]], kind: str) -> None:
    name, old, new, tests = mutant
    file = copy / name
    source = file.read_text()
    assert source.count(old) == 1, f"{name} is not what it was"
    assert passes(copy, tests, kind)
    file.write_text(source.replace(old, new))
    try:
        assert not passes(copy, tests, kind)
    finally:
        file.write_text(source)


@pytest.mark.parametrize("taken", MUTANTS)
def test_without(copy: Path, taken: str, request: pytest.FixtureRequest) -> None:
    turns_red(copy, MUTANTS[taken], request.config.getoption("--database"))


@pytest.mark.postgresql
@pytest.mark.parametrize("taken", ON_POSTGRESQL)
def test_on_postgresql_without(copy: Path, taken: str) -> None:
    turns_red(copy, ON_POSTGRESQL[taken], "postgresql")
