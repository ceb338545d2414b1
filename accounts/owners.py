"""Mail to those who own the site: what they must hear of once, and soon."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage

from accounts.models import Role, User


def tell_owners(subject: str, body: str) -> bool:
    """Put a mail to every active owner into the outbox, in the caller's transaction; False when there is none.

    Whoever calls sees to it that the same thing is told once.
    """
    people = User.objects.filter(role=Role.OWNER, is_active=True).order_by("id").values_list("email", flat=True)
    for address in people:
        signed = f"{body}\n\n{settings.SITE_NAME}, {settings.SITE_URL}/admin/\n"
        EmailMessage(f"{settings.SITE_NAME}: {subject}", signed, to=[address]).send()
    return bool(people)
