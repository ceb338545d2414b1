"""Events are read alike however their bytes are cut, their lines ended, and whatever stands between them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat import events
from chat.events import Event, encode
from oneai.kit.sse import LINE_LIMIT, Decoder, LineTooLong

SENT = st.text(st.characters(codec="utf-8"), max_size=30)
LINE_END = st.sampled_from([b"\n", b"\r", b"\r\n"])
# What stands between events and must change nothing. Fields of the standard, unknown ones, comments.
NOISE = st.sampled_from(
    [b": OPENROUTER PROCESSING", b":", b"event: message", b"id: 7", b"id", b"retry: 10", b"unknown: \xff\xfe", b"datum"]
)
FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Twenty texts an example: a hundred thousand in all.
MANY = settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decoded(pieces: list[bytes]) -> list[bytes]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@st.composite
def lines(draw: st.DrawFn, texts: list[str]) -> bytes:
    """Events with ``texts`` as their data, each line ended in its own way, noise between them."""
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for text in texts:
        for noise in draw(st.lists(NOISE, max_size=2)):
            data += noise + draw(LINE_END)
        data += draw(st.sampled_from([b"data:", b"data: "])) + orjson.dumps(text) + draw(LINE_END)
        # Two ends of one kind, else CR and LF would be one end.
        end = draw(LINE_END)
        data += end + end
    return data


@st.composite
def texts_and_lines(draw: st.DrawFn, size: int) -> tuple[list[str], bytes]:
    texts = draw(st.lists(SENT, min_size=size, max_size=size))
    return texts, draw(lines(texts))


def read_back(found: tuple[list[str], bytes]) -> None:
    """What is sent is read, byte by byte as in one piece; and our own stream says it to its reader."""
    texts, data = found
    expected = [orjson.dumps(text) for text in texts]
    assert decoded([data]) == expected
    assert decoded(bytewise(data)) == expected
    told = b"".join(
        encode(Event(events.MESSAGE_DELTA, "1", {"message_id": "m", "offset": 0, "text": text})) for text in texts
    )
    assert [orjson.loads(event)["text"] for event in decoded(bytewise(told))] == texts


@FEW
@given(texts_and_lines(6))
def test_events_are_read_alike_at_every_cut_with_every_line_end_and_between_all_noise(
    found: tuple[list[str], bytes],
) -> None:
    read_back(found)


@pytest.mark.long
@pytest.mark.timeout(900)
@MANY
@given(texts_and_lines(20))
def test_a_hundred_thousand_texts_are_read_alike_at_every_cut(found: tuple[list[str], bytes]) -> None:
    read_back(found)


@pytest.mark.parametrize("prefix", [b"", b"data: ", b": ", b"data: a\n"])
def test_ten_mebibytes_without_a_line_end_are_given_up_at_the_limit(prefix: bytes) -> None:
    decoder, fed = Decoder(), 0
    with pytest.raises(LineTooLong):
        decoder.feed(prefix)
        while fed < 10 * LINE_LIMIT:
            decoder.feed(b"x" * 65536)
            fed += 65536
    assert fed <= LINE_LIMIT


def test_an_event_of_many_lines_is_given_up_at_the_limit() -> None:
    decoder = Decoder()
    with pytest.raises(LineTooLong):
        for _ in range(11 * LINE_LIMIT // 1000):
            decoder.feed(b"data: " + b"x" * 1000 + b"\n")
