"""The page about the WebSocket: its example runs, and its numbers are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from chat import consumers
from oneai.kit.socket_gate import CODES_OF_STATUS
from tests.architecture.source import ROOT
from tests.servers.site import Site, machine_environment
from tools.web_worker import SOCKET_FRAME_BYTES

PAGE = (ROOT / "docs" / "websocket.md").read_text(encoding="utf-8")


def test_its_example_prints_an_answer(live_site: Site, tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    script = tmp_path / "example.py"
    script.write_text(example.group(1), encoding="utf-8")
    env = machine_environment() | {
        "ONEAI_URL": live_site.url,
        "ONEAI_API_KEY": live_site.new_user().api_key,
        "ONEAI_MODEL": "sandbox/hello",
    }
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 2


def test_it_names_every_code_and_limit() -> None:
    table = set(map(int, re.findall(r"\b(1\d{3}|4\d{3})\b", PAGE)))
    assert {*CODES_OF_STATUS.values(), consumers.POLICY_VIOLATION, consumers.TOO_BIG, consumers.RESTARTING} <= table
    assert f"more than {consumers.MOST_SOCKETS} sockets" in PAGE
    assert consumers.FRAME_LIMIT == SOCKET_FRAME_BYTES
    assert f"{consumers.FRAME_LIMIT // 1024} KiB" in PAGE
    assert f"{consumers.MOST_REFUSED} frames were refused" in PAGE
    assert consumers.MOST_TURNS == 8 and "up to eight turns" in PAGE
