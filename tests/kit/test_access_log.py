"""The line that each request leaves in the log."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers.site import Site


def access(site: Site, answer: httpx.Response) -> list[dict[str, Any]]:
    return [line for line in site.lines_of(answer.headers["x-request-id"]) if line["logger"] == "access"]


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/models", {"Authorization": "Bearer oneai_no"}, "invalid_api_key"),
        ("/api/user/quota", {}, "not_authenticated"),
        ("/api/nothing", {}, "not_found"),
        ("/nothing", {}, "not_found"),
        ("/", {"Host": "elsewhere.example"}, "invalid_request"),
    ],
    ids=["the hot doors", "the API", "no door of the API", "a page", "another host"],
)
def test_why_something_was_refused_is_told(live_site: Site, path: str, headers: dict[str, str], code: str) -> None:
    answer = httpx.get(live_site.url + path, headers=headers)
    assert [line.get("refused") for line in access(live_site, answer)] == [code]


def test_what_was_answered_is_not_called_refused(live_site: Site) -> None:
    answer = httpx.get(live_site.url + "/pricing")
    assert all("refused" not in line for line in access(live_site, answer))
