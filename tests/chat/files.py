"""Files that people could attach, made here: pictures, PDFs, text, and what is none of them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from fpdf import FPDF
from PIL import Image

GPS = 0x8825
ORIENTATION = 0x0112


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 480), mode: str = "RGB") -> bytes:
    """A picture with a gradient, so that its left and right differ."""
    made = Image.linear_gradient("L").resize(size).convert(mode)
    out = BytesIO()
    made.save(out, kind)
    return out.getvalue()


def photo(size: tuple[int, int] = (2400, 1200)) -> bytes:
    """A JPEG as a phone makes it: lying on its side, and telling where it was taken."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (12.0, 58.0, 17.0)
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, "JPEG", exif=exif, comment=b"secret comment")
    return out.getvalue()


def huge_picture() -> bytes:
    """A PNG of a few bytes that says it has 40,000 by 40,000 pixels."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF with these words on its pages."""
    made = FPDF()
    made.set_font("Helvetica", size=12)
    if password:
        made.set_encryption(owner_password="owner", user_password=password)
    for words in pages:
        made.add_page()
        made.multi_cell(0, text=words)
    return bytes(made.output())
