"""The mail outbox: a message is a row of the transaction that causes it, and the worker sends it.

Any number of workers may send: each claims a message by a conditional update under a lease. A
message that was accepted is never sent again; one whose worker died between the server's "accepted"
and our note of it may arrive twice, under the same Message-ID.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.utils import parseaddr
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SMTP
from django.db import transaction
from django.db.models import F, Min, Q
from django.db.models.functions import Coalesce, Greatest

from accounts.models import OutgoingMail
from oneai import env
from oneai.kit.clock import now

log = structlog.get_logger("mail")

State = OutgoingMail.State
LEASE: Final = timedelta(minutes=3)
FIRST_WAIT: Final = timedelta(seconds=10)
LONGEST_WAIT: Final = timedelta(hours=6)
MOST_ATTEMPTS: Final = 12
_TIMEOUT: Final = 15  # seconds for each step of the conversation with the server; well below LEASE
_OF_ONE_MESSAGE: Final = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)


class OutboxBackend(BaseEmailBackend):
    """Django's way to send mail: here it is only written down, in the caller's transaction."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        with transaction.atomic():
            for message in email_messages:
                OutgoingMail.objects.create(
                    to=message.recipients(),
                    message=message.message().as_bytes(linesep="\r\n"),  # type: ignore[call-arg]
                    subject=" ".join(str(message.subject).split())[:255],
                )
        return len(email_messages)


def _waiting(at: datetime) -> Q:
    return Q(state=State.WAITING, due_at__lte=at) & (Q(lease_until=None) | Q(lease_until__lte=at))


def due() -> datetime | None:
    """When the next message wants to be sent; None when none waits or no mail server is set."""
    if not settings.EMAIL_URL:
        return None
    waiting = OutgoingMail.objects.filter(state=State.WAITING)
    found: datetime | None = waiting.aggregate(at=Min(Greatest(F("due_at"), Coalesce(F("lease_until"), F("due_at")))))[
        "at"
    ]
    return found


def wait_after(attempts: int) -> timedelta:
    """How long after the ``attempts``-th failure the next try comes: 10 s, doubled, at most 6 h."""
    return min(LONGEST_WAIT, FIRST_WAIT * int(2 ** max(0, attempts - 1)))


def mail_server() -> SMTP:
    """A connection to the server of ``EMAIL_URL``, not yet opened; ImproperlyConfigured unless SMTP."""
    options: dict[str, Any] = env.email(settings.EMAIL_URL)
    return SMTP(
        host=options["EMAIL_HOST"],
        port=options["EMAIL_PORT"] or None,
        username=options["EMAIL_HOST_USER"] or "",
        password=options["EMAIL_HOST_PASSWORD"] or "",
        use_tls=bool(options.get("EMAIL_USE_TLS")),
        use_ssl=bool(options.get("EMAIL_USE_SSL")),
        timeout=_TIMEOUT,
    )


def _claim(mail_id: UUID, at: datetime) -> OutgoingMail | None:
    """The message, leased to us; None when somebody else has it."""
    claimed = OutgoingMail.objects.filter(_waiting(at), pk=mail_id).update(
        lease_until=at + LEASE, attempts=F("attempts") + 1
    )
    return OutgoingMail.objects.get(pk=mail_id) if claimed else None


def _send(server: SMTP, mail: OutgoingMail) -> None:
    server.open()
    connection = server.connection
    if connection is None:
        raise smtplib.SMTPServerDisconnected("no connection")
    content = bytes(mail.message)
    sender = parseaddr(message_from_bytes(content, policy=policy.default).get("From", ""))[1]
    refused = connection.sendmail(sender, mail.to, content)
    if refused:
        log.warning("mail_refused_in_part", mail_id=str(mail.pk), refused=len(refused))


def _failed(mail: OutgoingMail, error: Exception) -> None:
    """Note a failure: its kind and the server's code, never what the server quotes of the message."""
    code = getattr(error, "smtp_code", None) or getattr(error, "errno", None)
    name = type(error).__name__ + (f" {code}" if code else "")
    dead = mail.attempts >= MOST_ATTEMPTS
    OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING, lease_until=mail.lease_until).update(
        state=State.DEAD if dead else State.WAITING,
        due_at=now() + wait_after(mail.attempts),
        lease_until=None,
        last_error=name[:300],
    )
    log.warning("mail_failed", mail_id=str(mail.pk), error=name, attempts=mail.attempts, dead=dead)


def deliver(limit: int = 20) -> int:
    """Send up to ``limit`` messages that are due; returns how many the server accepted.

    A server that can't be reached ends the round: one message has then used up an attempt, the
    others stay as they are.
    """
    if not settings.EMAIL_URL:
        return 0
    ids = list(OutgoingMail.objects.filter(_waiting(now())).order_by("due_at").values_list("pk", flat=True)[:limit])
    if not ids:
        return 0
    sent = 0
    server = mail_server()
    try:
        for mail_id in ids:
            mail = _claim(mail_id, now())
            if mail is None:
                continue
            try:
                _send(server, mail)
            except (OSError, smtplib.SMTPException, ssl.SSLError, ValueError) as error:
                _failed(mail, error)
                if server.connection is not None and isinstance(error, _OF_ONE_MESSAGE):
                    continue
                break
            # The body held a code or a link: it is not kept once it has gone out.
            OutgoingMail.objects.filter(pk=mail.pk, state=State.WAITING).update(
                state=State.SENT, sent_at=now(), lease_until=None, last_error="", message=b""
            )
            sent += 1
            log.info("mail_sent", mail_id=str(mail.pk), attempts=mail.attempts)
    finally:
        server.close()
    return sent


def tidy(kept: timedelta = timedelta(days=30)) -> int:
    """Delete what was sent or given up longer ago than ``kept``; returns how many."""
    old = OutgoingMail.objects.exclude(state=State.WAITING).filter(created_at__lt=now() - kept)
    return old.delete()[0]
