"""Who asks: the one value that every door hands down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings

from oneai.kit.errors import Refusal

SCOPES = frozenset({"chat", "models", "usage", "conversations"})
# What a key of somebody in a role may do. It is read at every use, so a key is never wider than its owner's
# role is at that moment; what is staff's alone is no scope at all.
_OF_ROLE = {"user": SCOPES, "support": SCOPES, "finance": SCOPES, "owner": SCOPES}


def scopes_for(role: str) -> frozenset[str]:
    """The scopes that a key of somebody in ``role`` may have; none for a role that is not known."""
    return _OF_ROLE.get(role, frozenset())


def needs_second_step(role: str) -> bool:
    """Whether somebody in ``role`` is staff only after a second step."""
    return bool(settings.STAFF_NEEDS_SECOND_STEP) and role != "user"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, and by what they are known: session, JWT, a token of Supabase's or API key.

    ``scopes`` is None for a person who may do all that is theirs; a key has the scopes it was
    given and nothing else. ``sign_in_id`` is the row that a program's token needs to be there;
    ``second_step``: whether signing in took one (a program's does wherever it must).
    ``seal`` is what a session or token was found to stand on (the person's password and epoch), and
    by which of a key's texts somebody came (its prefix): when that has changed, it has ended. REST
    framework's and Django's checks read the two properties.
    """

    user_id: UUID
    email: str
    role: str
    method: str
    scopes: frozenset[str] | None = None
    api_key_id: UUID | None = None
    expires_at: datetime | None = None
    session_key: str | None = None
    sign_in_id: UUID | None = None
    second_step: bool = False
    name: str = ""
    seal: str = field(default="", repr=False)

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def pk(self) -> UUID:
        return self.user_id

    def require(self, scope: str) -> None:
        """Refusal ``insufficient_scope`` unless this principal has ``scope``."""
        if self.scopes is not None and scope not in self.scopes:
            raise Refusal("insufficient_scope", f"The key needs the scope {scope!r}.", details={"scope": scope})

    def require_second_step(self) -> None:
        """Refusal ``second_factor_required`` when whoever acts as staff must have taken the step, and has not."""
        if needs_second_step(self.role) and not self.second_step:
            raise Refusal("second_factor_required", "Staff need a second step: set it up, and sign in with it.")

    def require_person(self) -> None:
        """Refusal ``insufficient_scope`` for an API key: what is here is for people only."""
        if self.scopes is not None:
            raise Refusal("insufficient_scope", "An API key may not do this.")
