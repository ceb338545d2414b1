"""Answers of the database beside a loop that stands still, as that of a process that has no processor for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from oneai.kit import database
from oneai.kit.errors import Refusal

pytestmark = pytest.mark.postgresql  # SQLite has no server that could keep silent
PATIENCE = 0.2  # seconds


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Any:
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


async def beside_a_pause(read: Callable[[], str], seconds: float) -> str:
    asking = asyncio.create_task(database.run(read, seconds=PATIENCE))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(time.sleep, seconds)
    return await asking


def test_an_answer_that_came_while_the_process_stood_still_is_taken(runner: asyncio.Runner) -> None:
    assert runner.run(beside_a_pause(lambda: "here", 2 * PATIENCE)) == "here"


def test_an_answer_that_is_read_after_the_process_stood_still_is_waited_for(runner: asyncio.Runner) -> None:
    def read() -> str:
        time.sleep(2.3 * PATIENCE)
        return "here"

    assert runner.run(beside_a_pause(read, 2 * PATIENCE)) == "here"


def test_a_refusal_that_came_while_the_process_stood_still_is_that_refusal(runner: asyncio.Runner) -> None:
    def read() -> str:
        raise Refusal("not_found")

    with pytest.raises(Refusal) as refused:
        runner.run(beside_a_pause(read, 2 * PATIENCE))
    assert refused.value.code == "not_found"


def test_what_has_not_answered_in_time_is_refused(runner: asyncio.Runner) -> None:
    late = threading.Event()
    try:
        with pytest.raises(Refusal) as refused:
            runner.run(beside_a_pause(lambda: str(late.wait(10)), 0))
        assert refused.value.code == "unavailable"
    finally:
        late.set()
