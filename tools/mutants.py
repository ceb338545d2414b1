"""How much of a package its tests hold fast: `python tools/mutants.py [--package quotas] [--sample N] [MODULE …]`.

Each mutant is one small change of one module (``tools/mutations.py``); a test of ``tests/<package>``, or one from
elsewhere that goes by its doors, must turn red. All of them run once as they are, and it is noted which lines each
runs. Then, for each mutant, a fork of that process, with a copy of its database, takes its code and runs those tests
that run the changed line, the quickest first, until one fails. A mutant that no test runs lives. Left out are tests
that are slow or ask a server, which would run what is on the disk. Prints those that live, and the score by module;
exit status 1 below 90 %.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tools.mutations import ROOT, Mutant, become, file_of, modules, mutants

LEAST = 0.9
SERVERS = {"live_site", "own_site", "fresh_site", "sandbox", "redis_server", "page"}
SLOW = ("slow", "long", "faults")
ONE_FOR_ALL = {"razorpay_sandbox"}
"""A server that all forks would ask, and each test begins by emptying: they go one after the other."""
PATIENCE = 30
"""Seconds of processor time that a mutant has beside five times what its tests took; what runs for ever is noticed."""
WAITS = 20
"""How many times as long it may take by the clock: what waits for ever is noticed too, a busy machine is not."""
NOTICED = 1


class Reach:
    """Which lines of some files a test runs."""

    def __init__(self, files: dict[str, str]) -> None:
        """``files``: the names of modules by their files."""
        self._files = files
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> None:
        self.lines = set()
        threading.settrace(self._called)
        sys.settrace(self._called)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _called(self, frame: FrameType, event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        self.lines.add((self._files[frame.f_code.co_filename], frame.f_lineno))
        return self._line


class Trial:
    """The plugin: the tests as they are, then in a fork for each mutant those that could notice it."""

    def __init__(self, chosen: list[Mutant], jobs: int) -> None:
        self.chosen = chosen
        self.jobs = jobs
        self.alive: list[Mutant] = []
        self.red = ""
        self._reach = Reach({str(file_of(mutant.module)): mutant.module for mutant in chosen})
        self._reached: list[set[tuple[str, int]]] = []
        self._took: list[float] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [
            item
            for item in items
            if not SERVERS & set(getattr(item, "fixturenames", ())) and not any(map(item.get_closest_marker, SLOW))
        ]
        if any(ONE_FOR_ALL & set(getattr(item, "fixturenames", ())) for item in items):
            self.jobs = 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.red = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for number, item in enumerate(session.items):
            began = time.process_time()
            with self._reach:
                self._run(item, session.items[(number + 1) % len(session.items)])
            self._reached.append(self._reach.lines)
            self._took.append(time.process_time() - began)
            if self.red:
                raise pytest.UsageError(f"{item.nodeid} is red before anything was changed")
        print(f"\n{len(session.items)} tests are green as they are", flush=True)
        files = {mutant.module for mutant in self.chosen}
        same = [Mutant(module, 0, "nothing", file_of(module).read_text()) for module in sorted(files)]
        everything = sorted(range(len(session.items)), key=self._took.__getitem__)
        if os.waitpid(self._fork(session, same, everything), 0)[1]:
            raise pytest.UsageError("a fork of it is red without a change")
        running: dict[int, Mutant] = {}
        left = list(self.chosen)
        while left or running:
            while left and len(running) < self.jobs:
                mutant = left.pop(0)
                if tests := self._those_that_run(mutant):
                    running[self._fork(session, [mutant], tests)] = mutant
                else:
                    self._lives(mutant, "; no test runs it")
            pid, status = os.wait() if running else (0, 0)
            if pid in running:
                self._ended(running.pop(pid), status)
        return True

    def _run(self, item: pytest.Item, following: pytest.Item) -> None:
        # As if another came after the last: what the session has set up stays.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _ended(self, mutant: Mutant, status: int) -> None:
        by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if by not in (None, signal.SIGPROF, signal.SIGALRM) or (by is None and os.WEXITSTATUS(status) > NOTICED):
            raise pytest.UsageError(f"{mutant.place}  {mutant.change}: its fork ended with {status}")
        if status == 0:
            self._lives(mutant)

    def _lives(self, mutant: Mutant, why: str = "") -> None:
        self.alive.append(mutant)
        print(f"lives: {mutant.place}  {mutant.change}{why}", flush=True)

    def _those_that_run(self, mutant: Mutant) -> list[int]:
        found = range(len(self._reached))
        if mutant.lines is None:
            return sorted(found, key=self._took.__getitem__)
        lines = {(mutant.module, line) for line in mutant.lines}
        return sorted((number for number in found if lines & self._reached[number]), key=self._took.__getitem__)

    def _fork(self, session: pytest.Session, changed: list[Mutant], tests: list[int]) -> int:
        from django.db import connection

        connection.close()
        pid = os.fork()
        if pid:
            return pid
        code = NOTICED + 1
        try:
            code = self._noticed(session, changed, tests, connection.settings_dict)
        finally:
            os._exit(code)

    def _noticed(self, session: pytest.Session, changed: list[Mutant], tests: list[int], database: Any) -> int:
        """NOTICED when a test turns red or the module does not load, else 0; the fork's own end."""
        patience = PATIENCE + 5 * sum(self._took[number] for number in tests)
        signal.setitimer(signal.ITIMER_PROF, patience)  # their default action ends the process
        signal.setitimer(signal.ITIMER_REAL, WAITS * patience)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        if changed[0].line:
            os.dup2(quiet, 2)
        own = Path(f"{database['NAME']}-{os.getpid()}")
        shutil.copyfile(str(database["NAME"]), own)
        database["NAME"] = str(own)
        items = [session.items[number] for number in tests]
        session._setupstate.teardown_exact(items[0])
        try:
            try:
                for each in changed:
                    become(each)
            except Exception:
                return NOTICED
            self.red = ""
            for number, item in enumerate(items):
                self._run(item, items[(number + 1) % len(items)])
                if self.red:
                    return NOTICED
            return 0
        finally:
            if self.red and not changed[0].line:
                print(f"{self.red} is red", file=sys.stderr)
            for file in own.parent.glob(own.name + "*"):
                file.unlink(missing_ok=True)


def _tests(package: str) -> list[str]:
    """The package's tests, and those elsewhere that go by its doors, whose routes they read."""
    own = ROOT / "tests" / package
    doors = f"from {package}.api "
    found = (file for file in sorted((ROOT / "tests").rglob("test_*.py")) if own not in file.parents)
    return [str(own), *(str(file) for file in found if doors in file.read_text(encoding="utf-8"))]


def _table(tried: list[Mutant], alive: list[Mutant]) -> None:
    all_, live = Counter(each.module for each in tried), Counter(each.module for each in alive)
    for module in sorted(all_):
        print(f"{module:32}{all_[module]:5} tried{live[module]:5} live")


def main() -> int:
    """Draw the mutants, try them, say what lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="of the package, without its name; none: all")
    parser.add_argument("--package", default="quotas")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn; 0: all")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 (draws mutants)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    named = [f"{options.package}.{name}" for name in options.modules] or modules(options.package)
    found = [mutant for module in named for mutant in mutants(module)]
    print(f"{len(found)} mutants, seed {options.seed}", flush=True)
    if options.sample and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)  # noqa: S311
    began = time.monotonic()
    # A failure is enough: what hypothesis makes of it, and remembers for the next fork, is not looked at.
    # A method runs again in each fork, of another instance of its class, which hypothesis takes for a mistake.
    hypothesis.settings.register_profile(
        "mutants",
        database=None,
        phases=[hypothesis.Phase.generate],
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.differing_executors],
    )
    hypothesis.settings.load_profile("mutants")
    trial = Trial(found, options.jobs)
    os.chdir(ROOT)
    arguments = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "0",
        "--database",
        "sqlite",
        *_tests(options.package),
    ]
    if status := pytest.main(arguments, plugins=[trial]):
        return int(status)
    _table(found, trial.alive)
    score = 1 - len(trial.alive) / len(found) if found else 0.0
    print(f"{len(found)} tried, {len(trial.alive)} live, score {score:.1%}, {time.monotonic() - began:.0f} s")
    return 0 if score >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
