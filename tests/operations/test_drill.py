"""`manage.py accounting_drill`: workers die at every named point, and the ledger adds up on the database of the run."""

from __future__ import annotations

import json

import pytest

from adminpanel.drill.run import POINTS, Result
from tests.quotas.test_processes import manage
from tests.servers.databases import Databases


@pytest.mark.faults
def test_a_worker_killed_in_mid_stream_leaves_no_difference_on_a_scratch_database(database: Databases) -> None:
    url = database.migrated()
    (found,) = json.loads(manage(url, "accounting_drill", "--point", "mid_stream", "--json"))["points"]
    assert found["good"], found
    assert (found["point"], found["deaths"], found["unbilled"]) == ("mid_stream", 1, 0)
    assert found["calls"] >= 1
    assert json.loads(manage(url, "audit_ledger", "--json")) == {"accounts": 0, "differences": []}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_workers_killed_at_every_point_leave_no_difference_and_are_healed_in_time(database: Databases) -> None:
    url = database.migrated()
    found = json.loads(manage(url, "accounting_drill", "--json"))["points"]
    assert [each["point"] for each in found] == list(POINTS)
    for each in found:
        assert (each["difference"], each["charged_otherwise"], each["left_open"]) == (0, 0, 0), each
        assert each["heal_seconds"] <= 30, each
    calls = {each["point"]: each["calls"] for each in found}
    assert calls["before_hold"] == calls["after_hold"] == 0
    assert min(calls[point] for point in POINTS[2:]) >= 1
    # Only who died before the generation's id was written can't be charged for it.
    assert all(each["unbilled"] == 0 for each in found if each["point"] != "after_call")
    assert json.loads(manage(url, "audit_ledger", "--json")) == {"accounts": 0, "differences": []}


@pytest.mark.parametrize(
    "wrong", [{"difference": 1}, {"charged_otherwise": 1}, {"left_open": 1}, {"heal_seconds": 30.1}]
)
def test_what_does_not_add_up_is_no_good_result(wrong: dict[str, int]) -> None:
    good = {"point": "mid_stream", "deaths": 1, "calls": 4, "difference": 0, "charged_otherwise": 0, "unbilled": 9,
            "left_open": 0, "heal_seconds": 12.0}  # fmt: skip
    assert Result(**good).is_good  # type: ignore[arg-type]
    assert not Result(**(good | wrong)).is_good  # type: ignore[arg-type]
