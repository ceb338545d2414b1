"""What the documents say is there: links, commands and make targets."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.architecture.source import ROOT, files, name

DOCUMENTS = [path for path in files() if path.suffix == ".md" and path.name != "0000-template.md"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert named <= set(get_commands())
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    # In prose `make` is an English word, so only what stands in code counts.
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^make .*$", text, re.MULTILINE)
    assert {word for line in code for word in re.findall(r"(?:^|&& )make ([a-z]+)", line)} <= targets


def test_the_readme_gives_the_command_that_runs_every_test() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Test it")[1]
    assert re.search(r"```\n(.*)\n```", section)[1] == "make test"  # type: ignore[index]


def test_help_lists_every_command_of_the_makefile() -> None:
    for target in ("run", "test", "check", "bench", "serve", "help", "lock"):
        assert re.search(rf"^{target}:.*## \S", MAKEFILE, re.MULTILINE), target


def test_decision_records_have_numbers_of_their_own() -> None:
    records = [path.name for path in files() if path.parent == ROOT / "docs" / "decisions"]
    numbers = [record[:4] for record in records]
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", record) for record in records)
    assert len(set(numbers)) == len(numbers)
