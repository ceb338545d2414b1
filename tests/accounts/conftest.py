"""What the tests of sign-in share."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.accounts.people import Google
from tests.servers.sandbox import Sandbox


@pytest.fixture
def browser_client() -> Client:
    """A browser that shows CSRF tokens only where the site gave it one."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def google(sandbox: Sandbox) -> Google:
    return Google(sandbox.url)
