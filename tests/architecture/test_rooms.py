"""Every file lies in a room whose name says what it holds, and outside services are met at one seam."""

import re

import pytest

from tests.architecture.source import PRODUCT, ROOT, files, imports, name, product_modules, tree

NAMELESS = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
HTTP_CLIENTS = {"httpx", "aiohttp", "requests", "urllib3", "urllib.request", "http.client"}


def test_no_file_or_folder_is_named_for_nothing() -> None:
    named = [name(path) for path in files() if NAMELESS & {part.split(".")[0] for part in path.relative_to(ROOT).parts}]
    assert named == []


def test_only_one_module_reads_the_environment() -> None:
    """Naming the settings module for Django, as an entry point does, is not reading."""
    reading = re.compile(
        r"\bos\.environ\b(?!\.setdefault\(.DJANGO_SETTINGS_MODULE)|\bgetenv\b|from os import .*environ"
    )
    readers = [name(path) for path in product_modules() if reading.search(path.read_text(encoding="utf-8"))]
    assert readers == ["oneai/env.py"]


def test_only_the_kit_speaks_http_to_the_outside() -> None:
    speakers = {
        name(path)
        for path in product_modules()
        if {found for found in imports(path) if found in HTTP_CLIENTS or found.split(".")[0] in {"httpx", "aiohttp"}}
    }
    assert speakers <= {"oneai/kit/http.py"} | {found for found in speakers if found.startswith("oneai/kit/http/")}


@pytest.mark.parametrize("seam", ["chat.openrouter", "billing.razorpay"])
def test_a_wire_package_knows_the_kit_only(seam: str) -> None:
    folder = seam.replace(".", "/")
    found = {
        f"{name(path)}: {imported}"
        for path in product_modules()
        if name(path).startswith(f"{folder}/")
        for imported in imports(path)
        if (imported.split(".")[0] in PRODUCT and not imported.startswith((seam, "oneai.kit", "oneai.env")))
        or imported.startswith("django.db")
    }
    found -= {line for line in found if line.endswith((": oneai", f": {seam.split('.')[0]}"))}
    assert found == set()


def test_no_registry_host_stands_in_any_file() -> None:
    hosts = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "deb.debian" + ".org",
        "ghcr" + ".io",
    ]
    named = [
        f"{name(path)}: {host}"
        for path in files()
        for host in hosts
        if host in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert named == []


def test_every_product_module_says_what_it_is_for() -> None:
    import ast

    silent = [
        name(path)
        for path in product_modules()
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree(path))
    ]
    silent = [path for path in silent if not path.endswith("__init__.py")]
    assert silent == []
