"""What may be asked of a key: every address, model and limit that is taken, and every one that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts import keyring
from accounts.key_terms import checked
from accounts.models import Role
from accounts.principal import SCOPES, scopes_for
from oneai.kit.errors import Refusal

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


def refused(**terms: Any) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        checked(terms, "user", AT)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("::/0", "::/0"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:200/120", "192.0.2.0/24"),
    ],
)
def test_an_address_is_kept_as_it_is_written_shortest(written: str, kept: str) -> None:
    assert checked({"allowed_networks": [written]}, "user", AT) == {"allowed_networks": [kept]}


@pytest.mark.parametrize(
    "written",
    [
        "", "localhost", "192.0.2", "192.0.2.256", "192.0.02.7", "192.0.2.7:443", "192.0.2.7/33", "192.0.2.9/24",
        "192.0.2.0-192.0.2.9", "2001:db8::g", "2001:db8::1/32", "fe80::1%eth0", "[2001:db8::1]", "*", "192.0.2.*",
        "１９２.0.2.7", "192.0.2.7\x00", "192.0.2.7\n10.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(written: str) -> None:
    assert refused(allowed_networks=[written]) == ("invalid_value", "allowed_addresses")


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "", True),
        ([], "unknown", True),
        (["192.0.2.0/24"], "192.0.2.0", True),
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.7"], "::ffff:192.0.2.7", True),
        (["192.0.2.7"], "::ffff:c000:207", True),
        (["192.0.2.7"], "::192.0.2.7", False),
        (["::/0"], "192.0.2.7", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["198.51.100.0/24", "2001:db8::1"], "2001:0db8::0001", True),
        (["192.0.2.0/24"], "", False),
        (["192.0.2.0/24"], "unknown", False),
        (["192.0.2.0/24"], "192.0.2.7, 10.0.0.1", False),
    ],
)
def test_a_key_is_good_from_its_addresses_alone(networks: list[str], address: str, allowed: bool) -> None:
    assert keyring.address_allowed(networks, address) is allowed


@pytest.mark.parametrize("model", ["", " ", "a b", "openai/[ab]", "open?ai/x", "x" * 201, "é", "a\nb"])
def test_what_is_no_model_is_refused(model: str) -> None:
    assert refused(allowed_models=[model]) == ("invalid_value", "allowed_models")


@pytest.mark.parametrize(
    ("patterns", "slug", "allowed"),
    [
        ([], "any/thing", True),
        (["openai/gpt-4o-mini"], "openai/gpt-4o-mini", True),
        (["openai/gpt-4o-mini"], "openai/gpt-4o-mini:free", False),
        (["openai/*"], "openai/gpt-4o", True),
        (["openai/*"], "OpenAI/gpt-4o", False),
        (["openai/gpt-4.1"], "openai/gpt-421", False),
        (["*:free"], "any/thing:free", True),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(patterns: list[str], slug: str, allowed: bool) -> None:
    assert keyring.model_allowed(checked({"allowed_models": patterns}, "user", AT)["allowed_models"], slug) is allowed


@pytest.mark.parametrize("name", ["limit_tokens", "limit_nano_usd", "requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("value", [0, -1, 10**16, 2**63])
def test_a_limit_is_at_least_one_and_fits_its_column(name: str, value: int) -> None:
    assert refused(**{name: value}) == ("invalid_value", name)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "a\u202eb"])
def test_a_name_is_a_line_that_can_be_read(name: str) -> None:
    assert refused(name=name) == ("invalid_value", "name")


def test_a_name_is_kept_in_one_line() -> None:
    assert checked({"name": "  Nightly \n report "}, "user", AT) == {"name": "Nightly report"}


@pytest.mark.parametrize(
    ("days", "announced"), [(None, None), (3, None), (7, None), (8, 1), (400, 393)], ids=lambda value: f"{value}"
)
def test_an_end_is_announced_a_week_ahead_unless_it_is_nearer(days: int | None, announced: int | None) -> None:
    end = None if days is None else AT + timedelta(days=days)
    at = None if announced is None else AT + timedelta(days=announced)
    assert checked({"expires_at": end}, "user", AT) == {"expires_at": end, "warn_at": at}


def test_every_role_says_which_scopes_its_keys_may_have() -> None:
    assert all(scopes_for(role) <= SCOPES and scopes_for(role) for role in Role.values)
    assert scopes_for("nobody") == frozenset()


def test_no_scope_goes_beyond_the_role() -> None:
    with pytest.raises(Refusal) as caught:
        checked({"scopes": ["chat"]}, "nobody", AT)
    assert (caught.value.code, caught.value.param) == ("permission_denied", "scopes")
