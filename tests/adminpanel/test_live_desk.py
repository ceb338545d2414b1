"""An owner at a running site: a quota set on the desk holds for the customer's key at once, and the audit has it."""

from __future__ import annotations

import re

import httpx

from tests.accounts.test_live_sign_in import TOKEN, Browser
from tests.servers.site import PASSWORD, Site


def test_a_quota_set_on_the_desk_holds_at_once_and_is_ended_by_the_api(live_site: Site) -> None:
    customer = live_site.new_user()
    address = customer.email.replace("user-", "owner-")
    live_site.command("create_user", address, "--password", PASSWORD, "--verified", "--role", "owner")
    owner = Browser(live_site)
    assert owner.submit("/login", login=address, password=PASSWORD).status_code == 302

    def limit() -> int:
        headers = {"authorization": f"Bearer {customer.api_key}"}
        return int(httpx.get(f"{live_site.url}/api/user/quota", headers=headers).json()["limits"][0]["limit"])

    before = limit()
    person = owner.http.get("/admin/desk/people/", params={"q": customer.email}).headers["location"]
    form = {"what_for": "limit", "limit-tokens": "123456", "limit-scope": "*", "limit-reason": "a launch"}
    assert owner.submit(person, **form).status_code == 302
    assert limit() == 123_456
    page = owner.http.get(person).text
    assert "a launch" in page
    user_id = re.search(r"people/([0-9a-f-]{36})/", person)
    token = TOKEN.search(page)
    assert user_id and token
    path = f"/api/admin/quotas/{user_id[1]}"
    override = owner.http.get(path).json()["overrides"][0]
    assert (override["limit"], override["actor"], override["reason"]) == (123_456, address, "a launch")
    body = {"end_override": override["id"], "reason": "over"}
    assert owner.http.patch(path, json=body).json()["error"]["code"] == "csrf_failed"
    assert owner.http.patch(path, json=body, headers={"x-csrftoken": token[1]}).status_code == 200
    assert limit() == before
    found = owner.http.get("/api/admin/audit", params={"q": user_id[1]}).json()["results"]
    assert {row["action"] for row in found} >= {"quota.set", "override.ended"}
    assert all(row["actor"] == address for row in found if row["action"] in ("quota.set", "override.ended"))
