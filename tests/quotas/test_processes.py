"""Several processes and threads at one database: exact on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from oneai.kit.clock import now
from tests.servers.databases import Databases
from tests.servers.process import ROOT
from tests.servers.site import machine_environment

HOLD = 1000
pytestmark = pytest.mark.slow


def environment(url: str, **more: str) -> dict[str, str]:
    return (
        machine_environment() | {"DATABASE_URL": url, "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "oneai.settings"} | more
    )


def manage(url: str, *arguments: str, **more: str) -> str:
    """A command's stdout; it must succeed."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(url, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def people(url: str, names: list[str], tokens: int) -> list[str]:
    """New people without rates and with ``tokens`` to use; their ids."""
    return rush(url, "people", [{"names": names, "tokens": tokens, "threads": 1}])[0]


def rush(url: str, name: str, tasks: list[dict[str, Any]], **more: str) -> list[list[str]]:
    """Run the tasks in processes that start together; what each gave."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.quotas.rush", name, json.dumps(task)],
            cwd=ROOT,
            env=environment(url, **more),
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
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = []
    for process in processes:
        out, errors = process.communicate(timeout=150)
        answer = json.loads(out or "{}")
        assert process.returncode == 0, errors
        assert not answer["failures"], answer["failures"]
        results.append(answer["results"])
    return results


def test_fifty_sends_on_a_limit_of_ten_holds_admit_exactly_ten(database: Databases) -> None:
    url = database.migrated()
    (account,) = people(url, ["ten"], 10 * HOLD)
    task = {"accounts": [account], "times": 5, "threads": 5, "bound": HOLD - 16, "cap": 16}
    outcomes = Counter(code for each in rush(url, "admit", [task, task]) for code in each)
    assert outcomes == {"admitted": 10, "quota_exceeded": 40}
    manage(url, "audit_ledger", "ten@example.com")


def test_the_platform_ceiling_is_filled_and_never_overshot(database: Databases) -> None:
    url = database.migrated()
    accounts = people(url, ["first", "second", "third"], 10**9)
    # 984 * 150 + 16 * 600 nano a call; room for 25 calls and a part of one more.
    cost = 984 * 150 + 16 * 600
    ceiling = {"PLATFORM_DAILY_USD": f"{(25 * cost + cost // 2) / 10**9:.9f}"}
    task = {"accounts": accounts, "times": 10, "threads": 3, "bound": 984, "cap": 16}
    outcomes = Counter(code for each in rush(url, "admit", [task, task], **ceiling) for code in each)
    assert outcomes == {"admitted": 25, "platform_limit_reached": 35}
    manage(url, "audit_ledger", **ceiling)


def test_batches_that_span_shards_stay_exact_and_end_each_others_holds(database: Databases) -> None:
    url = database.migrated()
    eight = people(url, [f"person{index}" for index in range(8)], 10**9)
    groups = [eight[:4], eight[4:]]
    cost = 984 * 150 + 16 * 600
    # Every call is settled at its full cost, so 40 calls fill the day, whoever makes them.
    ceiling = {"PLATFORM_DAILY_USD": f"{40 * cost / 10**9:.9f}"}
    tasks = [
        {"accounts": accounts, "times": 8, "threads": 1, "bound": 984, "cap": 16, "cost": cost} for accounts in groups
    ]
    outcomes = Counter(code for each in rush(url, "batches", tasks, **ceiling) for code in each)
    assert outcomes == {"admitted": 40, "platform_limit_reached": 24}
    manage(url, "audit_ledger", **ceiling)


def test_sweepers_share_the_due_holds_and_none_gets_two_claims(database: Databases) -> None:
    url = database.migrated()
    (account,) = people(url, ["left"], 10**9)
    rush(url, "admit", [{"accounts": [account], "times": 40, "threads": 1, "bound": 1, "cap": 16}])
    later = (now() + timedelta(seconds=20)).isoformat()
    task = {"at": later, "threads": 3}
    claimed = [hold_id for each in rush(url, "claim", [task, task]) for hold_id in each]
    assert len(claimed) == len(set(claimed)) == 40
