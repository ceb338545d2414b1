"""The bytes of people's files: stored, read and removed by the file's id alone, wherever ``STORAGE_URL`` says."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from chat.attached import PICTURE
from oneai.kit.errors import Refusal

log = structlog.get_logger("files")

_readers: Final = ThreadPoolExecutor(2, thread_name_prefix="pictures")


def _key(attachment_id: UUID) -> str:
    name = attachment_id.hex
    return f"attachments/{name[-2:]}/{name}"  # the end is random, the beginning is the time


def save(attachment_id: UUID, body: bytes) -> None:
    """Store the file's bytes. Refusal ``unavailable``."""
    try:
        default_storage.save(_key(attachment_id), ContentFile(body))
    except Exception as error:
        log.exception("file_not_stored")
        raise Refusal("unavailable", "Files can't be stored at the moment.", retry_after=5) from error


def load(attachment_id: UUID) -> bytes:
    """The file's bytes. Refusal ``unavailable``."""
    try:
        with default_storage.open(_key(attachment_id)) as file:
            return bytes(file.read())
    except Exception as error:
        log.error("file_not_read", attachment=str(attachment_id), error=type(error).__name__)
        raise Refusal("unavailable", "A file of this message can't be read at the moment.") from error


def remove(attachment_id: UUID) -> None:
    """Remove the file's bytes, if they are there. Raises what the store raises."""
    default_storage.delete(_key(attachment_id))


def _inline(address: str) -> str:
    name, _, content_type = address.removeprefix(PICTURE).partition(":")
    return f"data:{content_type};base64,{base64.b64encode(load(UUID(name))).decode()}"


def _address(part: Any) -> str:
    is_picture = isinstance(part, dict) and part.get("type") == "image_url"
    url = part["image_url"].get("url", "") if is_picture else ""
    return url if url.startswith(PICTURE) else ""


async def with_pictures(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``messages`` with the bytes of the pictures that they name. Refusal ``unavailable``."""
    if not any(_address(part) for message in messages for part in _parts(message)):
        return messages
    loop = asyncio.get_running_loop()
    made = []
    for message in messages:
        parts = []
        for part in _parts(message):
            if address := _address(part):
                part = {
                    "type": "image_url",
                    "image_url": {"url": await loop.run_in_executor(_readers, _inline, address)},
                }
            parts.append(part)
        made.append(message | {"content": parts} if parts else message)
    return made


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []
