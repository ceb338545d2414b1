"""How much of the ledger's rules the tests hold fast: `python tools/mutants.py [--sample N] [MODULE …]`.

Each mutant is one small change of one module (a comparison, a sign, a number, a condition); the ledger's tests
must turn red. They run once as they are; then a fork of that process, with a copy of its database, takes the
code of one mutant and runs them until the first that fails. Prints those that live and the score; exit status
1 below 90 %.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEAST = 0.9
PATIENCE = 240
"""Seconds of processor time that a mutant has; what runs on for ever is noticed."""
MODULES = (
    "admission", "together", "pockets", "moves", "extending", "cost", "rates", "policy", "refusals", "figures",
    "period_counters", "backfill", "correcting", "refused",
)  # fmt: skip
TESTS = (
    "tests/quotas/test_admission.py", "tests/quotas/test_together.py", "tests/quotas/test_rules.py",
    "tests/quotas/test_book.py", "tests/quotas/test_extend.py", "tests/quotas/test_grants.py",
    "tests/quotas/test_allowances.py", "tests/quotas/test_api.py", "tests/quotas/test_correcting.py",
    "tests/quotas/test_refused.py",
)  # fmt: skip
SERVERS = {"live_site", "own_site", "fresh_site", "sandbox", "database"}  # they would run what is on the disk

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


def _shapes(tree: ast.AST) -> set[int]:
    """Nodes that are no rule of the ledger: decorators of classes (frozen, slots), and what only types read."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST] = list(node.decorator_list) if isinstance(node, ast.ClassDef) else []
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            parts.append(node)
        parts += [each for name in ("annotation", "returns") if (each := getattr(node, name, None)) is not None]
        found.update(id(part) for each in parts for part in ast.walk(each))
    return found


def _text(module: str) -> str:
    return (ROOT / "quotas" / f"{module}.py").read_text(encoding="utf-8")


def mutants(module: str) -> list[Mutant]:
    """Every mutant of ``quotas/<module>.py``."""
    tree = ast.parse(_text(module))
    found = []
    shapes = _shapes(tree)
    for node in list(ast.walk(tree)):
        if id(node) in shapes:
            continue
        for change, name, value in changes(node):
            before = getattr(node, name)
            setattr(node, name, value)
            source = ast.unparse(ast.fix_missing_locations(tree))
            setattr(node, name, before)
            found.append(Mutant(module, getattr(node, "lineno", 0), change, source))
    return found


# Taking a mutant's code ---------------------------------------------------------------------------


def _functions(holder: Any, module: str) -> Iterator[tuple[str, FunctionType]]:
    """The functions that are written in ``module``, with those of its classes, by their names."""
    for name, value in list(vars(holder).items()):
        if isinstance(value, type) and value.__module__ == module:
            yield from ((f"{name}.{inner}", each) for inner, each in _functions(value, module))
            continue
        for each in (value, getattr(value, "__wrapped__", None), getattr(value, "__func__", None)):
            each = each.fget if isinstance(each, property) else each
            if isinstance(each, FunctionType) and each.__module__ == module:
                yield name, each
        if isinstance(value, property) and isinstance(value.fget, FunctionType):
            yield name, value.fget


def become(mutant: Mutant) -> None:
    """Give what this process has imported of the module the mutant's code, wherever it is known by name."""
    name = f"quotas.{mutant.module}"
    module = importlib.import_module(name)
    changed = ModuleType(name)
    changed.__dict__.update(__file__=module.__file__, __package__="quotas")
    sys.modules[name] = changed  # dataclasses look their module up
    exec(compile(mutant.source, str(module.__file__), "exec"), changed.__dict__)  # noqa: S102 (that is the tool)
    sys.modules[name] = module
    new = dict(_functions(changed, name))
    for path, function in _functions(module, name):
        other = new[path]
        function.__defaults__, function.__kwdefaults__ = other.__defaults__, other.__kwdefaults__
        if function.__code__.co_filename == module.__file__:  # else a dataclass has made it of the defaults
            function.__code__ = other.__code__
    for label, value in vars(changed).items():
        old = vars(module).get(label)
        plain = isinstance(value, int | float | str | tuple | frozenset)
        if plain and label in vars(module) and old != value:
            for each in list(sys.modules.values()):
                if getattr(each, "__dict__", {}).get(label) == old and each is not changed:
                    setattr(each, label, value)


class Trial:
    """The plugin: the tests as they are, then once in a fork for each mutant."""

    def __init__(self, chosen: list[Mutant], jobs: int) -> None:
        self.chosen = chosen
        self.jobs = jobs
        self.alive: list[Mutant] = []
        self.red = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not SERVERS & set(getattr(item, "fixturenames", ()))]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.red = self.red or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for number, item in enumerate(session.items):
            # As if another came after the last: what the session has set up stays.
            following = session.items[(number + 1) % len(session.items)]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.red:
                raise pytest.UsageError(f"{item.nodeid} is red before anything was changed")
        print(f"\n{len(session.items)} tests are green as they are", flush=True)
        same = Mutant(self.chosen[0].module, 0, "nothing", _text(self.chosen[0].module))
        if os.waitpid(self._fork(session, same), 0)[1]:
            raise pytest.UsageError("a fork of it is red without a change")
        running: dict[int, Mutant] = {}
        left = list(self.chosen)
        while left or running:
            while left and len(running) < self.jobs:
                mutant = left.pop(0)
                running[self._fork(session, mutant)] = mutant
            pid, status = os.wait()
            mutant = running.pop(pid)
            if status == 0:
                self.alive.append(mutant)
                print(f"lives: quotas/{mutant.module}.py:{mutant.line}  {mutant.change}", flush=True)
        return True

    def _fork(self, session: pytest.Session, mutant: Mutant) -> int:
        from django.db import connection

        connection.close()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            code = self._noticed(session, mutant, connection.settings_dict)
        finally:
            os._exit(code)

    def _noticed(self, session: pytest.Session, mutant: Mutant, database: dict[str, Any]) -> int:
        """1 when a test turns red; the fork's own end."""
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # its default action ends the process
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        own = Path(f"{database['NAME']}-{os.getpid()}")
        shutil.copyfile(str(database["NAME"]), own)
        database["NAME"] = str(own)
        try:
            become(mutant)
            self.red = False
            for number, item in enumerate(session.items):
                following = session.items[(number + 1) % len(session.items)]
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.red:
                    return 1
            return 0
        finally:
            for each in own.parent.glob(own.name + "*"):
                each.unlink(missing_ok=True)


def main() -> int:
    """Draw the mutants, try them, say what lives."""
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
    began = time.monotonic()
    trial = Trial(found, options.jobs)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    arguments = ["-q", "-s", "-p", "no:cacheprovider", "--database", "sqlite", *TESTS]
    if status := pytest.main(arguments, plugins=[trial]):
        return int(status)
    score = 1 - len(trial.alive) / len(found) if found else 0.0
    print(f"{len(found)} tried, {len(trial.alive)} live, score {score:.1%}, {time.monotonic() - began:.0f} s")
    return 0 if score >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
