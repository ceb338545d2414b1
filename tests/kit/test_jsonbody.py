"""JSON that is read, and JSON that is refused before it costs anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneai.kit import jsonbody
from oneai.kit.errors import Refusal
from oneai.kit.jsonbody import MAX_DEPTH, MOST_VALUES, read_json


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_counted_outside_of_strings_only(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    inner = b'"' + b'[{\\"' * 500 + b'\\\\"'
    assert read_json(opening * MAX_DEPTH + inner + closing * MAX_DEPTH)
    with pytest.raises(Refusal) as refused:
        read_json(opening * (MAX_DEPTH + 1) + inner + closing * (MAX_DEPTH + 1))
    assert refused.value.code == "invalid_json"


def test_many_values_are_refused_and_a_long_text_of_commas_is_not() -> None:
    text = b'"' + b"a, [b], {c}\\n, " * 100_000 + b'"'
    assert read_json(b'{"content": ' + text + b"}")
    assert len(read_json(b"[" + b"1," * (MOST_VALUES - 2) + b"1]")) == MOST_VALUES - 1
    with pytest.raises(Refusal):
        read_json(b"[" + b"1," * MOST_VALUES + b"1]")


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{", b'"', b'"\\', b"[" * 40 + b'"', b"9" * 400, b"1e999", b"NaN", b"[" * 100_000, b'"\\ud800"',
     b"\xff", b"{}{}", b'"' * 99_999, b"]" * 200_000],
)  # fmt: skip
def test_what_is_not_json_is_a_refusal(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_json(body)
    assert refused.value.code == "invalid_json"


def test_a_whole_number_of_any_length_is_no_trouble() -> None:
    assert isinstance(read_json(b"1" + b"0" * 60), float)


@given(
    st.lists(st.sampled_from([b"[", b"{", b"]", b"}", b",", b'"', b"\\", b'\\"', b"a", b"\\\\"]), max_size=60),
    st.integers(1, 9),
)
def test_windows_cut_nowhere_that_matters(parts: list[bytes], window: int) -> None:
    """What is outside of strings is the same for every size of the window."""
    body = b"".join(parts)
    whole = b"".join(jsonbody._outside_strings(body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonbody, "_WINDOW", window + 1)
        assert b"".join(jsonbody._outside_strings(body)) == whole
