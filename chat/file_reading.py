"""What a file is that somebody sent, told by a process of its own (``chat/file_reader.py``); a few at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from oneai.kit.errors import Refusal

log = structlog.get_logger("files")

AT_ONCE: Final = 2
WAIT_SECONDS: Final = 20.0
LONGEST_SECONDS: Final = 40.0
_SCRIPT: Final = Path(__file__).with_name("file_reader.py")
_room = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file as it is stored, and what models get of it.

    ``text`` is empty for a picture, ``pages`` is None but for a PDF.
    """

    kind: str
    content_type: str
    body: bytes
    text: str = ""
    is_cut: bool = False
    width: int | None = None
    height: int | None = None
    pages: int | None = None


def read(data: bytes) -> FileRead:
    """Read ``data``. Refusals ``unsupported_file``, which says why for people, and ``unavailable``."""
    if not _room.acquire(timeout=WAIT_SECONDS):
        raise Refusal("unavailable", "Too many files are being read. Try again shortly.", retry_after=5)
    try:
        command = [sys.executable, "-I", str(_SCRIPT)]
        done = subprocess.run(command, input=data, capture_output=True, timeout=LONGEST_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise Refusal("unsupported_file", "Reading the file takes too long.", param="file") from error
    finally:
        _room.release()
    line, _, body = done.stdout.partition(b"\n")
    try:
        said: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        log.warning("file_reader_died", status=done.returncode, last=done.stderr[-300:].decode("utf-8", "replace"))
        raise Refusal("unsupported_file", "The file can't be read.", param="file") from error
    if "refused" in said:
        raise Refusal("unsupported_file", said["refused"], param="file")
    return FileRead(body=body, **said)
