"""What is installed is what was locked: hashes, floors, and nothing that runs at start-up unasked."""

import json
import re
import site
import sysconfig
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
# Below these versions a package has a known hole or lacks what we rely on.
FLOORS = {
    "django": (5, 2, 19),
    "django-allauth": (65, 21),
    "uvicorn": (0, 54),
    "aiohttp": (3, 14),
    "pyjwt": (2, 10),
}
# These start-up files are known: coverage hooks, editable installs, and the interpreter's own.
KNOWN_PTH = {"distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth", "pytest-cov.pth"}


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_has_an_exact_version_and_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==\S", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_everything_its_source_asks_for(lock: Path) -> None:
    wanted = re.findall(r"^([A-Za-z0-9_.-]+)", lock.with_suffix(".in").read_text(encoding="utf-8"), re.MULTILINE)
    locked = {name.lower().replace("_", "-") for name in pins(lock)}
    assert {name.lower().replace("_", "-") for name in wanted if not name.startswith("-")} <= locked


def test_the_locks_agree_so_that_no_command_reinstalls_what_another_did() -> None:
    run, dev = pins(ROOT / "requirements" / "run.lock"), pins(ROOT / "requirements" / "dev.lock")
    sandbox = pins(ROOT / "requirements" / "sandbox.lock")
    assert {name: dev.get(name) for name in run | sandbox} == run | sandbox


@pytest.mark.parametrize("package", FLOORS)
def test_a_package_is_not_older_than_its_floor(package: str) -> None:
    version = pins(ROOT / "requirements" / "run.lock")[package]
    assert tuple(int(part) for part in re.findall(r"\d+", version)) >= FLOORS[package]


def test_nothing_unknown_runs_when_python_starts() -> None:
    folders = {Path(sysconfig.get_path("purelib")), *map(Path, site.getsitepackages())}
    running = {
        path.name
        for folder in folders
        for path in folder.glob("*.pth")
        if re.search(r"^import\b", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    }
    assert running <= KNOWN_PTH


@pytest.mark.parametrize("folder", ["frontend", "tests/conformance/node"])
def test_what_node_runs_is_locked_with_hashes_and_names_no_registry(folder: str) -> None:
    text = (ROOT / folder / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    packages = [package for name, package in json.loads(text)["packages"].items() if name]
    assert packages
    assert all("integrity" in package or package.get("inBundle") for package in packages)
