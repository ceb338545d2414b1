"""Keys that lie about in public: finding them in any text, and ending those that are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from accounts import apikeys, audit, key_mails, keyring
from accounts.models import ApiKey
from oneai.kit.clock import now

NO_KEY: Final = "no key"
UNKNOWN: Final = "unknown"
GOOD: Final = "good"


@dataclass(frozen=True, slots=True)
class Finding:
    """A text that looks like a key: its prefix and what it is; of a key of ours also whose.

    ``verdict``: ``no key`` (the checksum is wrong), ``unknown`` (a key, but none of this site), ``good``,
    or why it is good no more: ``revoked``, ``rotated``, ``expired``.
    """

    prefix: str
    verdict: str
    digest: str = ""
    key_id: str = ""
    name: str = ""
    email: str = ""


def findings(text: str) -> Iterator[Finding]:
    """Everything in ``text`` that has the shape of a key, each once, in the order in which it comes."""
    at = now()
    for found in dict.fromkeys(apikeys.LOOKS_LIKE_A_KEY.findall(text)):
        prefix = found.rpartition("_")[0]
        digest = apikeys.digest_of(found)
        if digest is None:
            yield Finding(prefix, NO_KEY)
            continue
        keys, users = keyring.find([digest], dict.fromkeys(apikeys.former_digests(found), digest))
        key = keys.get(digest)
        if key is None:
            yield Finding(prefix, UNKNOWN)
            continue
        why = keyring.fault(key, at, keyring.prefix_of(key, digest), "")
        verdict = GOOD if why in {"", keyring.ADDRESS} else why
        row = ApiKey.objects.only("name").get(pk=key["id"])
        yield Finding(
            prefix, verdict, keyring.held(key, digest), str(key["id"]), row.name, users[key["user_id"]]["email"]
        )


def end(finding: Finding, actor: str, reason: str) -> bool:
    """End what was found, tell its owner, and note it; False when it had ended already.

    The text from before a rotation ends alone: the one that programs use by now was not found.
    """
    with transaction.atomic():
        key = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=finding.key_id)
        if key.revoked_at is not None or finding.digest not in {key.digest, key.previous_digest}:
            return False
        whole = finding.digest == key.digest
        if whole:
            apikeys.revoke([key])
        else:
            apikeys.forget_previous(key)
        action = "api_key.revoked" if whole else "api_key.previous_ended"
        audit.record(actor, action, key.user_id, target=finding.prefix, reason=reason)
        key_mails.tell_of_leak(key, finding.prefix, reason, whole=whole)
    return True
