"""JSON to bytes, in the one compact form that the sandbox sends and counts."""

from __future__ import annotations

from typing import Any, cast

import orjson


def compact(value: Any) -> bytes:
    """The value as compact UTF-8 JSON. Raises TypeError for what JSON can't hold."""
    return orjson.dumps(value)


def pretty(value: Any) -> bytes:
    """The value as indented UTF-8 JSON, for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def parse(data: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError when it is none."""
    return cast(Any, orjson.loads(data))
