"""Server-sent events: bytes to events and back, without any I/O (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from typing import Final

LINE_LIMIT: Final = 1024 * 1024


class LineTooLong(ValueError):
    """A line or an event has passed ``LINE_LIMIT`` bytes."""


class Decoder:
    """Takes bytes as they come, however they are cut, and gives the data of each whole event.

    ``comments`` counts comment lines, which say that the sender lives. Event names and ids are not
    kept: the upstreams that this reads send none.
    """

    __slots__ = ("_data", "_rest", "_size", "_started", "comments")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._started = False
        self.comments = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that ``data`` completes. LineTooLong past the limit."""
        buffer = self._rest + data if self._rest else data
        if not self._started:
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                self._rest = buffer
                return []
            self._started = True
            if buffer.startswith(b"\xef\xbb\xbf"):
                buffer = buffer[3:]
        held = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r"):  # the next byte decides whether this is CR or CRLF
                buffer, held = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        head, newline, rest = buffer.rpartition(b"\n")
        self._rest = rest + held
        if len(self._rest) > LINE_LIMIT:
            raise LineTooLong
        if not newline:
            return []
        events: list[bytes] = []
        collected = self._data
        for line in head.split(b"\n"):
            if not line:
                if collected:
                    events.append(collected[0] if len(collected) == 1 else b"\n".join(collected))
                    collected.clear()
                    self._size = 0
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._size += len(value)
                if self._size > LINE_LIMIT:
                    raise LineTooLong
                collected.append(value)
            elif line[0] == 58:  # a colon: a comment
                self.comments += 1
        return events

    def close(self) -> list[bytes]:
        """The end of the bytes: an event that was not closed by an empty line is given too."""
        rest, self._rest = self._rest, b""
        events = self.feed(rest.removesuffix(b"\r") + b"\n\n") if rest else []
        if self._data:
            events.append(b"\n".join(self._data))
            self._data.clear()
        return events


def encode(event: str, event_id: str, data: bytes) -> bytes:
    """One event. ``data`` is one JSON document without line ends; name and id are constants of ours."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (event.encode(), event_id.encode(), data)


def encode_data(data: bytes) -> bytes:
    """One event without name and id, as OpenAI's streams have it."""
    return b"data: %s\n\n" % data


COMMENT: Final = b": keep-alive\n\n"
