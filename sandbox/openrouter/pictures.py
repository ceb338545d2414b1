"""What a picture is that came with a question: its format, size and bytes, read from its first bytes."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Mapping
from typing import Any

from .refusals import invalid

_ADDRESS = re.compile(r"data:image/(png|jpeg|gif|webp);base64,", re.ASCII)


def described(part: Mapping[str, Any]) -> str:
    """A picture in words. Raises Refused (400) for an address that holds none."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise invalid("image_url: expected an address")
    found = _ADDRESS.match(url)
    if found is None:
        if url.startswith("https://"):
            return "a picture at an address, which a sandbox does not fetch"
        raise invalid("image_url: expected https: or a data: address of a picture")
    try:
        body = base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("image_url: the data is not base64") from error
    size = _size(body)
    pixels = f"{size[0]} by {size[1]} pixels" if size else "unknown size"
    return f"a {found.group(1).upper()} picture of {pixels} in {len(body):,} bytes"


def _size(body: bytes) -> tuple[int, int] | None:
    if body[:8] == b"\x89PNG\r\n\x1a\n" and len(body) >= 24:
        return struct.unpack(">II", body[16:24])
    if body[:3] == b"GIF" and len(body) >= 10:
        return struct.unpack("<HH", body[6:10])
    return _jpeg_size(body) if body[:2] == b"\xff\xd8" else None


def _jpeg_size(body: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(body) and body[at] == 0xFF:
        marker, length = body[at + 1], struct.unpack(">H", body[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", body[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
