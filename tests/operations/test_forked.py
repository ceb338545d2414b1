"""Processes that tests fork: what they inherit, how they end, and with whom."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.servers.forked import Forked, run

ENV = {"PATH": os.environ["PATH"], "ONLY": "this"}


def script(folder: Path, code: str) -> str:
    path = folder / "script.py"
    path.write_text(code, encoding="utf-8")
    return str(path)


def test_it_has_the_arguments_the_environment_and_the_streams_that_it_was_given(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], dict(os.environ), sys.stdin.read() == ''); print('no', file=sys.stderr)"
    done = run([script(tmp_path, code), "one", "two"], ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"['one', 'two'] {ENV} True\n", "no\n")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('in words')", 1, "in words\n"),
        ("raise ValueError('unforeseen')", 1, "ValueError: unforeseen\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import atexit, sys; atexit.register(print, 'at its end', file=sys.stderr)", 0, "at its end\n"),
    ],
)
def test_it_ends_as_any_other_does(tmp_path: Path, code: str, status: int, said: str) -> None:
    done = run([script(tmp_path, code)], ENV)
    assert done.returncode == status
    assert done.stderr.endswith(said)


def test_what_it_started_ends_with_it_when_nobody_waits_any_more(tmp_path: Path) -> None:
    code = "import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)"
    read, write = os.pipe()
    with open(os.devnull, "rb") as nothing, os.fdopen(read) as out:  # noqa: PTH123
        process = Forked([script(tmp_path, code)], ENV, (nothing.fileno(), write, 2))
        os.close(write)
        family = [psutil.Process(int(out.readline())), psutil.Process(process.pid)]
        process.end()
        gone, left = psutil.wait_procs(family, timeout=60)
    assert left == []
    assert len(gone) == 2


def test_it_goes_on_after_it_was_stopped(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('goes on')"
    with tempfile.TemporaryFile() as out, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        process = Forked([script(tmp_path, code)], ENV, (nothing.fileno(), out.fileno(), 2))
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        time.sleep(0.1)  # its guard has heard of it
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(60) == 0
        out.seek(0)
        assert out.read() == b"goes on\n"
