"""`manage.py check_api_keys`: which texts are keys of this site, and the end of those that are."""

from __future__ import annotations

import io
import json
import re
import sys
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from accounts import apikeys, own_keys
from accounts.authentication import authenticate
from accounts.models import ApiKey, AuditEntry, User
from oneai.kit import clock
from oneai.kit.errors import Refusal
from tests.accounts.people import command, mails_to, make
from tests.architecture.source import ROOT

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(db: None, settings: Any) -> User:
    settings.EMAIL_BACKEND = "accounts.outbox.OutboxBackend"
    return make()


def check(text: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    printed = command("check_api_keys", "--json", *arguments)
    for secret in re.findall(r"_([0-9A-Za-z]{49})", text):
        assert secret not in printed
    return list(json.loads(printed))


def good(text: str) -> bool:
    try:
        return authenticate({"authorization": f"Bearer {text}"}, {}, "192.0.2.7") is not None
    except Refusal:
        return False


def test_every_text_is_told_for_what_it_is(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    key, text = apikeys.mint(owner, "live")
    bound = apikeys.mint(owner, "bound", allowed_networks=["192.0.2.7"])[1]
    revoked = apikeys.mint(owner, "revoked")
    apikeys.revoke([revoked[0]])
    expired = apikeys.mint(owner, "expired", expires_at=clock.now() + timedelta(days=1))
    ApiKey.objects.filter(pk=expired[0].pk).update(expires_at=clock.now())
    body = "oneai_0123456789_" + "z" * 43
    elsewhere = body + apikeys._checksum(body)
    typo = text[:-1] + ("A" if text[-1] != "A" else "B")
    found = check(
        f'export KEY="{text}"\n{bound},{revoked[1]};{expired[1]} https://x.example/?k={elsewhere}&b={typo}\n'
        f"again {text} and {text}x and oneai_short and x{text}",
        monkeypatch=monkeypatch,
    )
    assert [row["verdict"] for row in found] == ["good", "good", "revoked", "expired", "unknown", "no key"]
    assert found[0] == {
        "prefix": key.prefix,
        "verdict": "good",
        "ended": False,
        "key_id": str(key.pk),
        "name": "live",
        "email": owner.email,
    }
    assert found[4]["email"] is None and found[5]["key_id"] is None
    assert good(text) and not AuditEntry.objects.exists()


def test_a_good_one_is_ended_on_demand_and_its_owner_told(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    text = apikeys.mint(owner, "live", allowed_networks=["192.0.2.7"])[1]
    reason = ["--revoke", "--reason", "a public repository"]
    assert [row["ended"] for row in check(text, *reason, monkeypatch=monkeypatch)] == [True]
    assert not good(text)
    assert [row["ended"] for row in check(text, *reason, monkeypatch=monkeypatch)] == [False]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject_id, entry.reason) == ("api_key.revoked", owner.pk, "a public repository")
    (mail,) = mails_to(owner.email)
    assert mail.subject == "Your API key live was found in public"
    assert b"It was revoked" in bytes(mail.message) and b"a public repository" in bytes(mail.message)


def test_the_text_from_before_a_rotation_ends_alone(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    key, old = apikeys.mint(owner, "live")
    new = own_keys.rotate(owner, key.pk)[1]
    assert [row["ended"] for row in check(old, "--revoke", "--reason", "x", monkeypatch=monkeypatch)] == [True]
    assert (good(old), good(new)) == (False, True)
    assert b"The new one is not touched" in bytes(mails_to(owner.email)[0].message)
    assert [row["verdict"] for row in check(old, monkeypatch=monkeypatch)] == ["unknown"]


def test_files_are_read_and_people_get_lines(owner: User, tmp_path: Path) -> None:
    key, text = apikeys.mint(owner, "live")
    (tmp_path / "a").write_bytes(b"\xff\x00 " + text.encode())
    assert command("check_api_keys", str(tmp_path / "a")) == f"{key.prefix}… good {owner.email} 'live'"
    with pytest.raises(CommandError, match="No such file"):
        command("check_api_keys", str(tmp_path / "b"))
    with pytest.raises(CommandError, match="--reason"):
        command("check_api_keys", str(tmp_path / "a"), "--revoke")
    assert good(text)


def test_the_page_tells_scanners_what_a_key_looks_like(owner: User) -> None:
    """The pattern and the checksum of docs/api-keys.md, by somebody who has nothing else."""
    page = (ROOT / "docs" / "api-keys.md").read_text(encoding="utf-8")
    pattern = re.search(r"^    (oneai_\S+)$", page, re.MULTILINE)
    assert pattern
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert digits in page and "CRC-32" in page
    for _ in range(20):
        text = apikeys.mint(owner)[1]
        assert re.fullmatch(pattern[1], text)
        value = 0
        for digit in text[-6:]:
            value = value * 62 + digits.index(digit)
        assert value == zlib.crc32(text[:-6].encode())
