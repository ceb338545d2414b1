"""Anything at all is sent to every operation of the OpenAPI document, by somebody who may do everything.

No answer may be a 5xx, have a status or a type that the document does not name, or a body of another shape;
what the document forbids must be refused.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chat.browser import Browser
from tests.servers.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection"
)
# They end the session by which the others are asked; tests of their own show how they refuse.
ENDING = ("/api/auth/logout", "/api/user/sessions", "/api/user/delete")
EACH, EACH_IN_FULL = 4, 200
# A body that is longer than any may be (413) is refused for what it has too much of: schemathesis does not count that.
SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""


def test_nothing_that_is_sent_breaks_an_operation_or_the_document(
    own_site: Callable[..., Site], full: bool, tmp_path: Path
) -> None:
    site = own_site(settings={"TRUSTED_PROXIES": "1", "PLATFORM_DAILY_USD": "1000000"})
    somebody = site.new_user("pro")
    site.command(
        "create_user", "fuzz-owner@example.com", "--password", somebody.password, "--verified", "--role", "owner"
    )
    who = type(somebody)("fuzz-owner@example.com", somebody.password, "")
    site.command("set_rates", who.email, "--rpm", "unlimited", "--tpm", "unlimited", "--concurrent", "unlimited",
                 "--reason", "asks without end")  # fmt: skip
    browser = Browser(site, who)
    shown = {
        "Cookie": browser.cookies,
        "X-CSRFToken": browser.http.headers["X-CSRFToken"],
        "Origin": site.url,
        "X-Forwarded-For": browser.http.headers["X-Forwarded-For"],
    }
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{site.url}/api/schema"]
    command += ["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--continue-on-failure", "--no-shrink"]
    command += ["--max-examples", str(EACH_IN_FULL if full else EACH), "--suppress-health-check", "all"]
    command += ["--warnings", "off", "--workers", "2", "--request-timeout", "30"]
    for path in ENDING:
        command += ["--exclude-path", path]
    for name, value in shown.items():
        command += ["-H", f"{name}: {value}"]
    (tmp_path / "schemathesis.toml").write_text(SETTINGS, encoding="utf-8")  # read from where it is started
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3500)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert "Traceback" not in site.log()
