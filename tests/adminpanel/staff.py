"""Staff at the API: clients of each role, and what a refusal says."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from accounts.models import User
from accounts.tokens import issue_access
from tests.accounts.people import make

ROLES = ("support", "finance", "owner")


class Staff:
    """A member of staff who calls the API with an access token."""

    def __init__(self, role: str) -> None:
        self.user: User = make(role=role, password=None)
        self.client = Client(headers={"authorization": f"Bearer {issue_access(self.user)[0]}"})

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(f"/api/admin/{path}", {name.rstrip("_"): value for name, value in parameters.items()})

    def patch(self, path: str, **body: Any) -> Any:
        return self.client.patch(f"/api/admin/{path}", json.dumps(body), content_type="application/json")

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/admin/{path}", json.dumps(body), content_type="application/json")


def refusal(answer: Any) -> tuple[int, str, str | None]:
    """Status, code and field of a refusal."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]
