"""Every setting the code reads is in .env.example and in the operator's handbook, and no other."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, product_modules, tree

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
HANDBOOK = (ROOT / "docs" / "operations" / "settings.md").read_text(encoding="utf-8")
READERS = {"text", "present", "flag", "number", "listed", "url", "database", "debug", "dollars"}
# Read by what starts the processes (tools/).
OF_THE_TOOLS = {"HOST", "WEB_CONCURRENCY", "DRAIN_NOTICE", "LOCAL_MODEL"}


def read_by_the_code() -> set[str]:
    """The names given to the readers of oneai.env, and any constant that looks like a setting there."""
    names: set[str] = set()
    for path in product_modules():
        for node in ast.walk(tree(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in READERS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "env"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                names.add(node.args[0].value)
    own = ast.unparse(tree(ROOT / "oneai" / "env.py"))
    names |= set(re.findall(r"'([A-Z][A-Z_]{3,})'", own)) - {"ONEAI_ENV_FILE", "PROMETHEUS_MULTIPROC_DIR"}
    settings = "\n".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "oneai" / "settings").glob("*.py"))
    names |= set(re.findall(r'_database\("([A-Z_]+)"\)', settings))
    names |= set(re.findall(r'"(RAZORPAY_[A-Z_]+|GOOGLE_[A-Z_]+)"', settings))
    return names


def documented(text: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, text, re.MULTILINE))


@pytest.mark.parametrize("place", [".env.example", "docs/operations/settings.md"])
def test_the_settings_of_the_code_are_the_documented_ones(place: str) -> None:
    names = (
        documented(EXAMPLE, r"^#? ?([A-Z][A-Z_]+)=")
        if place == ".env.example"
        else documented(HANDBOOK, r"^\| `([A-Z][A-Z_]+)`")
    )
    assert names == read_by_the_code() | OF_THE_TOOLS


def test_the_example_switches_nothing_on() -> None:
    """Copying the example must not change what `make run` does."""
    values = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if re.match(r"[A-Z_]+=", line))
    given = {name: value for name, value in values.items() if value}
    assert given == {
        "SITE_NAME": "OneAI",
        "TRUSTED_PROXIES": "0",
        "PORT": "8000",
        "WEB_CONCURRENCY": "1",
        "DATABASE_SCHEMA": "oneai",
        "PLATFORM_DAILY_USD": "25",
        "LOCAL_MODEL": "1",
    }
