"""Stamps: the text of every chunk says whose it is, which number it has and when it was sent.

A stamp is plain text, ``@<tag>.<number>:<nanoseconds>;``, so it survives any framing a server puts around the
text of an answer. The time is CLOCK_MONOTONIC, which all processes of one machine share.
"""

import re
from array import array

TAG_DIGITS = 8
_STAMP = re.compile(rb"@(\d+)\.(\d+):(\d+);")
# Longer than any stamp and any end marker, so that neither is lost when a read cuts it.
_KEPT = 96


def tag_text(tag: int) -> str:
    """The tag as it stands in a prompt and in stamps: digits of a fixed width, so bodies have one length."""
    return f"{tag:0{TAG_DIGITS}d}"


def stamp(tag: bytes, number: int, at_ns: int) -> bytes:
    """One stamp; `at_ns` is CLOCK_MONOTONIC in nanoseconds."""
    return b"@%b.%d:%d;" % (tag, number, at_ns)


class Scanner:
    """Reads the stamps of one answer out of its body, whatever the cuts, and keeps account of them.

    `lags_ns` receives one figure per chunk: receive clock minus stamp, in nanoseconds.
    """

    __slots__ = (
        "_chunks",
        "_expected",
        "_gaps",
        "_marker",
        "_tag",
        "_tail",
        "doubled",
        "ended",
        "first_ns",
        "foreign",
        "lags_ns",
        "received",
        "reordered",
    )

    def __init__(self, tag: bytes, chunks: int, marker: bytes, lags_ns: "array[int]") -> None:
        self._tag = tag
        self._chunks = chunks
        self._marker = marker
        self._tail = b""
        self._expected = 0
        self._gaps: set[int] | None = None
        self.lags_ns = lags_ns
        self.first_ns = 0
        self.received = 0
        self.doubled = 0
        self.reordered = 0
        self.foreign = 0
        self.ended = False

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes the next bytes of the body, received at `now_ns`."""
        text = self._tail + data if self._tail else data
        end = 0
        for found in _STAMP.finditer(text):
            end = found.end()
            tag, number, sent = found.groups()
            if tag != self._tag:
                self.foreign += 1
                continue
            at = int(number)
            if at == self._expected and at < self._chunks:
                self._expected = at + 1
                self.received += 1
                self.lags_ns.append(now_ns - int(sent))
            else:
                self._out_of_turn(at, now_ns - int(sent))
        if not self.first_ns and self.received:
            self.first_ns = now_ns
        self._tail = text[max(end, len(text) - _KEPT) :]
        if not self.ended and self._marker in text[end:]:
            self.ended = True

    def _out_of_turn(self, number: int, lag_ns: int) -> None:
        if self._gaps is None:
            self._gaps = set()
        if number >= self._chunks:
            self.foreign += 1
            return
        if number > self._expected:
            self._gaps.update(range(self._expected, number))
            self._expected = number + 1
        elif number in self._gaps:
            self._gaps.remove(number)
            self.reordered += 1
        else:
            self.doubled += 1
            return
        self.received += 1
        self.lags_ns.append(lag_ns)

    @property
    def missing(self) -> int:
        """Chunks that have not come."""
        return self._chunks - self.received

    def complaint(self) -> str | None:
        """What is wrong with the answer as it stands, or None when it is whole, in order and ended."""
        if self.missing:
            return "chunks missing"
        if self.doubled:
            return "chunks doubled"
        if self.reordered:
            return "chunks out of order"
        if self.foreign:
            return "chunks of another stream"
        if not self.ended:
            return "no end marker"
        return None
