"""Eight processes that write invoices at one database: no number twice, none left out, none for nothing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.servers.databases import Databases
from tests.servers.process import ROOT
from tests.servers.site import machine_environment

pytestmark = pytest.mark.slow


def environment(url: str) -> dict[str, str]:
    return machine_environment() | {"DATABASE_URL": url, "DEBUG": "1"}


def run(url: str, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment(url), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def together(url: str, tasks: list[dict[str, Any]]) -> list[list[str]]:
    """Run the tasks in processes that start together; the numbers that each was given."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.billing.rush", json.dumps(task)],
            cwd=ROOT,
            env=environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for task in tasks
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        answers.append(json.loads(out))
    return answers


@pytest.mark.parametrize("payments", [40])
def test_eight_processes_number_invoices_without_a_gap_or_a_second_one(database: Databases, payments: int) -> None:
    url = database.migrated()
    made, refunds = json.loads(run(url, "-m", "tests.billing.rush", json.dumps({"make": payments})))
    # Each payment is asked for by four processes, each refund by two.
    tasks = [
        {
            "payments": [one for at, one in enumerate(made) if (at + number) % 2],
            "refunds": [one for at, one in enumerate(refunds) if (at + number) % 4 == 1],
        }
        for number in range(8)
    ]
    given = {number for numbers in together(url, tasks) for number in numbers}
    wanted = {f"{prefix}/{year}" for number in given for prefix, year, _ in [number.split("/")]}
    assert len(wanted) == 2
    assert given == {f"{series}/{count:06d}" for series in wanted for count in range(1, payments + 1)}
    rows = list(
        csv.DictReader(
            io.StringIO(run(url, "manage.py", "export_invoices", "--from", "2000-01-01", "--to", "2100-01-01"))
        )
    )
    assert sorted(row["number"] for row in rows) == sorted(given)
    assert len({(row["razorpay_payment"], row["kind"]) for row in rows}) == 2 * payments
    days = [(row["kind"], row["date"], row["number"]) for row in rows]
    assert sorted(days, key=lambda day: (day[0], day[2])) == sorted(days)
