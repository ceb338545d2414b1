"""Whatever stands in a query, the answer is a list or a refusal that names the parameter; never a failure."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import User
from tests.chat.people import Api, conversation, thread
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db

LISTS = ["/api/conversations", "/api/conversations/{id}/messages", "/api/conversations/{id}/messages?tree=1",
         "/api/chat/history", "/api/chat/models"]  # fmt: skip


def cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ODD: list[dict[str, Any]] = [
    *({"sort": value} for value in ["user__password", "-user_id", "?", "id;--", "title,id", "__class__", "x" * 5000]),
    *(
        {"q": value}
        for value in ["%", "_", "\\", "'", '"', "\x00", "a" * 201, "%%%", "\\'; DROP TABLE users; --", "💥", "\ud800"]
    ),
    *({"limit": value} for value in ["0", "-1", "1e9", "abc", "9" * 5000, "١", "1.5", " ", "\x00", "100000"]),
    *(
        {"cursor": value}
        for value in [
            "x", "%", "====", "💥", "\x00", "a" * 5000, cursor(""), cursor("p="), cursor("p=abc"), cursor("p=\x00"),
            cursor("o=-1"), cursor("o=99999999999999999999"), cursor("o=x"), cursor("r=1&p=2026-01-01"),
            cursor("p=2026-01-01T00:00:00+00:00"), cursor("p=9999-99-99"), cursor("r=1"), cursor("at=-1"),
            cursor("at=999999999"), cursor("at=x"), cursor("at="), cursor("p=0001-01-01T00:00:00+14:00"),
        ]
    ),
    *({"archived": value} for value in ["maybe", "[]", "\x00"]),
    *({"tag": value} for value in ["'", "\x00", "[", "💥"]),
    *({"role": value} for value in ["admin", "\x00"]),
    *({"tree": value} for value in ["2", "\x00"]),
    *({"conversation": value} for value in ["x", "\x00", "0" * 32, "💥"]),
    *(
        {"from": value}
        for value in ["\x00", "99999-01-01", "2026-01-01T25:00", "💥💥💥💥💥💥💥💥💥💥", "9999-12-31T23:59:59-14:00"]
    ),
    *({"capability": value} for value in ["\x00", "x" * 300, "'"]),
    {"limit": ["1", "x"]},
    {"unknown__lookup": "1", "user_id": "1", "deleted_at__isnull": "0"},
]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_odd_parameters_never_fail(as_alice: Api, alice: User, models: UpstreamCatalogue, path: str) -> None:
    talk = conversation(alice)
    thread(talk, 3)
    base = path.format(id=talk.pk)
    for parameters in ODD:
        query = urlencode(parameters, doseq=True, errors="surrogatepass")
        response = as_alice.get(f"{base}{'&' if '?' in base else '?'}{query}")
        assert response.status_code in {200, 400, 404}, (parameters, response.content)
        body = response.json()
        if response.status_code == 200:
            assert set(body) == {"results", "next", "previous"}
        else:
            assert body["error"]["code"] in {"invalid_value", "not_found"}, parameters


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "abc"), ("cursor", "x"), ("cursor", cursor("at=-1&p=5"))]
)
def test_a_limit_or_cursor_that_makes_no_sense_is_named(
    as_alice: Api, alice: User, models: UpstreamCatalogue, path: str, name: str, value: str
) -> None:
    talk = conversation(alice)
    thread(talk, 3)
    base = path.format(id=talk.pk)
    response = as_alice.get(f"{base}{'&' if '?' in base else '?'}{urlencode({name: value})}")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("value", ["2026-W01-1", "2026-02-30", "٢٠٢٦-٠١-٠١"])
def test_a_day_is_written_as_year_month_and_day(as_alice: Api, name: str, value: str) -> None:
    response = as_alice.get("/api/chat/history", **{name: value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


BY_MOMENT = ["/api/conversations", "/api/user/api-keys", "/api/user/usage/records"]


@pytest.mark.parametrize("path", BY_MOMENT)
@pytest.mark.parametrize("direction", ["", "r=1&"])
@pytest.mark.parametrize(
    ("position", "status"),
    [
        ("0001-01-01T00:00:00%2B14:00", 400), ("9999-12-31T23:59:59-14:00", 400), ("2026-01-01T00:00:00", 400),
        ("x", 400), ("", 400), ("0001-01-01T00:00:00-14:00", 200), ("9999-12-31T23:59:59%2B14:00", 200),
    ],
)  # fmt: skip
def test_a_cursor_whose_moment_is_beyond_the_calendar_is_named(
    client: Client, alice: User, path: str, direction: str, position: str, status: int
) -> None:
    client.force_login(alice)
    response = client.get(path, {"cursor": cursor(f"{direction}p={position}")})
    assert response.status_code == status
    if status == 400:
        assert response.json()["error"]["param"] == "cursor"


@pytest.mark.parametrize("path", ["/api/conversations", "/api/chat/models"])
def test_a_sort_that_is_not_offered_is_refused(as_alice: Api, models: UpstreamCatalogue, path: str) -> None:
    response = as_alice.get(path, sort="user__password")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "sort"
