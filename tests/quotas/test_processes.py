"""Several processes and threads at one database: exact on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from oneai.kit.clock import now
from tests.servers import forked
from tests.servers.databases import Databases
from tests.servers.forked import Piped
from tests.servers.site import machine_environment

HOLD = 1000
pytestmark = pytest.mark.slow


def environment(url: str, **more: str) -> dict[str, str]:
    return (
        machine_environment() | {"DATABASE_URL": url, "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "oneai.settings"} | more
    )


def manage(url: str, *arguments: str, **more: str) -> str:
    """A command's stdout; it must succeed."""
    done = forked.run(["manage.py", *arguments], environment(url, **more), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def people(url: str, names: list[str], tokens: int, **more: Any) -> list[str]:
    """New people without rates and with ``tokens`` to use, maybe with limits on models and a top-up; their ids."""
    return rush(url, "people", [{"names": names, "tokens": tokens, "threads": 1} | more])[0]


def rush(url: str, name: str, tasks: list[dict[str, Any]], **more: str) -> list[list[str]]:
    """Run the tasks in processes that start together; what each gave."""
    processes = [Piped(["tests.quotas.rush", name, json.dumps(task)], environment(url, **more)) for task in tasks]
    for process in processes:
        assert process.stdout.readline() == "ready\n", "what it says is on stderr"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = []
    for process in processes:
        status, out = process.finish(600)
        answer = json.loads(out or "{}")
        assert status == 0, "what it says is on stderr"
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


def crowd(url: str, processes: int, times: int) -> None:
    """So many processes against the plan, two models, a key and a top-up at once, each with less than is asked for."""
    models = {"maker/first": 35 * HOLD + 500, "maker/second": 45 * HOLD}
    (account,) = people(url, ["crowded"], 60 * HOLD, models=models, top_up=10 * HOLD + 300)
    task = {"accounts": [account], "key": str(uuid4()), "key_tokens": 50 * HOLD, "times": times, "threads": 1,
            "bound": HOLD - 16, "cap": 16, "cost": 984 * 150 + 16 * 600}  # fmt: skip
    outcomes = Counter(
        code for each in rush(url, "crowd", [task | {"number": index} for index in range(processes)]) for code in each
    )
    refused = {code: count for code, count in outcomes.items() if code != "admitted"}
    assert outcomes.total() == processes * times
    assert all(code.startswith("quota_exceeded ") for code in refused), refused
    # The plan and the top-up together are what is reached: 70 calls, and not one more or less.
    assert outcomes["admitted"] == 70
    assert "quota_exceeded *" in refused
    manage(url, "audit_ledger")


@pytest.mark.core
def test_six_processes_at_plan_models_key_and_top_up_admit_to_the_unit(database: Databases) -> None:
    crowd(database.migrated(), 6, 25)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sixty_four_processes_at_plan_models_key_and_top_up_admit_to_the_unit(database: Databases) -> None:
    crowd(database.migrated(), 64, 12)


@pytest.mark.core
def test_a_payment_tops_up_once_and_goes_back_once_whoever_tries(database: Databases) -> None:
    url = database.migrated()
    (account,) = people(url, ["payer"], HOLD)
    task = {"accounts": [account], "payments": [f"p{number}" for number in range(10)], "threads": 3}
    outcomes = Counter(code for each in rush(url, "pay", [task] * 3) for code in each)
    assert (outcomes["given"], outcomes["back"], outcomes.total()) == (10, 5, 9 * 15)
    # Five payments are left beside the plan.
    calls = {"accounts": [account], "times": 8, "threads": 1, "bound": HOLD - 16, "cap": 16}
    assert Counter(rush(url, "admit", [calls])[0]) == {"admitted": 6, "quota_exceeded": 2}
    manage(url, "audit_ledger")


EDGES = [
    # (signed up, a period's edge), as local time somewhere: ends of months, leap days, summer time, midnight in India.
    ("2026-01-31T10:00:00+00:00", "2026-02-28T10:00:00+00:00"),
    ("2026-01-31T10:00:00+00:00", "2026-03-31T10:00:00+00:00"),
    ("2024-01-31T23:59:59+00:00", "2024-02-29T23:59:59+00:00"),
    ("2024-02-29T00:00:00+00:00", "2024-03-29T00:00:00+00:00"),
    ("2024-02-29T00:00:00+00:00", "2025-02-28T00:00:00+00:00"),
    ("2026-02-28T12:00:00+00:00", "2026-03-28T12:00:00+00:00"),
    ("2026-02-28T02:30:00+01:00", "2026-03-28T02:30:00+01:00"),
    ("2026-09-25T03:30:00+02:00", "2026-10-25T02:30:00+01:00"),
    ("2026-02-08T02:30:00-05:00", "2026-03-08T03:30:00-04:00"),
    ("2026-01-01T00:00:00+05:30", "2026-02-01T00:00:00+05:30"),
    ("2025-12-31T18:30:00+00:00", "2026-01-31T18:30:00+00:00"),
    ("2026-11-30T00:00:00+00:00", "2027-02-28T00:00:00+00:00"),
]


def test_four_workers_at_twelve_edges_of_periods_begin_each_period_once(database: Databases) -> None:
    url = database.migrated()
    names = [f"edge{index}" for index in range(len(EDGES))]
    accounts = people(url, names, 100 * HOLD, signed_up=[begun for begun, _ in EDGES])
    task = {"accounts": accounts, "edges": [edge for _, edge in EDGES], "threads": 1}
    assert [len(each) for each in rush(url, "edges", [task] * 4)] == [24] * 4
    periods = json.loads(rush(url, "periods", [{"accounts": accounts, "threads": 1}])[0][0])
    for (_, edge), found in zip(EDGES, periods, strict=True):
        moment = datetime.fromisoformat(edge).astimezone(UTC).isoformat()
        # Four calls of ten tokens on each side, and one grant for each side and unit.
        assert [(each["used"], each["held"], each["grants"]) for each in found] == [(40, 0, 1), (40, 0, 1)], edge
        assert (found[0]["end"], found[1]["start"]) == (moment, moment)
    manage(url, "audit_ledger")


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
