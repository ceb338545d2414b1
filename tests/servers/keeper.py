"""Keep one child process no longer than its owner lives: run as a script by tests.servers.process.

The owner holds the other end of this process's standard input. When that end closes while the
child runs, the owner was killed or forgot: the child's process group gets its signal, then SIGKILL,
and the folders named are removed. That works where a parent-death signal is lost, as under `unshare`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

GRACE_SECONDS = 8


def signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def main() -> None:
    job: dict[str, Any] = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # a Ctrl-C reaches the owner, who decides
        signal.signal(number, signal.SIG_IGN)
    with open(job["log"], "ab") as log:  # noqa: PTH123 (no imports beyond what a quick start needs)
        child = subprocess.Popen(
            job["command"],
            cwd=job["folder"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(child.pid, flush=True)
    owner_gone = threading.Event()

    def leave_with_child() -> None:
        code = child.wait()
        signal_group(child, signal.SIGKILL)  # what it started and left behind
        if owner_gone.is_set():
            for folder in job["remove"]:
                shutil.rmtree(folder, ignore_errors=True)
        os._exit(code if code >= 0 else 128 - code)

    threading.Thread(target=leave_with_child).start()
    sys.stdin.buffer.read()
    owner_gone.set()
    signal_group(child, job["signal"])
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        signal_group(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
