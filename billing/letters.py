"""A mail about money: its words once, printed as text and as HTML, so that the two can't differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from billing.models import Seller


@dataclass(frozen=True, slots=True)
class Link:
    """Where a mail leads: ``path`` is one of this site, beginning with a slash."""

    label: str
    path: str

    @property
    def url(self) -> str:
        return settings.SITE_URL + self.path


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says: what happened, the figures, what follows, and the one thing that can be done about it."""

    subject: str
    heading: str
    what: str
    facts: Sequence[tuple[str, str]] = ()
    then: str = ""
    action: Link | None = None
    links: Sequence[Link] = ()
    foot: str = "You get this mail because of your plan."


@dataclass(frozen=True, slots=True)
class Paper:
    """A PDF that goes with a mail."""

    name: str
    content: bytes = field(repr=False)


def _context(letter: Letter) -> dict[str, object]:
    return {"letter": letter, "site_name": settings.SITE_NAME, "site_url": settings.SITE_URL}


def as_text(letter: Letter) -> str:
    return render_to_string("billing/email/letter.txt", _context(letter))


def as_html(letter: Letter) -> str:
    return render_to_string("billing/email/letter.html", _context(letter))


def message(letter: Letter, address: str, papers: Sequence[Paper] = ()) -> EmailMultiAlternatives:
    """The mail, not yet sent. An answer to it goes to the seller's address, if one is set."""
    replies = list(Seller.objects.exclude(email="").values_list("email", flat=True))
    mail = EmailMultiAlternatives(letter.subject, as_text(letter), to=[address], reply_to=replies)
    mail.attach_alternative(as_html(letter), "text/html")
    for paper in papers:
        mail.attach(paper.name, paper.content, "application/pdf")
    return mail
