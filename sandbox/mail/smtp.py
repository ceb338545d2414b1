"""The mail server: takes everything, unless it was told to refuse."""

from __future__ import annotations

import asyncio

from aiosmtpd.smtp import SMTP, Envelope, Session

from .box import Mailbox

MAX_BYTES = 30 * 1024 * 1024


class Keeper:
    """Puts each delivered mail into the mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The reply to a delivery: 451 while refusals are ordered, then 250."""
        if self._mailbox.refusals > 0:
            self._mailbox.refusals -= 1
            return "451 4.3.0 Sandbox: refused as ordered, try again"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        mail = self._mailbox.deliver(envelope.mail_from or "", list(envelope.rcpt_tos), content)
        return f"250 OK sandbox mail {mail.number}"


async def start_smtp(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """Listens for mail. Raises OSError when the port is taken."""
    keeper = Keeper(mailbox)
    return await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, hostname="sandbox.localhost", ident="OneAI sandbox", enable_SMTPUTF8=True,
                     data_size_limit=MAX_BYTES),
        host,
        port,
    )  # fmt: skip
