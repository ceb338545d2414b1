"""What becomes of a file that somebody sends, decided by its content; the reader runs as it does for the site."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from chat import file_reading
from oneai.kit.errors import Refusal
from tests.chat import files


def test_a_photo_is_made_anew_upright_smaller_and_silent_about_where_it_was_taken() -> None:
    read = file_reading.read(files.photo((2400, 1200)))
    assert (read.kind, read.content_type, read.width, read.height) == ("image", "image/jpeg", 784, 1568)
    made = Image.open(BytesIO(read.body))
    assert made.size == (784, 1568)
    assert not made.getexif() and b"secret comment" not in read.body and b"Exif" not in read.body


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_other_pictures_are_taken_by_their_content(kind: str) -> None:
    read = file_reading.read(files.picture(kind, (300, 200)))
    assert (read.kind, read.width, read.height) == ("image", 300, 200)
    assert read.content_type == ("image/jpeg" if kind == "WEBP" else "image/png")


def test_what_is_clear_stays_clear() -> None:
    read = file_reading.read(files.picture("PNG", (30, 20), "RGBA"))
    assert (read.content_type, Image.open(BytesIO(read.body)).mode) == ("image/png", "RGBA")


def test_the_text_of_a_pdf_is_read_page_by_page() -> None:
    read = file_reading.read(files.pdf("The first words.", "The last words."))
    assert (read.kind, read.pages, read.is_cut) == ("pdf", 2, False)
    assert read.text.startswith("[Page 1]\nThe first words.") and "[Page 2]\nThe last words." in read.text


def test_text_is_decoded_and_a_long_one_cut() -> None:
    assert file_reading.read("नमस्ते, wörld\n".encode()).text == "नमस्ते, wörld\n"
    assert file_reading.read("Größe".encode("utf-16")).text == "Größe"
    assert file_reading.read("Größe".encode("cp1252")).text == "Größe"
    assert file_reading.read(b"<svg onload=alert(1)>").kind == "text"
    long = file_reading.read(b"word " * 60_000)
    assert (len(long.text), long.is_cut) == (200_000, True)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"PK\x03\x04" + bytes(200), "neither"),
        (b"\x7fELF" + bytes(range(256)) * 4, "neither"),
        (files.picture()[:200], "damaged"),
        (files.huge_picture(), "pixels"),
        (b"%PDF-1.7\nnothing of a PDF", "can't be read"),
        (files.pdf("Secret.", password="x"), "password"),
        (files.pdf(""), "no text"),
    ],
)
def test_what_can_not_be_taken_is_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        file_reading.read(body)
    assert refused.value.code == "unsupported_file" and says in refused.value.text
