"""What readers say of a page of the documentation."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from accounts import throttles
from content.models import DocsFeedback, DocsPage
from oneai.kit.errors import Refusal

MOST: Final = 2000
BY_ADDRESS: Final = throttles.Limit("docs-feedback/address", 20, 3600)


def give(slug: str, helpful: bool, comment: str, address: str, user_id: UUID | None = None) -> DocsFeedback:
    """Keep it. Refusal ``not_found`` for an unknown page, ``invalid_value`` for a comment that is too long.

    Counted by ``address``: anybody may speak, twenty times an hour.
    """
    page = DocsPage.objects.filter(slug=slug, is_published=True).only("id").first()
    if page is None:
        raise Refusal("not_found", "There is no such page.", param="slug")
    comment = comment.strip()
    if len(comment) > MOST:
        raise Refusal("invalid_value", f"A comment has at most {MOST:,} characters.", param="comment")
    if "\0" in comment:
        raise Refusal("invalid_value", "This text can't be kept.", param="comment")
    throttles.take(BY_ADDRESS, address)
    return DocsFeedback.objects.create(page=page, helpful=helpful, comment=comment, user_id=user_id)
