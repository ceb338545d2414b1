"""What the doctor says of the site's own keys: whether they still fit what was made with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adminpanel.doctor_findings import Finding, Level

SHORTEST_FIELD_KEY = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """What a few rows showed. ``entries`` are of the ledger, ``sealed`` the secrets of second steps.

    ``api_keys`` counts those that have not ended; ``field_key_lengths`` is in characters.
    """

    formers: int = 0
    entries: int = 0
    unverified_entries: int = 0
    api_keys: int = 0
    sealed: int = 0
    unopened: int = 0
    field_key_lengths: tuple[int, ...] = ()


def judge_keys(keys: Keys | None) -> Iterator[Finding]:
    """SECRET_KEY by the ledger, which is chained with it; FIELD_ENCRYPTION_KEYS by what is sealed."""
    if keys is None:
        return
    if keys.unverified_entries:
        text = (
            f"does not verify {keys.unverified_entries} of {keys.entries} entries of the ledger that were looked at: "
            "they were made with another. Put the former one into SECRET_KEY_FALLBACKS"
        )
        lost = f"; {keys.api_keys} API keys are refused if it made them." if keys.api_keys else "."
        yield Finding(Level.UNSAFE, "SECRET_KEY", text + lost)
    elif keys.entries:
        more = f" with {keys.formers} former {'one' if keys.formers == 1 else 'ones'}" if keys.formers else ""
        yield Finding(Level.OK, "SECRET_KEY", f"fits the ledger{more}.")
    if any(length < SHORTEST_FIELD_KEY for length in keys.field_key_lengths):
        text = f"has a key of fewer than {SHORTEST_FIELD_KEY} characters, which can be guessed."
        yield Finding(Level.UNSAFE, "FIELD_ENCRYPTION_KEYS", text)
    if keys.unopened:
        text = (
            f"does not open {keys.unopened} of {keys.sealed} second steps that were looked at: "
            "their owners can't sign in. List the former key behind the new one."
        )
        yield Finding(Level.UNSAFE, "FIELD_ENCRYPTION_KEYS", text)
