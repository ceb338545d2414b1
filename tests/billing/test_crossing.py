"""Processes that write at one person's or one team's money at the same moment: nothing is had twice or lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest

from tests.servers.databases import Databases
from tests.servers.process import ROOT
from tests.servers.sandbox import Sandbox
from tests.servers.site import machine_environment

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


class Crossing:
    """One database, and processes at it."""

    def __init__(self, url: str, more: dict[str, str]) -> None:
        self.url = url
        self.environment = machine_environment() | {"DATABASE_URL": url, "DEBUG": "1"} | more

    def start(self, *role: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.billing.crossing", *role],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def holding(self, *role: str) -> subprocess.Popen[str]:
        """A process that holds what it needs first."""
        process = self.start(*role)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n", process.communicate()[1]
        return process

    @staticmethod
    def end(process: subprocess.Popen[str]) -> Any:
        """Let it go on; what it came to."""
        out, errors = process.communicate("go\n", timeout=900)
        assert process.returncode == 0, errors
        return json.loads(out.splitlines()[-1])

    def run(self, *role: str) -> Any:
        return self.end(self.start(*role))

    def wait(self, blocked: int, *others: subprocess.Popen[str]) -> None:
        """Until so many of the database's sessions wait for a lock, or one of ``others`` is through."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with psycopg.connect(self.url, autocommit=True) as connection:
            for _ in range(6000):
                found = connection.execute(sql).fetchone()
                if (found and found[0] >= blocked) or any(each.poll() is not None for each in others):
                    return
                time.sleep(0.05)
        raise AssertionError(f"{blocked} never waited")


@pytest.mark.parametrize("ending", ["end_now", "pause"])
def test_what_a_call_uses_while_the_plan_is_stopped_is_not_left_of_it(database: Databases, ending: str) -> None:
    here = Crossing(database.migrated(), {})
    user, subscription, tokens = here.run("make_paid")
    call = here.holding("use", user, str(tokens))
    stopping = here.start(ending, subscription)
    here.wait(1)
    here.end(call)
    assert here.end(stopping) == 0


def test_a_member_leaves_and_another_asks_while_the_teams_payment_arrives(
    database: Databases, razorpay_sandbox: Sandbox
) -> None:
    razorpay_sandbox.control("razorpay/reset", {})
    here = Crossing(database.migrated(), razorpay_sandbox.razorpay_settings())
    team, member, subscription = here.run("make_team")
    razorpay_sandbox.control(f"razorpay/subscription/{subscription}/authenticate", {})
    leaving = here.holding("take_out", team, member)
    paying = here.start("hear", subscription)
    here.wait(1)
    call = here.start("call", member)
    here.wait(2, call)
    assert [here.end(each) for each in (leaving, paying, call)] == [1, 1, "through"]
