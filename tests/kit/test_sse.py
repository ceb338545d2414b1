"""Server-sent events: what is written is what a parser reads, however the bytes are cut."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.events import Event, encode, read_vector
from chat.openrouter.wire import Garbage, TextMender, read_chunk
from oneai.kit.sse import LINE_LIMIT, Decoder, LineTooLong

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


def decoded(data: bytes, cuts: list[int]) -> list[bytes]:
    decoder, found, start = Decoder(), [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        found += decoder.feed(data[start:cut])
        start = cut
    return found + decoder.close()


@given(
    st.lists(ANY_TEXT, min_size=1, max_size=4),
    st.lists(st.integers(0, 400), max_size=8),
    st.sampled_from("\n \r \r\n".split(" ")),
)
def test_events_survive_every_cut_and_every_line_end(texts: list[str], cuts: list[int], end: str) -> None:
    lines = b"".join(b"data: " + orjson.dumps(text) + b"\n\n" for text in texts)
    data = lines.replace(b"\n", end.encode())
    assert [orjson.loads(item) for item in decoded(data, cuts)] == texts


@given(ANY_TEXT)
def test_no_text_forges_an_event(text: str) -> None:
    raw = encode(Event("message.delta", "7", {"message_id": "m", "offset": 0, "text": text}))
    assert raw.count(b"\n") == 4
    assert b"\r" not in raw
    assert orjson.loads(decoded(raw, [])[0])["text"] == text


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_character_may_be_cut_anywhere(cut: int) -> None:
    data = 'data: {"choices":[{"delta":{"content":"नमस्ते 👋🏽"}}]}\n\n'.encode()
    (event,) = decoded(data, [cut])
    assert read_chunk(event).text == "नमस्ते 👋🏽"


def test_comments_a_byte_order_mark_and_several_data_lines_are_read_as_the_standard_says() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\xef\xbb\xbf: hello\n\ndata: a\ndata:b\n\n: again\r\n") == [b"a\nb"]
    assert decoder.comments == 2


def test_a_line_without_an_end_is_given_up() -> None:
    decoder = Decoder()
    for _ in range(LINE_LIMIT // 65536):
        decoder.feed(b"x" * 65536)
    with pytest.raises(LineTooLong):
        decoder.feed(b"x")


@pytest.mark.parametrize("data", [b"nonsense", b"[]", b"3", b"", b'{"choices":', b"null"])
def test_what_is_no_chunk_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        read_chunk(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | ANY_TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(ANY_TEXT, children, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "id",
        "model",
        "error",
        "usage",
        "choices",
        "code",
        "metadata",
        "delta",
        "content",
        "finish_reason",
        "prompt_tokens",
        "completion_tokens",
        "cost",
    ]
)


@given(
    st.dictionaries(
        FIELDS,
        JSON
        | st.dictionaries(FIELDS, JSON, max_size=5)
        | st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=2),
        max_size=6,
    )
)
def test_a_hostile_chunk_is_read_or_refused_but_never_raises_anything_else(value: dict[str, object]) -> None:
    try:
        data = orjson.dumps(value)
    except TypeError:
        return  # beyond 64 bits: not JSON that this encoder writes
    chunk = read_chunk(data)
    if chunk.usage is not None:
        assert 0 <= chunk.usage.prompt_tokens <= 2**53
        assert chunk.usage.cost is None or chunk.usage.cost >= 0


def test_surrogate_halves_in_two_chunks_become_one_character() -> None:
    first = read_chunk(b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}').text
    second = read_chunk(b'{"choices":[{"delta":{"content":"\\ude00b"}}]}').text
    mender = TextMender()
    assert mender.feed(first) + mender.feed(second) + mender.close() == "a😀b"


@given(st.lists(st.text(st.characters(), max_size=5), max_size=6))
def test_mended_text_can_always_be_stored(parts: list[str]) -> None:
    mender = TextMender()
    text = "".join(mender.feed(part) for part in parts) + mender.close()
    text.encode()
    assert "\0" not in text


@pytest.mark.parametrize(
    ("value", "count", "expected"),
    [
        ("12", 1, [12]),
        ("1,2", 2, [1, 2]),
        ("1,2", 1, None),
        ("x", 1, None),
        ("-1", 1, None),
        ("", 1, None),
        ("9" * 30, 1, None),
    ],
)
def test_a_place_is_a_vector_of_offsets(value: str, count: int, expected: list[int] | None) -> None:
    assert read_vector(value, count) == expected
