"""How large a picture is, read from the beginning of its bytes; pure, and no decoder."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final

LOOKED_AT: Final = 256 * 1024  # base64 characters: a JPEG may have that much before its size


def size_of_address(url: str) -> tuple[int, int] | None:
    """Width and height of the picture in a ``data:`` address; None when it can't be told."""
    start = url.find(",") + 1
    text = url[start : start + LOOKED_AT]
    try:
        return size_of(base64.b64decode(text[: len(text) // 4 * 4]))
    except (binascii.Error, ValueError, struct.error, IndexError):
        return None


def size_of(body: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP that begins with ``body``. struct.error when it is cut."""
    width = height = 0
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", body[16:24])
    elif body.startswith(b"GIF8"):
        width, height = struct.unpack("<HH", body[6:10])
    elif body.startswith(b"\xff\xd8"):
        width, height = _of_jpeg(body)
    elif body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        width, height = _of_webp(body)
    return (width, height) if width and height else None


def _of_jpeg(body: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(body):
        if body[at] != 0xFF:
            break
        marker = body[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", body[at + 5 : at + 9])
            return width, height
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + struct.unpack(">H", body[at + 2 : at + 4])[0]
    return 0, 0


def _of_webp(body: bytes) -> tuple[int, int]:
    kind = body[12:16]
    if kind == b"VP8X":
        whole = int.from_bytes(body[24:27], "little"), int.from_bytes(body[27:30], "little")
        return whole[0] + 1, whole[1] + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0
