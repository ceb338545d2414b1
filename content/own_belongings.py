"""What this app holds of a person: what they said of pages of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts.belongings import File, Holder
from accounts.models import User
from content.models import DocsFeedback


def export(user: User) -> Iterator[File]:
    """Each word of feedback."""
    rows = DocsFeedback.objects.filter(user=user).order_by("created_at")
    yield "docs-feedback.json", list(rows.values("page__slug", "helpful", "comment", "created_at"))


def erase(user: User) -> int:
    """The mark stays and is nobody's; the words go."""
    return DocsFeedback.objects.filter(user=user).update(user=None, comment="")


HOLDER: Final = Holder("docs", export, erase)
