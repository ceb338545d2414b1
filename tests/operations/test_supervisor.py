"""The supervisor of `make run`: what it starts ends with it, whoever ends first."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import web_supervisor

ROOT = Path(__file__).resolve().parent.parent.parent

# Two children, the first with a child of its own, as uvicorn with workers has; their pids go to a file.
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import os
from pathlib import Path
from tools.processes import Family, Stopped

family = Family(sys.stdout)
parent = "import os, subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); "
parent += "open(sys.argv[1], 'a').write(f'one={{os.getpid()}} grandchild={{p.pid}} '); "
single = "import os, sys, time; open(sys.argv[1], 'a').write(f'two={{os.getpid()}} '); "
rest = "print('up', flush=True); time.sleep(600)"
stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
try:
    family.start("one", [sys.executable, "-c", parent + rest, {pids!r}], os.environ)
    family.start("two", [sys.executable, "-c", {stubborn} * stubborn + single + rest, {pids!r}], os.environ)
    while family.ended() is None:
        family.relay(0.1)
    print("a child ended", flush=True)
except Stopped:
    print("asked to stop", flush=True)
finally:
    family.stop(grace_seconds=1)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(what: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def start(folder: Path, *, stubborn: bool = False) -> tuple[subprocess.Popen[str], dict[str, int]]:
    """A running supervisor and the three processes below it by name."""
    file = folder / "pids"
    script = SCRIPT.format(root=str(ROOT), pids=str(file), stubborn=int(stubborn))
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert wait_for(lambda: file.exists() and len(file.read_text().split()) == 3)
    return supervisor, {name: int(pid) for name, pid in (word.split("=") for word in file.read_text().split())}


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_and_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    supervisor, pids = start(tmp_path)
    supervisor.send_signal(number)
    output, _ = supervisor.communicate(timeout=30)
    assert "asked to stop" in output
    assert supervisor.returncode == 0
    assert wait_for(lambda: not any(map(alive, pids.values())))


def test_a_child_that_ignores_the_signal_is_ended_all_the_same(tmp_path: Path) -> None:
    supervisor, pids = start(tmp_path, stubborn=True)
    supervisor.terminate()
    supervisor.communicate(timeout=30)
    assert wait_for(lambda: not any(map(alive, pids.values())))


def test_the_death_of_one_child_ends_the_others(tmp_path: Path) -> None:
    supervisor, pids = start(tmp_path)
    os.kill(pids["two"], signal.SIGKILL)
    output, _ = supervisor.communicate(timeout=30)
    assert "a child ended" in output
    assert wait_for(lambda: not any(map(alive, pids.values())))


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    supervisor, pids = start(tmp_path)
    supervisor.kill()
    supervisor.communicate(timeout=30)
    assert wait_for(lambda: not alive(pids["one"]) and not alive(pids["two"]))
    os.kill(pids["grandchild"], signal.SIGKILL)  # it has no parent-death signal of its own


def test_what_children_say_carries_their_names(tmp_path: Path) -> None:
    supervisor, _ = start(tmp_path)
    time.sleep(0.2)
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=30)
    assert "one | up" in output
    assert "two | up" in output


def test_a_busy_port_is_named_and_nothing_is_started() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = {name: value for name, value in os.environ.items() if name != "PORT"} | {"PORT": port}
        done = subprocess.run(
            [sys.executable, "tools/run.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert f"Port {port}, wanted for the site, is in use" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("leaving", "status", "event"),
    [
        (True, 0, "process_left"),
        (True, -15, "process_left"),
        (True, -9, "process_ended"),
        (False, -15, "process_ended"),
    ],
)
def test_a_web_process_that_leaves_as_it_was_told_is_no_failure(
    capsys: pytest.CaptureFixture[str], leaving: bool, status: int, event: str
) -> None:
    web_supervisor.say_ended(7, status, leaving=leaving)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == (event, "info" if event == "process_left" else "warning")


# A web process that serves when the file `may` has its number, and fails when it has that with a minus.
WEB_PROCESS = """
import os, select, signal, sys
open("begun", "a").write(f"{os.getpid()} ")
number = len(open("begun").read().split())
while str(number) not in (may := open("may").read().split()):
    if str(-number) in may or select.select([int(sys.argv[3])], [], [], 0.02)[0]:
        sys.exit(1)
signal.signal(signal.SIGTERM, lambda *_: (os.write(int(sys.argv[2]), b"l"), sys.exit(0)))
os.write(int(sys.argv[2]), b"r")
os.read(int(sys.argv[3]), 1)
"""
SUPERVISE = """
import sys
sys.path.insert(0, {root!r})
from tools import web_supervisor
sys.exit(web_supervisor.Supervisor(web_supervisor.bind("127.0.0.1", 0), 2, 0.0).run())
"""


@pytest.mark.parametrize("third", ["3", "-3"], ids=["that serves", "that fails"])
def test_a_renewal_asked_for_during_another_reaches_every_process_that_began_before(tmp_path: Path, third: str) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "web_worker.py").write_text(WEB_PROCESS)
    (tmp_path / "may").write_text("1 2")
    (tmp_path / "begun").touch()
    log = tmp_path / "log"

    def begun() -> list[int]:
        return [int(pid) for pid in (tmp_path / "begun").read_text().split()]

    script = SUPERVISE.format(root=str(ROOT))
    with log.open("w") as file:
        supervisor = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=file)
    try:
        assert wait_for(lambda: log.read_text().count("process_serving") == 2, 90)
        supervisor.send_signal(signal.SIGHUP)
        assert wait_for(lambda: len(begun()) == 3, 90)
        supervisor.send_signal(signal.SIGHUP)
        assert wait_for(lambda: log.read_text().count('"renewing"') == 2, 90)
        (tmp_path / "may").write_text(f"1 2 {third} 4 5 6")
        assert wait_for(lambda: not any(map(alive, begun()[:3])), 90)
        assert wait_for(lambda: sum(map(alive, begun())) == 2, 90)
        assert "renewal_given_up" not in log.read_text()
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=30)
