"""Processor time and memory of a process tree, read from the system."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.machine import cpu_seconds, on_cores, resident_bytes, tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
FAMILY = f"""
import subprocess, sys, time
subprocess.run([sys.executable, "-c", {BURN!r}])
living = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(1, flush=True); time.sleep(60)"])
{BURN}
print("ready", flush=True)
time.sleep(60)
"""


def test_time_of_living_and_of_ended_children_counts() -> None:
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert {process.stdout.readline(), process.stdout.readline()} == {"ready\n", "1\n"}
        assert len(tree(process.pid)) == 2
        # Three times 0.3 s of work, whoever did it, up to the tick of the accounting.
        assert cpu_seconds([process.pid]) >= 0.85
        assert len(resident_bytes([process.pid])) == 2
        assert min(resident_bytes([process.pid])) > 1_000_000
    finally:
        for pid in reversed(tree(process.pid)):
            os.kill(pid, 9)
        process.communicate()
    assert resident_bytes([process.pid]) == []


def test_what_is_started_inside_keeps_to_its_cores() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with on_cores([core]):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert said.stdout.strip() == str({core})
    assert os.sched_getaffinity(0) == before


def test_time_asleep_is_not_counted() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        time.sleep(0.2)
        first = cpu_seconds([process.pid])
        time.sleep(0.3)
        assert cpu_seconds([process.pid]) - first < 0.2
    finally:
        process.kill()
        process.wait()
