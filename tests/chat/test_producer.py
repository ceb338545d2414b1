"""A producer always writes its end, whenever it is told to stop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chat.attempt import COMMENTS_SECONDS, HARD_SECONDS, IDLE_SECONDS
from chat.openrouter.client import Call, Site
from chat.replay import Answer, TurnStream
from chat.routing import Router
from chat.runner import Producer
from chat.turn_jobs import Finish, Finished
from chat.upstreams import Upstream
from oneai.kit.clock import uuid7
from oneai.kit.http import Streams
from quotas.ledger import Price


class Notebook:
    """Takes jobs as the batcher does, and says that each was written."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def submit(self, job: Any) -> asyncio.Future[Any]:
        self.jobs.append(job)
        future = asyncio.get_running_loop().create_future()
        future.set_result(Finished(True, []))
        return future


def producer(book: Notebook) -> Producer:
    started = SimpleNamespace(turn_id=uuid7(), user_id=uuid7(), conversation_id=None)
    price = Price(id=None, prompt_pico=1, completion_pico=1, request_nano=0, cached_pico=None)
    generation = SimpleNamespace(
        generation_id=uuid7(),
        hold_id=uuid7(),
        message_id=uuid7(),
        prompt_estimate=10,
        admitted=SimpleNamespace(max_tokens=10),
        price=price,
        model=SimpleNamespace(slug="m", upstream="openrouter"),
    )
    answer = Answer(generation.generation_id, generation.message_id, "m")
    turn = TurnStream(started.turn_id, started.user_id, [answer], [])
    upstream = Upstream("openrouter", "http://127.0.0.1:9", ("k",), "openrouter")
    start = SimpleNamespace(stored=False, keeps_answer=False, instruction="", kind="send")
    return Producer(
        turn=turn,
        answer=answer,
        start=cast(Any, start),
        started=cast(Any, started),
        generation=cast(Any, generation),
        router=Router({"openrouter": upstream}),
        site=Site("http://localhost", "OneAI"),
        call=Call("m", [], 10, "u", "a-call"),
        streams=Streams(),
        batcher=cast(Any, book),
        drain=lambda drain: False,
    )


@pytest.mark.parametrize(("why", "state"), [("stop", "stopped"), ("timeout", "failed"), ("shutdown", "failed")])
def test_a_producer_told_to_stop_before_its_first_step_still_writes_its_end(why: str, state: str) -> None:
    book = Notebook()

    async def life() -> Producer:
        made = producer(book)
        made.task = asyncio.create_task(made.run())
        made.stop(why)  # the task has not had a step yet
        await made.task
        await made.streams.close()
        return made

    made = asyncio.run(life())
    (job,) = book.jobs
    assert isinstance(job, Finish)
    assert job.state == state
    assert made.turn.completed is not None


def test_silence_comments_and_length_are_each_too_long_at_their_own_time() -> None:
    async def life() -> None:
        made = producer(Notebook()).attempt
        start = made.started_at = made.last_byte = made.last_data = 1000.0  # sums of it are exact
        assert not made.overdue(start + IDLE_SECONDS - 1)
        assert made.overdue(start + IDLE_SECONDS + 1)
        made.last_byte = start + COMMENTS_SECONDS  # comments kept coming
        assert not made.overdue(start + COMMENTS_SECONDS - 1)
        assert made.overdue(start + COMMENTS_SECONDS + 1)
        made.last_byte = made.last_data = start + HARD_SECONDS
        assert not made.overdue(start + HARD_SECONDS - 1)
        assert made.overdue(start + HARD_SECONDS + 1)

    asyncio.run(life())


def test_whatever_goes_wrong_at_the_end_the_readers_are_told() -> None:
    async def life() -> Producer:
        made = producer(Notebook())
        del cast(Any, made.generation).hold_id  # its end can't be written
        made.task = asyncio.create_task(made.run())
        made.stop("shutdown")
        await made.task
        await made.streams.close()
        return made

    made = asyncio.run(life())
    assert made.answer.closing is not None
    assert made.answer.closing.data["error"]["code"] == "internal_error"
    assert made.turn.completed is not None
