"""The scanner finds every fault an answer can have, whatever the cuts."""

from array import array

import pytest

from benchmarks.stamps import Scanner, stamp

TAG = b"00000042"
END = b"data: [DONE]"


def answer(numbers: list[int], *, tag: bytes = TAG, end: bytes = END) -> bytes:
    events = [b'data: {"delta":"%b "}\n\n' % stamp(tag, number, 1_000 + number) for number in numbers]
    return b"".join(events) + end + b"\n\n"


def scan(body: bytes, *, chunks: int = 5, cut: int = 1_000_000) -> Scanner:
    scanner = Scanner(TAG, chunks, END, array("q"))
    for start in range(0, len(body), cut):
        scanner.feed(body[start : start + cut], 5_000)
    return scanner


@pytest.mark.parametrize("cut", [1, 2, 7, 31, 64, 1_000_000])
def test_a_whole_answer_is_whole_however_it_is_cut(cut: int) -> None:
    scanner = scan(answer([0, 1, 2, 3, 4]), cut=cut)
    assert scanner.complaint() is None
    assert list(scanner.lags_ns) == [4_000, 3_999, 3_998, 3_997, 3_996]


def test_joined_deltas_are_read_one_by_one() -> None:
    body = b'data: {"text":"%b"}\n\n' % b" ".join(stamp(TAG, n, 0) for n in range(5)) + END
    assert scan(body).complaint() is None


@pytest.mark.parametrize(
    ("numbers", "complaint", "received"),
    [
        ([0, 1, 3, 4], "chunks missing", 4),
        ([1, 2, 3, 4], "chunks missing", 4),
        ([0, 1, 2, 3], "chunks missing", 4),
        ([], "chunks missing", 0),
        ([0, 1, 1, 2, 3, 4], "chunks doubled", 5),
        ([0, 1, 2, 3, 4, 4], "chunks doubled", 5),
        ([0, 1, 2, 3, 4, 0], "chunks doubled", 5),
        ([0, 2, 1, 3, 4], "chunks out of order", 5),
        ([4, 3, 2, 1, 0], "chunks out of order", 5),
        ([0, 1, 2, 3, 4, 5], "chunks of another stream", 5),
    ],
)
@pytest.mark.parametrize("cut", [5, 1_000_000])
def test_faults_are_named(numbers: list[int], complaint: str, received: int, cut: int) -> None:
    scanner = scan(answer(numbers), cut=cut)
    assert scanner.complaint() == complaint
    assert scanner.received == received


def test_a_chunk_of_another_stream_is_not_taken_for_ones_own() -> None:
    body = answer([0, 1, 2, 3, 4], end=b"") + answer([2], tag=b"00000043")
    scanner = scan(body)
    assert scanner.foreign == 1
    assert scanner.complaint() == "chunks of another stream"


@pytest.mark.parametrize("cut", [3, 1_000_000])
def test_an_answer_without_its_end_is_not_whole(cut: int) -> None:
    assert scan(answer([0, 1, 2, 3, 4], end=b"data: [DON"), cut=cut).complaint() == "no end marker"
