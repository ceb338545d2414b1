"""How much of the ledger's rules the tests hold fast: `python tools/mutants.py [--sample N] [MODULE …]`.

Each mutant is one small change of one module (a comparison, a sign, a number, a condition) in a copy of the
project; the ledger's tests must turn red. Prints those that live and the score; exit status 1 below 90 %.
"""

from __future__ import annotations

import argparse
import ast
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
LEAST = 0.9
PATIENCE = 240
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "node_modules", ".*_cache", "__pycache__", "*.sqlite3*", "data")
MODULES = ("admission", "together", "pockets", "moves", "extending", "cost", "rates", "policy", "refusals", "figures")
TESTS = (
    "tests/quotas/test_admission.py", "tests/quotas/test_together.py", "tests/quotas/test_book.py",
    "tests/quotas/test_extend.py", "tests/quotas/test_grants.py", "tests/quotas/test_allowances.py",
    "tests/quotas/test_rules.py", "tests/quotas/test_api.py",
)  # fmt: skip

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
NAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the module's name, the line, what it says there, and the source that it makes."""

    module: str
    line: int
    change: str
    source: str


def changes(node: ast.AST) -> Iterator[tuple[str, str, object]]:
    """(what it says, the field, its new value) of each change that ``node`` can have."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARED:
        other = COMPARED[type(node.ops[0])]
        yield f"{type(node.ops[0]).__name__} to {other.__name__}", "ops", [other()]
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in COUNTED:
        operator = COUNTED[type(node.op)]
        yield f"{type(node.op).__name__} to {operator.__name__}", "op", operator()
    elif isinstance(node, ast.BoolOp):
        boolean = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{type(node.op).__name__} to {boolean.__name__}", "op", boolean()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not not", "operand", ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} to {not node.value}", "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield f"{node.value} to {node.value + 1}", "value", node.value + 1
    elif isinstance(node, ast.Name) and node.id in NAMED:
        yield f"{node.id} to {NAMED[node.id]}", "id", NAMED[node.id]
    elif isinstance(node, ast.If | ast.IfExp):
        yield "the condition turned", "test", ast.UnaryOp(ast.Not(), node.test)


def _parts(class_: ast.ClassDef) -> Iterator[ast.AST]:
    for decorator in class_.decorator_list:
        yield from ast.walk(decorator)


def mutants(module: str) -> list[Mutant]:
    """Every mutant of ``quotas/<module>.py``."""
    text = (ROOT / "quotas" / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    found = []
    shapes = {id(part) for each in ast.walk(tree) if isinstance(each, ast.ClassDef) for part in _parts(each)}
    for node in list(ast.walk(tree)):
        if id(node) in shapes:
            continue  # whether a dataclass is frozen or has slots is no rule of the ledger
        for change, name, value in changes(node):
            before = getattr(node, name)
            setattr(node, name, value)
            source = ast.unparse(ast.fix_missing_locations(tree))
            setattr(node, name, before)
            found.append(Mutant(module, getattr(node, "lineno", 0), change, source))
    return found


def lives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests don't notice it."""
    file = folder / "quotas" / f"{mutant.module}.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(mutant.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--database", "sqlite", *TESTS]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    finally:
        file.write_text(before, encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """Make the copies, try the mutants, say what lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help=f"of {', '.join(MODULES)}")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn; 0: all")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 (draws mutants)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    found = [mutant for module in options.modules for mutant in mutants(module)]
    print(f"{len(found)} mutants, seed {options.seed}", flush=True)
    if options.sample and options.sample < len(found):
        found = random.Random(options.seed).sample(found, options.sample)  # noqa: S311
    folders: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory(prefix="oneai-mutants-") as base, ThreadPoolExecutor(options.jobs) as pool:
        for number in range(options.jobs):
            folders.put(Path(shutil.copytree(ROOT, Path(base) / str(number), ignore=LEFT_OUT, symlinks=True)))

        def attempt(mutant: Mutant) -> bool:
            folder = folders.get()
            try:
                return lives(mutant, folder)
            finally:
                folders.put(folder)

        left = 0
        for mutant, alive in zip(found, pool.map(attempt, found), strict=True):
            if alive:
                left += 1
                print(f"lives: quotas/{mutant.module}.py:{mutant.line}  {mutant.change}", flush=True)
    score = 1 - left / len(found) if found else 0.0
    print(f"{len(found)} tried, {left} live, score {score:.1%}")
    return 0 if score >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
