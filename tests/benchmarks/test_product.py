"""The product as the benchmarks start it: on cores of its own, as an operator's processes are."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import product
from benchmarks.machine import Cores, cores_of
from benchmarks.runner import MODELS
from benchmarks.subjects import start_simulator
from tests.servers.process import free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def test_the_web_processes_run_on_their_cores_and_the_worker_beside_the_load(tmp_path: Path) -> None:
    available = tuple(sorted(os.sched_getaffinity(0)))
    cores = Cores(available[-1:], available[:1], alone=len(available) > 1)
    port = free_port()
    upstream = start_simulator(port, MODELS, cores, tmp_path)
    try:
        running = product.start("sqlite", 1, 1, port, free_port(), cores, tmp_path)
        try:
            for _ in range(2):
                for root in running.roots:
                    assert cores_of(root) == set(cores.server)
                running.restart(cores)
            for root in running.helpers:
                assert cores_of(root) == set(cores.rest)
        finally:
            running.stop()
    finally:
        upstream.stop(seconds=1)
