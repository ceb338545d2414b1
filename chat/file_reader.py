"""Reads one file that somebody sent, in a process of its own: from stdin, what it is to stdout.

Run as a script with nothing but Pillow and pypdf beside it: what a file can do to its reader ends with this
process, whose memory and time are bounded. The answer is a line of JSON, then the bytes to store. ``{"refused":
why}`` says for people why the file can't be taken.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from io import BytesIO
from typing import Any, Final

MIB: Final = 1024 * 1024
MEMORY: Final = 1024 * MIB
CPU_SECONDS: Final = 25
PDF_SECONDS: Final = 12.0
MOST_PAGES: Final = 300
MOST_CHARACTERS: Final = 200_000
MOST_PIXELS: Final = 50_000_000
LONGEST_SIDE: Final = 1568  # providers scale down what is larger, and count it as if it were not
LARGEST_PNG: Final = 3 * MIB
PICTURES: Final = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
TOO_MANY_PIXELS: Final = f"The picture has more than {MOST_PIXELS // 1_000_000} million pixels."
NEITHER: Final = "This is neither a picture (PNG, JPEG, GIF, WebP) nor a PDF nor a text file."


class Refused(Exception):
    """The file can't be taken; the text says why."""


class _Late(Exception):
    """Time is up."""


def picture_format(data: bytes) -> str:
    """The format of a picture by its first bytes; empty when it is none that is taken."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in PICTURES if data.startswith(start)), "")


def read_picture(data: bytes, kind: str) -> tuple[dict[str, Any], bytes]:
    """The picture made anew from its pixels: upright, of a sensible size, and nothing else of the file."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        with Image.open(BytesIO(data), formats=(kind,)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise Refused(TOO_MANY_PIXELS)
            opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is decoded no larger than needed
            opened.seek(0)
            picture = ImageOps.exif_transpose(opened)
            clear = picture.has_transparency_data
            picture = picture.convert("RGBA" if clear else "RGB")
            picture.info.clear()  # comments and profiles would be written again
    except Refused:
        raise
    except Image.DecompressionBombError as error:
        raise Refused(TOO_MANY_PIXELS) from error
    except Exception as error:
        raise Refused("The picture is damaged, or not of the kind that it says it is.") from error
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    out = BytesIO()
    written = "PNG" if clear or kind in {"PNG", "GIF"} else "JPEG"
    if written == "PNG":
        picture.save(out, "PNG", optimize=False)
        if out.tell() > LARGEST_PNG:
            out, written = BytesIO(), "JPEG"
    if written == "JPEG":
        if picture.mode == "RGBA":
            ground = Image.new("RGB", picture.size, "white")
            ground.paste(picture, mask=picture.getchannel("A"))
            picture = ground
        picture.save(out, "JPEG", quality=88, optimize=True)
    said = {
        "kind": "image",
        "content_type": f"image/{written.lower()}",
        "width": picture.width,
        "height": picture.height,
    }
    return said, out.getvalue()


def _late(*_: object) -> None:
    raise _Late


def read_pdf(data: bytes) -> dict[str, Any]:
    """The text of a PDF, page by page, as far as the limits go."""
    import logging

    from pypdf import PdfReader

    logging.disable(logging.CRITICAL)  # what is odd in somebody's file is no news
    parts: list[str] = []
    length, cut, count = 0, False, 0
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, PDF_SECONDS)
    try:
        reader = PdfReader(BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Refused("The PDF is locked with a password.")
        count = len(reader.pages)
        cut = count > MOST_PAGES
        for number in range(min(count, MOST_PAGES)):
            text = stored(reader.pages[number].extract_text() or "").strip()
            if text:
                parts.append(f"[Page {number + 1}]\n{text}")
                length += len(parts[-1]) + 2
            if length > MOST_CHARACTERS:
                cut = True
                break
    except Refused:
        raise
    except (_Late, MemoryError, RecursionError) as error:
        if not parts:
            raise Refused("Reading the PDF takes too long.") from error
        cut = True
    except Exception as error:
        if not parts:
            raise Refused("The PDF can't be read.") from error
        cut = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not parts:
        raise Refused("The PDF has no text in it. If its pages are scanned, attach pictures of them.")
    whole = "\n\n".join(parts)
    return {
        "kind": "pdf",
        "content_type": "application/pdf",
        "pages": count,
        "text": whole[:MOST_CHARACTERS],
        "is_cut": cut or len(whole) > MOST_CHARACTERS,
    }


def stored(text: str) -> str:
    """``text`` as every database takes it."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _decoded(data: bytes) -> str | None:
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    marked = [name for mark, name in marks if data.startswith(mark)]
    for name in marked or ("utf-8", "cp1252"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def read_text(data: bytes) -> dict[str, Any]:
    """What a text file says. Refused when it is none."""
    text = _decoded(data)
    if text is None:
        raise Refused(NEITHER)
    strange = sum(not character.isprintable() and character not in "\t\n\r\f\v\x1b\u2028\u2029\ufeff\xa0\xad"
                  for character in text[:20_000] if character < "\xa0")  # fmt: skip
    if "\0" in text or strange * 200 > min(len(text), 20_000):
        raise Refused(NEITHER)
    if not text.strip():
        raise Refused("The file is empty.")
    text = stored(text)
    return {
        "kind": "text",
        "content_type": "text/plain",
        "text": text[:MOST_CHARACTERS],
        "is_cut": len(text) > MOST_CHARACTERS,
    }


def read(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What the file is, decided by its content, and the bytes to store."""
    if not data:
        raise Refused("The file is empty.")
    if kind := picture_format(data):
        return read_picture(data, kind)
    if b"%PDF-" in data[:1024]:
        return read_pdf(data), data
    return read_text(data), data


def main() -> int:
    """Read stdin within the bounds, and say what it is."""
    for which, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(which, (most, most))
        except (OSError, ValueError):
            pass  # not every system bounds everything; the caller's clock does
    try:
        said, body = read(sys.stdin.buffer.read())
    except Refused as refused:
        said, body = {"refused": str(refused)}, b""
    except MemoryError:
        said, body = {"refused": "The file takes too much memory to read."}, b""
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
