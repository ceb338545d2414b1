"""The mails that were delivered to the sandbox: the last two hundred, in memory."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

KEPT = 200
LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail."""

    name: str
    type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One delivered mail. `recipients` are the envelope's: who really got it."""

    number: int
    received: float
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    attachments: tuple[Attachment, ...] = ()

    @property
    def links(self) -> list[str]:
        """The web addresses in the text, or in the HTML part of a mail without text."""
        return LINK.findall(self.text or self.html)

    def as_json(self) -> dict[str, Any]:
        """The mail for `/_control/mail`."""
        return {
            "n": self.number,
            "received": self.received,
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "links": self.links,
            "headers": self.headers,
            "attachments": [
                {"name": one.name, "type": one.type, "size": len(one.content), "url": f"/mail/{self.number}/files/{at}"}
                for at, one in enumerate(self.attachments)
            ],
        }


class Mailbox:
    """Mails, newest last, and how many deliveries are still to be refused."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._count = 0
        self.refusals = 0

    def clear(self) -> None:
        """Forgets the mails and the ordered refusals; numbers go on."""
        self._mails.clear()
        self.refusals = 0

    def deliver(self, sender: str, recipients: list[str], content: bytes) -> Mail:
        """Reads a mail as it came over the wire and keeps it."""
        message = message_from_bytes(content, policy=policy.default)
        self._count += 1
        mail = Mail(
            number=self._count,
            received=time.time(),
            sender=sender,
            recipients=tuple(recipients),
            subject=str(message.get("Subject", "")),
            text=_part(message, "plain"),
            html=_part(message, "html"),
            headers={name: str(value) for name, value in message.items()},
            attachments=tuple(map(_attachment, message.iter_attachments())),
        )
        self._mails.append(mail)
        return mail

    def newest_first(self, to: str | None = None) -> list[Mail]:
        """The mails, or those of one recipient."""
        wanted = to.casefold() if to else None
        return [
            mail
            for mail in reversed(self._mails)
            if wanted is None or any(wanted == one.casefold() for one in mail.recipients)
        ]

    def get(self, number: int) -> Mail | None:
        """The mail of this number, when it is still kept."""
        return next((mail for mail in self._mails if mail.number == number), None)


def _attachment(part: Any) -> Attachment:
    content = part.get_payload(decode=True)
    return Attachment(
        part.get_filename() or "", part.get_content_type(), content if isinstance(content, bytes) else b""
    )


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))
    if body is None:
        return ""
    try:
        return str(body.get_content())
    except (LookupError, ValueError):
        payload = body.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
