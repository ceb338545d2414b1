"""JSON bodies, read so that no shape of them costs more than their bytes.

The parser itself has a limit of 1,024 levels and reads a number of any length in linear time. What
it does not bound is memory: 8 MiB of ``{},`` are 2.7 million dictionaries, 170 MiB. So commas and
brackets are counted first, which costs a millisecond a megabyte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from oneai.kit.errors import Refusal

MAX_DEPTH: Final = 32
MOST_VALUES: Final = 100_000  # a conversation of a thousand messages with tools has a tenth of it

_WINDOW: Final = 256 * 1024  # bytes looked at in one go: what is found early ends the search early
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _outside_strings(body: bytes | bytearray) -> Iterator[bytes]:
    """The parts of ``body`` that are not in a string, window by window."""
    inside = False
    start = 0
    while start < len(body):
        piece = bytes(body[start : start + _WINDOW])
        start += len(piece)
        if start < len(body) and (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = piece[:-1]  # an escape stays whole
            start -= 1
        bare = _STRING.sub(b"", b'"' + piece if inside else piece)
        opening = bare.find(b'"')
        inside = opening >= 0
        yield bare[:opening] if inside else bare


def _check_shape(body: bytes | bytearray, most_values: int) -> None:
    values = depth = 0
    for bare in _outside_strings(body):
        values += bare.count(b"[") + bare.count(b"{") + bare.count(b",")
        if values > most_values:
            raise Refusal("invalid_json", f"The body has more than {most_values:,} values.")
        for bracket in bare.translate(None, _NOT_BRACKETS):
            depth += _STEPS[bracket]
            if depth > MAX_DEPTH:
                raise Refusal("invalid_json", f"The body nests deeper than {MAX_DEPTH} levels.")


def read_json(body: bytes | bytearray, *, most_values: int = MOST_VALUES) -> Any:
    """The JSON value in ``body``.

    Refusal ``invalid_json`` when it is not JSON, nests deeper than 32 levels, or has more than
    ``most_values`` values.
    """
    opened = body.count(b"[") + body.count(b"{")
    if opened > MAX_DEPTH or (len(body) > most_values and opened + body.count(b",") > most_values):
        _check_shape(body, most_values)  # some of them may stand in strings, as in any program text
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal("invalid_json") from error
