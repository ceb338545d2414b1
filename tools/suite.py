"""`make test`: every test but slow and long ones, on SQLite and PostgreSQL, with servers that the suite starts itself.

Without arguments the two runs share what one is enough for: tests that use no database, and those marked wire,
run on SQLite, what stands on a site on one of the two. Those marked slow, faults or long are left to `make faults`,
but for those that are core. The parts then run side by side, since many tests wait rather than work.
Arguments go on to pytest, and what they choose runs on both, one after the other, as long proofs need it:
`tools/suite.py -m "faults or slow or long"`.
It says at the end what it could not run and why. With CI=true a part that can't run, and a test that skips
itself, is a failure.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = 3  # of each part: many tests wait for servers
AT_ONCE = 2  # parts: with three, two cores are so busy that servers take minutes to start
MOST_AGAIN = 8  # tests that failed and are run once more, alone
BROWSERS = ("tests/frontend", "tests/sandbox")  # the only folders with tests that drive one (tests/conftest.py)
NO_TESTS = 5  # pytest's exit status when nothing was chosen


@dataclass
class Result:
    """What one part of the suite came to."""

    name: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    trouble: str = ""
    database: str = ""
    seconds: float = 0.0


def read_report(path: Path, result: Result) -> None:
    """Add up a JUnit report that pytest wrote."""
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 (our own file)
        skipped = case.find("skipped")
        name = f"{case.get('classname')}.{case.get('name')}"
        wrong = next((found for kind in ("failure", "error") if (found := case.find(kind)) is not None), None)
        if wrong is not None:
            said = (wrong.get("message") or "").splitlines() or [""]
            result.failed.append(f"{name}: {said[0][:300]}")
            result.again.append(f"{str(case.get('classname')).replace('.', '/')}.py::{case.get('name')}")
        elif skipped is not None:
            result.skipped.append(f"{name}: {skipped.get('message') or 'no reason given'}")
        else:
            result.passed += 1


def environment() -> dict[str, str]:
    """That of pytest: left to itself each test process would compile every test anew, for seconds."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def compile_tests() -> None:
    """Compile every test, unless that was done here: nine processes that begin at once would each do it."""
    if not list((ROOT / "tests" / "__pycache__").glob("conftest*pytest*.pyc")):
        command = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
        subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)


def run_pytest(name: str, arguments: list[str]) -> Result:
    """One run of pytest; its output is passed on by lines that begin with the part's name."""
    result = Result(name)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="oneai-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(f"{name:<11}{line}", end="", flush=True)
        status = process.returncode
        if report.exists():
            read_report(report, result)
    if status not in (0, 1, NO_TESTS):
        result.trouble = f"pytest ended with status {status} before it could run everything"
    elif status == 1 and not result.failed:
        result.trouble = "pytest failed outside of a test"
    result.seconds = time.monotonic() - began
    return result


def run_frontend() -> Result:
    """The front end's own tests, by node."""
    result = Result("front end")
    began = time.monotonic()
    print("\n=== front end ===", flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["npm", "test", "--silent"],
        cwd=ROOT / "frontend",
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, flush=True)
    counts = dict(re.findall(r"^\S+ (pass|fail) (\d+)$", done.stdout, re.MULTILINE))
    result.passed = int(counts.get("pass", 0))
    failed = re.findall(r"^✖ (.+) \(.*ms\)$", done.stdout, re.MULTILINE)
    result.failed = failed or ["a test of the front end, printed above"] * int(counts.get("fail", 0))
    if done.returncode and not result.failed:
        result.trouble = f"npm test ended with status {done.returncode}"
    result.seconds = time.monotonic() - began
    return result


def postgresql_trouble() -> str:
    """Why the PostgreSQL part can't run here; empty when it can."""
    sys.path.insert(0, str(ROOT))
    from tests.servers.postgres import NoPostgreSQL, binaries

    try:
        binaries()
    except NoPostgreSQL as error:
        return str(error)
    return ""


def with_markers(arguments: list[str], expression: str) -> list[str]:
    """The caller's arguments with one more condition on the markers."""
    if "-m" in arguments:
        place = arguments.index("-m")
        joined = f"({arguments[place + 1]}) and {expression}"
        return ["-m", joined, *arguments[:place], *arguments[place + 2 :]]
    return ["-m", expression, *arguments]


def run_again(result: Result) -> None:
    """Run the few that failed once more, alone: what passes then is told as unsteady, and is to be mended."""
    known = [test for test in result.again if (ROOT / test.partition("::")[0]).exists()]
    if not 0 < len(known) == len(result.failed) <= MOST_AGAIN or result.trouble:
        return
    print(f"\n=== {result.name}: what failed, alone ===", flush=True)
    alone = run_pytest(result.name, ["--database", result.database, *known])
    if alone.trouble or alone.passed + len(alone.failed) != len(known):
        return
    still = {line.partition(":")[0] for line in alone.failed}
    result.unsteady = [line for line in result.failed if line.partition(":")[0] not in still]
    result.failed = [line for line in result.failed if line.partition(":")[0] in still]
    result.passed += len(result.unsteady)


def summary(results: list[Result], *, strict: bool) -> int:
    """Print what happened; the exit status."""
    print("\n=== all parts ===")
    for result in results:
        said = f"{result.passed} passed, {len(result.failed)} failed, {len(result.skipped)} skipped  {result.trouble}"
        print(f"{result.name:<12} {result.seconds:6.0f} s  {said.rstrip()}")
    wrong = [f"{result.name}: {test}" for result in results for test in result.failed]
    if wrong:  # said again where the end of a long output still shows it
        print("\nFailed:")
        for line in wrong:
            print(f"  {line}")
    unsteady = [f"{result.name}: {test}" for result in results for test in result.unsteady]
    if unsteady:
        print("\nUnsteady, to be mended (failed among all, passed alone):")
        for line in unsteady:
            print(f"  {line}")
    missing = [f"{result.name}: {result.trouble}" for result in results if result.trouble]
    skipped = [f"{result.name}: {reason}" for result in results for reason in result.skipped]
    if missing or skipped:
        print("\nNot run:")
        for line in [*missing, *skipped]:
            print(f"  {line}")
        if strict:
            print("With CI=true that is a failure.")
    passed = sum(result.passed for result in results)
    print(f"\n{passed} passed, {len(unsteady)} of them only alone, {len(wrong)} failed, {len(skipped)} skipped")
    unfinished = any("pytest" in result.trouble or "npm" in result.trouble for result in results)
    return int(bool(wrong or unfinished or not passed or (strict and (missing or skipped))))


def main() -> int:
    arguments = sys.argv[1:]
    strict = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    trouble = postgresql_trouble()
    # Nothing is left to a run that can't be made.
    shared = [] if arguments or trouble else ["--shared"]
    # Long proofs have a name of their own, `make faults`; arguments choose for themselves.
    quick = "" if arguments else " and not long and (core or not (slow or faults))"
    chosen = [*with_markers(arguments, f"not browser{quick}"), *shared]
    results = []
    if not arguments and list((ROOT / "frontend").glob("test/*.test.ts")):
        results.append(run_frontend())
    kind = "sqlite" if trouble else "postgresql"

    def part(name: str, database: str, asked: list[str]) -> Result:
        result = run_pytest(name, [*asked, "-n", str(PROCESSES), "--dist", "worksteal", "--database", database])
        result.database = database
        return result

    def sqlite() -> Result:
        return part("SQLite", "sqlite", chosen)

    def postgresql() -> Result:
        return Result("PostgreSQL", trouble=trouble) if trouble else part("PostgreSQL", "postgresql", chosen)

    def browser() -> Result:
        return part("browser", kind, with_markers(arguments or list(BROWSERS), f"browser{quick}"))

    if not arguments:
        compile_tests()
    with ThreadPoolExecutor(1 if arguments else AT_ONCE) as lanes:
        try:
            results += [done.result() for done in [lanes.submit(run) for run in (sqlite, postgresql, browser)]]
        except KeyboardInterrupt:  # it reaches pytest too; what has not begun must not begin
            lanes.shutdown(cancel_futures=True)
            raise
    if not arguments:
        for result in results:
            run_again(result)
    return summary(results, strict=strict)


if __name__ == "__main__":
    sys.exit(main())
