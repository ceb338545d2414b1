"""Several processes at one team's quota: exact on SQLite and on PostgreSQL, whoever comes and goes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.quotas.test_processes import HOLD, manage, people, rush
from tests.servers.databases import Databases

pytestmark = pytest.mark.slow


def team(url: str, members: list[str], tokens: int, cap: int) -> str:
    task = {"accounts": members, "tokens": tokens, "cap": cap, "threads": 1}
    return rush(url, "team", [task])[0][0]


def test_fifty_members_at_once_on_a_team_of_ten_holds_are_admitted_ten_times(database: Databases) -> None:
    url = database.migrated()
    members = people(url, [f"member-{number}" for number in range(50)], 10 * HOLD)
    team(url, members, 10 * HOLD, HOLD)
    tasks = [
        {"accounts": members[first : first + 10], "times": 10, "threads": 1, "bound": HOLD - 16, "cap": 16}
        for first in range(0, 50, 10)
    ]
    # Five processes, in which every member asks once; their own quotas would cover it.
    outcomes = Counter(code for each in rush(url, "admit", tasks) for code in each)
    assert outcomes == {"admitted": 10, "quota_exceeded": 40}
    manage(url, "audit_ledger")


def test_batches_over_members_and_strangers_meet_each_other_without_a_deadlock(database: Databases) -> None:
    url = database.migrated()
    everybody = people(url, [f"one-{number}" for number in range(8)], 1000 * HOLD)
    name = team(url, everybody[:6], 40 * HOLD, 5 * HOLD)
    asking = {"bound": HOLD - 16, "cap": 16, "cost": 984 * 150, "times": 8, "threads": 2}
    forth, back = everybody, everybody[::-1]
    tasks = [asking | {"accounts": forth}, asking | {"accounts": back}, asking | {"accounts": everybody[2:7]}]
    results = rush(url, "batches", tasks)
    assert {code for each in results for code in each} <= {"admitted", "quota_exceeded"}
    manage(url, "audit_ledger")
    manage(url, "audit_ledger", f"team-{name.replace('-', '')}@oneai.invalid")


def test_members_who_leave_and_come_back_while_all_ask_leave_the_ledger_whole(database: Databases) -> None:
    url = database.migrated()
    members = people(url, [f"mover-{number}" for number in range(4)], 1000 * HOLD)
    name = team(url, members, 60 * HOLD, 20 * HOLD)
    movers = sorted(members)[1:]
    asking = {"bound": HOLD - 16, "cap": 16, "cost": 984 * 150, "times": 10, "threads": 2, "accounts": members}
    move = {"team": name, "accounts": movers, "times": 10, "threads": 1}
    with ThreadPoolExecutor(1) as beside:
        moved = beside.submit(rush, url, "leave_and_join", [move])
        results = rush(url, "batches", [asking, asking | {"accounts": members[::-1]}])
        assert moved.result() == [["left and joined"]]
    assert {code for each in results for code in each} <= {"admitted", "quota_exceeded"}
    manage(url, "audit_ledger")


def test_invitations_at_once_take_the_seats_that_there_are(database: Databases) -> None:
    url = database.migrated()
    (owner,) = people(url, ["owner"], HOLD)
    name = team(url, [owner], HOLD, HOLD)
    manage(url, "set_seats", name, "5", "--reason", "bought")
    tasks = [
        {"team": name, "names": [f"asked-{number}-{each}" for each in range(5)], "threads": 1} for number in range(4)
    ]
    outcomes = Counter(code for each in rush(url, "seat", tasks) for code in each)
    assert outcomes == {"invited": 4, "seats_full": 16}
