"""The forms of keys and teams: what each field takes at its bounds, and what of it becomes terms."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django import forms

from accounts.models import ApiKey, Membership, TeamRole, User
from oneai.kit.errors import Refusal
from quotas.key_forms import KeyForm, RotationForm, last_day, of_key
from quotas.team_forms import HeirForm, InviteForm, MemberForm, NameForm, TeamForm

KEY = {"name": "Nightly report", "scopes": ["chat"]}
OWNER, ADMIN, MEMBER = (Membership(role=role) for role in (TeamRole.OWNER, TeamRole.ADMIN, TeamRole.MEMBER))


def address(length: int) -> str:
    """An e-mail address of so many characters."""
    domain = ".".join("b" * 60 for _ in range(3)) + ".com"
    return f"{'a' * (length - len(domain) - 1)}@{domain}"


def member(data: dict[str, str]) -> MemberForm:
    return MemberForm({"role": "member"} | data, mine=OWNER, place=MEMBER)


def invite(data: dict[str, str]) -> InviteForm:
    return InviteForm({"email": "a@example.com", "role": "member"} | data, mine=OWNER)


def key(data: dict[str, Any]) -> KeyForm:
    return KeyForm(KEY | data)


BOUNDS: list[tuple[Any, str, list[str], list[str]]] = [
    (key, "name", ["x", "x" * 100], ["", "x" * 101]),
    (key, "scopes", [["usage"]], [[], ["admin"]]),  # type: ignore[list-item]
    (key, "expires_on", ["", "2099-01-31", "9999-12-31"], ["soon", "2099-02-30"]),
    (key, "limit_tokens", ["", "1", str(10**15)], ["0", "-1", "1.5", str(10**15 + 1)]),
    (key, "limit_usd", ["", "0.000000001", "1000000"], ["0", "0.0000000001", "1000000.000000001"]),
    (key, "requests_per_minute", ["", "1", "1000000"], ["0", "1000001"]),
    (key, "tokens_per_minute", ["", "1", str(10**9)], ["0", str(10**9 + 1)]),
    (key, "allowed_models", ["", "a/*"], []),
    (key, "allowed_addresses", ["", "192.0.2.7"], []),
    (RotationForm, "overlap", ["0", "3600", "86400", "604800", "2592000"], ["", "1", "3601", "2592001"]),
    (NameForm, "name", ["x", "x" * 100], ["", "x" * 101]),
    (invite, "email", [address(254)], ["", address(255), "x"]),
    (
        lambda data: InviteForm({"email": "a@example.com"} | data, mine=OWNER),
        "role",
        ["admin", "member"],
        ["", "owner"],
    ),
    (member, "role", ["admin", "member"], ["", "owner"]),
    (member, "cap_tokens", ["", "0", str(10**15)], ["-1", str(10**15 + 1)]),
    (member, "cap_usd", ["", "0", "0.000000001", "1000000"], ["-1", "0.0000000001", "1000000.01"]),
]


@pytest.mark.parametrize(("make", "field", "good", "bad"), BOUNDS, ids=[bound[1] for bound in BOUNDS])
def test_a_field_takes_what_its_bounds_allow_and_nothing_beyond(
    make: Any, field: str, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert make({field: value}).errors == {}, value
    for value in bad:
        assert list(make({field: value}).errors) == [field], value


def test_what_is_left_out_is_no_bound() -> None:
    form = key({})
    assert form.is_valid()
    assert form.terms() == KEY | {
        "limit_tokens": None, "limit_nano_usd": None, "requests_per_minute": None, "tokens_per_minute": None,
        "allowed_models": [], "allowed_networks": [], "expires_at": None,
    }  # fmt: skip
    caps = member({})
    assert caps.is_valid() and caps.caps() == {"cap_tokens": None, "cap_nano_usd": None}
    caps = member({"cap_tokens": "0", "cap_usd": "0"})
    assert caps.is_valid() and caps.caps() == {"cap_tokens": 0, "cap_nano_usd": 0}


def ends(form: KeyForm, key: ApiKey | None = None) -> Any:
    """The end among the terms of what was filled in; a word when it is to stay as it is."""
    assert form.is_valid()
    return form.terms(key).get("expires_at", "stays")


def test_a_key_ends_with_its_last_day_and_one_that_ends_there_keeps_its_second() -> None:
    end = datetime(2099, 2, 1, tzinfo=UTC)
    microsecond = timedelta(microseconds=1)
    days = {end: date(2099, 1, 31), end + microsecond: date(2099, 2, 1), end - microsecond: date(2099, 1, 31)}
    assert {moment: last_day(ApiKey(expires_at=moment)) for moment in days} == days
    assert last_day(ApiKey()) is None
    last = datetime.max.replace(tzinfo=UTC)
    for text, expires in (("2099-01-31", end), ("9999-12-31", last), ("", None)):
        assert ends(key({"expires_on": text})) == expires
        assert ends(key({"expires_on": text}), ApiKey()) == ("stays" if text == "" else expires)
    exact = ApiKey(expires_at=end - timedelta(hours=3))
    for text, kept in (("2099-01-31", "stays"), ("2099-02-01", end + timedelta(days=1)), ("", None)):
        assert ends(key({"expires_on": text}), exact) == kept


def test_a_form_is_filled_with_what_there_is() -> None:
    there = ApiKey(name="k", scopes=["chat"], limit_nano_usd=0, allowed_models=["a/*", "b/c"])
    values = of_key(there)
    assert (values["limit_usd"], values["limit_tokens"], values["expires_on"]) == ("0", None, None)
    assert (values["allowed_models"], values["allowed_addresses"]) == ("a/*\nb/c", "")
    assert of_key(ApiKey(name="k"))["limit_usd"] is None
    for cap, shown in ((None, None), (0, "0"), (5, "0.000000005")):
        place = Membership(role=TeamRole.ADMIN, cap_tokens=7, cap_nano_usd=cap)
        initial = MemberForm(mine=OWNER, place=place).initial
        assert initial == {"role": TeamRole.ADMIN, "cap_tokens": 7, "cap_usd": shown}


def test_only_an_owner_gives_roles_and_never_to_themselves() -> None:
    for mine, place, there in ((OWNER, MEMBER, True), (OWNER, OWNER, False), (ADMIN, MEMBER, False)):
        assert ("role" in MemberForm(mine=mine, place=place).fields) is there
    assert ["role" in InviteForm(mine=mine).fields for mine in (OWNER, ADMIN)] == [True, False]


def test_an_heir_is_one_of_the_others_by_name_or_by_address() -> None:
    named, plain = (User(name=name, email=f"{name or 'x'}@example.com") for name in ("Mia", ""))
    others = [Membership(user=user) for user in (named, plain)]
    form = HeirForm({"heir": str(plain.pk)}, others=others)
    field = form.fields["heir"]
    assert isinstance(field, forms.ChoiceField)
    assert list(field.choices) == [(str(named.pk), "Mia"), (str(plain.pk), "x@example.com")]
    assert form.is_valid() and form.chosen() == plain.pk
    assert not HeirForm({"heir": str(User().pk)}, others=others).is_valid()


@pytest.mark.parametrize(
    ("make", "param", "field"),
    [
        (key, "limit_nano_usd", "limit_usd"), (key, "allowed_networks", "allowed_addresses"), (key, "name", "name"),
        (key, "expires_at", "expires_on"), (key, None, "__all__"), (key, "elsewhere", "__all__"),
        (member, "cap_nano_usd", "cap_usd"), (member, "cap_tokens", "cap_tokens"), (member, None, "__all__"),
        (member, "elsewhere", "__all__"),
    ],
)  # fmt: skip
def test_a_refusal_is_shown_at_the_field_that_it_is_about(make: Any, param: str | None, field: str) -> None:
    form: KeyForm | TeamForm = make({})
    assert form.is_valid()
    assert form.refused(Refusal("invalid_value", "Not so.", param=param)) == 400
    assert form.errors == {field: ["Not so."]}


def test_the_browser_leaves_it_to_the_site_to_say_what_is_missing() -> None:
    for form in (KeyForm(), NameForm(), MemberForm(mine=OWNER, place=MEMBER), InviteForm(mine=OWNER)):
        assert " required" not in form.as_p()
    long = KeyForm().as_p()
    assert long.count('rows="3"') == 2
