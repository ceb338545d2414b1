"""The load generator against the simulator: it sees what is wrong with answers, and measures lag."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks import byteproxy, simulator
from benchmarks.answers import slug
from benchmarks.doors import UPSTREAM
from benchmarks.figures import percentile
from benchmarks.generator import Load, Outcome, run_load
from benchmarks.subjects import through

DELAY_NS = 40_000_000


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def upstream(alter: Callable[[int, bytes], bytes] | None = None) -> AsyncIterator[int]:
    server = await simulator.serve(0, ["bench/c10-d0"], alter)
    try:
        yield port_of(server)
    finally:
        server.close()


async def ask(port: int, load: Load) -> Outcome:
    return await run_load(through("test", UPSTREAM, port), load)


@pytest.mark.parametrize("delay_ms", [0, 5])
@pytest.mark.parametrize("streaming", [True, False])
async def test_whole_answers_are_counted_whole(streaming: bool, delay_ms: int) -> None:
    async with upstream() as port:
        outcome = await ask(port, Load(slug(10, delay_ms), 10, 4, 12, streaming=streaming))
    assert outcome.complaints == {}
    assert (outcome.asked, outcome.whole, outcome.chunks) == (12, 12, 120)
    assert len(outcome.lags_ns) == 120
    assert len(outcome.first_ns) == len(outcome.total_ns) == 12


@pytest.mark.slow
async def test_the_bare_relay_passes_everything_on() -> None:
    async with upstream() as port:
        relay = await byteproxy.serve(0, port)
        try:
            for streaming in (True, False):
                outcome = await ask(port_of(relay), Load(slug(20, 1), 20, 8, 24, streaming=streaming))
                assert outcome.complaints == {}
                assert outcome.whole == 24
        finally:
            relay.close()


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (lambda number, text: b"" if number == 4 else text, "chunks missing"),
        (lambda number, text: text + text if number == 4 else text, "chunks doubled"),
        (lambda number, text: text.replace(b"@0", b"@9"), "chunks missing"),
    ],
    ids=["one left out", "one doubled", "another's"],
)
async def test_what_is_wrong_on_the_wire_is_seen(alter: Callable[[int, bytes], bytes], complaint: str) -> None:
    async with upstream(alter) as port:
        outcome = await ask(port, Load(slug(10, 0), 10, 2, 4))
    assert outcome.whole == 0
    assert outcome.complaints == {complaint: 4}


async def test_swapped_chunks_are_seen() -> None:
    held: list[bytes] = []

    def swap(number: int, text: bytes) -> bytes:
        if number == 4:
            held.append(text)
            return b""
        return text + held.pop() if held else text

    async with upstream(swap) as port:
        outcome = await ask(port, Load(slug(10, 0), 10, 1, 3))
    assert outcome.complaints == {"chunks out of order": 3}


@pytest.mark.slow
async def test_a_delay_put_in_between_is_found_in_the_lag() -> None:
    def late(number: int, text: bytes) -> bytes:
        """As if the chunk had been sent 40 ms before it went out."""
        head, _, sent = text.rstrip(b";").rpartition(b":")
        return b"%b:%d;" % (head, int(sent) - DELAY_NS)

    async with upstream(late) as port:
        outcome = await ask(port, Load(slug(20, 2), 20, 2, 4))
    assert outcome.whole == 4
    assert min(outcome.lags_ns) >= DELAY_NS
    assert percentile(outcome.lags_ns, 0.5) >= DELAY_NS / 1e6


@pytest.mark.slow
async def test_a_relay_that_holds_bytes_back_shows_as_lag_and_as_first_token_latency() -> None:
    """The lag is measured over real sockets: a relay that waits 40 ms with each piece adds just that."""
    async with upstream() as port:

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, here = await asyncio.open_connection("127.0.0.1", port)
            here.write(await reader.read(65536))
            while piece := await there.read(65536):
                await asyncio.sleep(DELAY_NS / 1e9)
                writer.write(piece)
            writer.close()

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        try:
            # One stream whose chunks are further apart than the relay waits: nothing piles up.
            outcome = await ask(port_of(server), Load(slug(5, 60), 5, 1, 1, patience_s=5))
        finally:
            server.close()
    assert outcome.chunks == 5
    assert min(outcome.lags_ns) >= DELAY_NS
    assert outcome.first_ns[0] >= DELAY_NS


@pytest.mark.slow
async def test_refusals_and_lost_connections_are_complaints_not_answers() -> None:
    async with upstream() as port:
        refused = await ask(port, Load("nobody/knows-it", 10, 2, 4))
    assert refused.complaints == {"status 404": 4}
    assert "No such model" in refused.examples[0]

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    try:
        lost = await ask(port_of(server), Load(slug(10, 0), 10, 2, 4))
    finally:
        server.close()
    assert lost.whole == 0
    assert lost.complaints == {"connection lost": 4}


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        outcome = await ask(port_of(server), Load(slug(10, 0), 10, 2, 2, seconds=1, patience_s=0.2))
    finally:
        server.close()
    assert outcome.complaints == {"took too long": 2}


async def test_no_request_begins_after_the_time_given() -> None:
    async with upstream() as port:
        outcome = await ask(port, Load(slug(10, 10), 10, 2, 100_000, seconds=0.5))
    assert 0 < outcome.asked < 100_000
    assert outcome.whole == outcome.asked
