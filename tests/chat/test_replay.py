"""One contract for every reader, on each ground: the producer's memory, the database, letters through Redis."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from accounts.models import User
from chat import events, mirror
from chat.replay import MOST_TEXT, follow
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal
from tests.chat.grounds import Ground, joined, on
from tests.servers.redis import Redis

RICH = "Ä👩‍👩‍👧‍👦漢字\u2028नमस्ते 👋🏽\r\n'\"<&>\u0007𝔘"
ALL = ["memory", "database", "redis"]

pytestmark = pytest.mark.django_db(transaction=True)
Grounds = Callable[[], AbstractAsyncContextManager[Ground]]


@pytest.fixture
def person(transactional_db: None) -> User:
    return User.objects.create_user("reader@example.com")


@pytest.fixture(params=ALL)
def ground(request: pytest.FixtureRequest, person: User, monkeypatch: pytest.MonkeyPatch) -> Grounds:
    """`async with ground() as here`: the ground, for the length of the block."""
    monkeypatch.setattr(mirror, "POLL_SECONDS", 0.04)
    url = request.getfixturevalue("redis_server").url if request.param == "redis" else ""
    return lambda: on(request.param, person, url)


async def test_a_reader_gets_every_event_once_and_the_stored_text(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        reader = here.reader(writer)
        for letter in RICH * 3:
            await writer.say(letter)
        await reader.until(lambda r: r.text() == RICH * 3)
        await writer.end()
        await reader.rest()
        names = [event.name for event in reader.events]
        assert names[0] == events.TURN_STARTED
        assert names[-2:] == [events.MESSAGE_COMPLETED, events.TURN_COMPLETED]
        assert set(names[1:-2]) == {events.MESSAGE_DELTA}
        assert reader.text() == await writer.stored() == RICH * 3
        length = str(len(RICH * 3))
        assert [event.vector for event in reader.events[-2:]] == [length, length]
        closing = reader.events[-2].data
        assert closing["message_id"] == writer.stream.answers[0].message_id
        assert (closing["model"], closing["finish_reason"], closing["usage"]) == (
            "some/model",
            "stop",
            {"total_tokens": 7},
        )


async def test_readers_may_come_late_and_twice_and_leave_and_come_back_at_every_offset(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        first = here.reader(writer)
        await writer.say(RICH)
        late = here.reader(writer)
        await first.until(lambda r: r.text() == RICH)
        await late.until(lambda r: r.text() == RICH)
        place = (await late.leave()).place()
        assert place == [len(RICH)]
        back = [here.reader(writer, [offset]) for offset in range(len(RICH) + 1)]
        await writer.say(RICH)
        await writer.end()
        for offset, reader in enumerate(back):
            await reader.rest()
            assert reader.events[0].name != events.TURN_STARTED
            assert joined(reader.events, writer, 0, (RICH + RICH)[:offset]) == RICH + RICH
        assert (await first.rest()).text() == RICH + RICH


async def test_after_the_end_a_turn_replays_what_is_missing_and_its_end(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        await writer.say(RICH)
        await writer.end()
        whole = await here.read(writer)
        assert joined(whole, writer) == RICH
        rest = await here.read(writer, [3])
        assert joined(rest, writer, 0, RICH[:3]) == RICH
        end = await here.read(writer, [len(RICH)])
        assert [event.name for event in end] == [events.MESSAGE_COMPLETED, events.TURN_COMPLETED]
        assert {event.vector for event in end} == {str(len(RICH))}


async def test_a_reader_may_be_ahead_of_what_is_known_where_it_comes_back(ground: Grounds) -> None:
    """The other process told it what is not saved yet: nothing of that is told twice."""
    async with ground() as here:
        writer = await here.write()
        await writer.think("hm")
        await writer.say("one ")
        await writer.save()
        behind = await here.find(writer)
        reader = here.reader(writer, [len("one two ")])
        await asyncio.sleep(0.05)
        await writer.say("two ")
        await writer.say("three")
        await writer.end()
        await reader.rest()
        assert joined(reader.events, writer, 0, "one two ") == "one two three"
        assert not [event for event in reader.events if event.name == events.MESSAGE_REASONING]
        assert behind.turn_id == writer.stream.turn_id


async def test_reasoning_is_resent_whole_while_there_is_no_text_and_not_after(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        reader = here.reader(writer)
        await writer.think("Let me ")
        await writer.think("see.")
        await reader.until(lambda r: _reasoning(r.events) == "Let me see.")
        place = (await reader.leave()).place()
        assert place == [0]
        again = await here.reader(writer, place).until(lambda r: _reasoning(r.events) == "Let me see.")
        await writer.say("42")
        await again.until(lambda r: r.text() == "42")
        after = here.reader(writer, (await again.leave()).place())
        await writer.end()
        assert _reasoning((await after.rest()).events) == ""
        assert joined(after.events, writer, 0, "42") == "42"


def _reasoning(found: list[events.Event]) -> str:
    text = ""
    for event in found:
        if event.name == events.MESSAGE_REASONING:
            assert event.data["offset"] == len(text), "a gap or a double"
            text += event.data["text"]
    return text


async def test_several_answers_each_have_their_place_in_the_vector(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write("a/one", "b/two", "c/three")
        reader = here.reader(writer)
        await writer.say("one", 0)
        await writer.say(RICH, 1)
        await reader.until(lambda r: (r.text(0), r.text(1)) == ("one", RICH))
        await writer.end(number=0)
        await reader.until(lambda r: r.events[-1].name == events.MESSAGE_COMPLETED)
        place = (await reader.leave()).place()
        assert place == [3, len(RICH), 0]
        back = here.reader(writer, place)
        await writer.say(RICH, 1)
        await writer.say("three", 2)
        await writer.end(number=2)
        await writer.end("failed", {"code": "upstream_error"}, number=1)
        await back.rest()
        assert joined(back.events, writer, 0, "one") == "one"
        assert joined(back.events, writer, 1, RICH) == RICH + RICH
        assert joined(back.events, writer, 2) == "three"
        # The first one's end is sent again; the ends are told in some order, once each, then the turn's.
        ends = [event for event in back.events if event.name in {events.MESSAGE_COMPLETED, events.MESSAGE_FAILED}]
        assert {event.data["message_id"] for event in ends} == {a.message_id for a in writer.stream.answers}
        assert len(ends) == 3
        assert back.events[-1].name == events.TURN_COMPLETED
        assert back.events[-1].vector == f"3,{2 * len(RICH)},5"


@pytest.mark.parametrize(
    ("state", "error", "name"),
    [
        ("failed", {"code": "upstream_error", "message": "No."}, events.MESSAGE_FAILED),
        ("interrupted", {"code": "interrupted", "message": "Cut."}, events.MESSAGE_FAILED),
        ("stopped", None, events.MESSAGE_COMPLETED),
    ],
)
async def test_failed_and_stopped_turns_end_for_every_reader(
    ground: Grounds, state: str, error: dict[str, str] | None, name: str
) -> None:
    async with ground() as here:
        writer = await here.write()
        reader = here.reader(writer)
        if state != "failed":
            await writer.say("part")
        await writer.end(state, error)
        for found in ((await reader.rest()).events, await here.read(writer)):
            assert [event.name for event in found[-2:]] == [name, events.TURN_COMPLETED]
            assert found[-2].data.get("error") == error
            assert joined(found, writer) == await writer.stored()


async def test_a_reader_hears_of_another_model_before_any_text_and_not_again_after(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write("a/one")
        reader = here.reader(writer)
        await reader.until(lambda r: bool(r.events))
        await writer.switch("b/two", "fallback")
        await reader.until(lambda r: r.events[-1].name == events.MESSAGE_MODEL)
        assert reader.events[-1].data == {
            "message_id": writer.stream.answers[0].message_id,
            "model": "b/two",
            "reason": "fallback",
        }
        await writer.say("text")
        await reader.until(lambda r: r.text() == "text")
        back = here.reader(writer, (await reader.leave()).place())
        await writer.end()
        names = [event.name for event in (await back.rest()).events]
        assert names == [events.MESSAGE_COMPLETED, events.TURN_COMPLETED]
        assert back.events[0].data["model"] == "b/two"


async def test_a_slow_reader_gets_joined_deltas_of_bounded_size(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        turn = await here.find(writer)
        groups = follow(turn)
        found = list(await anext(groups))
        text = "漢" * (2 * MOST_TEXT + 17)
        for start in range(0, len(text), 1000):
            await writer.say(text[start : start + 1000])
        await writer.end()
        async with asyncio.timeout(20):
            while turn.completed is None:  # noqa: ASYNC110 (a reader that does nothing for a while)
                await asyncio.sleep(0.01)
        sizes = []
        async for group in groups:
            sizes.append(sum(len(event.data.get("text", "")) for event in group))
            assert sum(len(events.encode(event)) for event in group) < 64 * 1024
            found += group
        assert sizes == [MOST_TEXT, MOST_TEXT, 17]
        assert joined(found, writer) == text == await writer.stored()


async def test_a_reader_that_leaves_changes_nothing_and_leaves_nothing(ground: Grounds) -> None:
    async with ground() as here:
        writer = await here.write()
        stays, leaves = here.reader(writer), here.reader(writer)
        await writer.say("one ")
        await leaves.until(lambda r: r.text() == "one ")
        await leaves.leave()
        await writer.say("two")
        await writer.end()
        assert (await stays.rest()).text() == "one two"
        async with asyncio.timeout(10):
            while writer.stream.wakers:  # noqa: ASYNC110 (who tells other processes has a last word to send)
                await asyncio.sleep(0.01)
        del stays, leaves
        if here.mirrors is not None:
            await asyncio.sleep(0.1)
            gc.collect()  # these readers keep the error that ended them, and it keeps them
            assert list(here.mirrors) == []


async def test_unknown_and_foreign_turns_are_the_same_to_a_stranger(ground: Grounds) -> None:
    async with ground() as here:
        if here.mirrors is None:
            return  # the door asks the mirrors for whatever is not the asker's own
        writer = await here.write()
        mine = await here.find(writer)
        for turn_id in (writer.stream.turn_id, uuid7()):
            with pytest.raises(Refusal) as refused:
                await here.mirrors.find(turn_id, uuid7())
            assert refused.value.code == "not_found"
        await writer.end()
        assert mine.turn_id == writer.stream.turn_id


# Without Redis -----------------------------------------------------------------------------------


async def test_text_goes_on_by_the_database_while_redis_is_away_and_by_letter_when_it_is_back(
    person: User, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "POLL_SECONDS", 0.04)
    monkeypatch.setattr("oneai.kit.post.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("chat.relay.ASK_SECONDS", 0.0)
    async with on("redis", person, redis_server.url) as here:
        writer = await here.write()
        reader = here.reader(writer)
        await writer.say("by letter, ")
        await reader.until(lambda r: r.text() == "by letter, ")
        assert await writer.stored() == ""
        redis_server.kill()
        await writer.say("by the database, ")
        await writer.save()
        await reader.until(lambda r: r.text().endswith("by the database, "))
        await asyncio.to_thread(redis_server.start)
        await writer.say("by letter again")
        await reader.until(lambda r: r.text().endswith("by letter again"))
        assert not (await writer.stored()).endswith("again")
        await writer.end()
        assert (await reader.rest()).text() == await writer.stored()
