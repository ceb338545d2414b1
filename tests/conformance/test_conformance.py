"""OpenAI's own SDKs and LangChain run against the server of `make serve`: two Python majors, and Node.

Each is a program of its own in its own environment, as its users have it (`make test` installs them).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance import langchain_cases, sdk_cases
from tests.servers.site import Newcomer, Site

pytestmark = pytest.mark.wire
HERE = Path(__file__).resolve().parent
OTHER = Path(sys.prefix) / "sdk2" / "bin" / "python"
NODE = Path(sys.executable).with_name("node")
NODE_SDK = HERE / "node" / "node_modules" / "openai"
NODE_CASES = re.findall(r"^cases\.(\w+) = ", (HERE / "node" / "cases.mjs").read_text(encoding="utf-8"), re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A client and the cases that it must report. ``parts`` are the files without which it can't run."""

    command: list[str]
    cases: list[str]
    major: str
    parts: tuple[Path, ...] = ()


SDK, LANGCHAIN = str(HERE / "sdk_cases.py"), str(HERE / "langchain_cases.py")
PROGRAMS = {
    "python 3": Program([sys.executable, SDK], list(sdk_cases.CASES), "3"),
    "python 2": Program([str(OTHER), SDK], list(sdk_cases.CASES), "2", (OTHER,)),
    "langchain": Program([str(OTHER), LANGCHAIN], list(langchain_cases.CASES), "1", (OTHER,)),
    "node": Program([str(NODE), str(HERE / "node" / "cases.mjs")], NODE_CASES, "7", (NODE, NODE_SDK)),
}


@pytest.fixture(scope="module")
def keys(live_site: Site) -> dict[str, str]:
    """A key for each kind of caller, all of accounts of their own."""

    site = live_site

    def limited() -> Newcomer:
        user = site.new_user("pro")
        site.command("set_rates", user.email, "--rpm", "5000", "--tpm", "unlimited", "--reason", "test")
        return user

    good, busy, poor, leaver = limited(), limited(), limited(), limited()
    site.command("set_rates", busy.email, "--concurrent", "1", "--reason", "test")
    site.command("set_quota", poor.email, "--model", "*", "--tokens", "20", "--reason", "test")
    narrow = site.command("create_api_key", good.email, "--name", "narrow", "--scopes", "models").strip().split()[-1]
    revoked = site.command("create_api_key", good.email, "--name", "old", "--expires", "1").strip().split()[-1]
    end = f"ApiKey.objects.filter(user__email={good.email!r}, name='old').update(revoked_at=now())"
    site.command("shell", "-c", f"from accounts.models import ApiKey; from oneai.kit.clock import now; {end}")
    return {
        "good": good.api_key,
        "busy": busy.api_key,
        "poor": poor.api_key,
        "leaver": leaver.api_key,
        "narrow": narrow,
        "revoked": revoked,
    }


@pytest.mark.parametrize("client", PROGRAMS)
def test_every_case_of_a_client_works(live_site: Site, keys: dict[str, str], client: str) -> None:
    program = PROGRAMS[client]
    missing = [str(part) for part in program.parts if not part.exists()]
    if missing:
        pytest.skip(f"not installed, which make test does: {', '.join(missing)}")
    question = json.dumps({"url": live_site.url, "keys": keys, "sandbox": live_site.sandbox_url})
    done = subprocess.run(program.command, input=question, capture_output=True, text=True, timeout=150)
    reported = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["case"] for report in reported] == program.cases, done.stderr[-3000:]
    trouble = [f"{report['case']}:\n{report['trouble']}" for report in reported if report["trouble"]]
    assert not trouble, "\n".join(trouble)
    assert {report["major"] for report in reported} == {program.major}


def test_every_program_has_cases() -> None:
    assert all(len(program.cases) >= 4 for program in PROGRAMS.values())
