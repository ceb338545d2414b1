"""`make run` as a newcomer has it: no setting but where to listen, the sandbox for the outside world, one Ctrl-C."""

from __future__ import annotations

import re
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.chat.browser import Browser
from tests.servers.process import ServerDied, ServerProcess, listening
from tests.servers.site import Newcomer, Site, machine_environment

pytestmark = pytest.mark.wire  # a newcomer's database is SQLite

NEIGHBOURS = (0, 10, 11, 12)


def settings(folder: Path, port: int, **more: str) -> dict[str, str]:
    """A newcomer's environment, but for the places of what is written."""
    kept = {name: value for name, value in machine_environment().items() if name != "DJANGO_SETTINGS_MODULE"}
    written = {"DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}", "STORAGE_URL": str(folder / "files")}
    return kept | written | {"PORT": str(port), "LOCAL_MODEL": "0"} | more


@pytest.fixture(scope="module")
def port() -> int:
    """One whose neighbours are free too."""
    while True:
        found = 10000 + secrets.randbelow(9000)
        if not any(listening(found + each) for each in NEIGHBOURS):
            return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[ServerProcess]:
    """`make run` once it has said where it is."""
    folder = tmp_path_factory.mktemp("run")
    process = ServerProcess(
        [sys.executable, "tools/run.py"],
        env=settings(folder, port),
        log_path=folder / "log",
        stop_signal=signal.SIGINT,
    )
    process.start()
    try:
        process.wait_until(lambda: "Ctrl-C stops everything" in process.log(), seconds=120)
        yield process
    finally:
        process.stop()


def test_what_it_says_is_enough_to_sign_in_and_to_be_answered(running: ServerProcess, port: int) -> None:
    said = running.log()
    assert f"OneAI is at http://localhost:{port}\n" in said
    found = re.search(r"Sign in as (demo@\S+) with (\S+)", said)
    assert found
    site = cast(Site, SimpleNamespace(url=f"http://localhost:{port}"))
    browser = Browser(site, Newcomer(found[1], found[2], ""))
    asked = {"model": "openai/gpt-4o-mini", "content": "Say hello."}
    with browser.http.stream("POST", "/api/chat/stream", json=asked) as answer:
        told = answer.read().decode()
    assert answer.status_code == 200, told
    assert "event: message.completed" in told


def test_a_port_that_is_taken_is_named_before_anything_starts(
    running: ServerProcess, port: int, tmp_path: Path
) -> None:
    second = ServerProcess([sys.executable, "tools/run.py"], env=settings(tmp_path, port), log_path=tmp_path / "log")
    second.start()
    with pytest.raises(ServerDied, match=f"Port {port}, wanted for the site, is in use. Take others: make run PORT="):
        second.wait_until(lambda: False)
    assert not (tmp_path / "db.sqlite3").exists()


def test_a_setting_that_is_none_is_named_before_anything_starts(tmp_path: Path) -> None:
    process = ServerProcess([sys.executable, "tools/run.py"], env=settings(tmp_path, 0), log_path=tmp_path / "log")
    process.start()
    with pytest.raises(ServerDied, match="PORT"):
        process.wait_until(lambda: False)


def test_ctrl_c_ends_everything(running: ServerProcess, port: int) -> None:
    assert running.stop() == 0
    assert "Stopping" in running.log()
    assert not any(listening(port + each) for each in NEIGHBOURS)
