"""Small changes of a module's code, and how a process that has the module takes one.

A change is of a comparison, a sign, a number, a truth value or a condition. Left alone, by rule, is what no
answer rests on: what types and decorators of classes say, how much a cache keeps, what is logged, and that
``zip`` compares lengths.
"""

from __future__ import annotations

import ast
import gc
import importlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import EnumType
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from rest_framework.serializers import Serializer

ROOT = Path(__file__).resolve().parent.parent
DECLARED = ("apps", "urls", "models", "migrations", "management", "__init__")
"""What Django reads once, as it does ``…admin``: a process can't take other code for it."""

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
NAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}
CACHES = {"lru_cache", "cache"}
LOGS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = ("log.", "logger.", "logging.", "_log.", "_logger.")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the module's name, the line, what it says there, and the source that it makes.

    A test must run one of ``lines`` to notice it; None: it stands outside of functions, where ``names`` are bound.
    """

    module: str
    line: int
    change: str
    source: str
    lines: range | None = None
    names: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.module.replace('.', '/')}.py:{self.line}"


def modules(package: str) -> list[str]:
    """The names of the package's modules that can be changed, but for those that need no coverage (decision 0095)."""
    with (ROOT / "pyproject.toml").open("rb") as project:
        left_out = tomllib.load(project)["tool"]["coverage"]["report"]["omit"]
    found = []
    for file in sorted((ROOT / package).rglob("*.py")):
        path = file.relative_to(ROOT)
        parts = path.with_suffix("").parts
        if (
            not set(parts) & set(DECLARED)
            and not parts[-1].endswith("admin")
            and not any(path.match(pattern) for pattern in left_out)
        ):
            found.append(".".join(parts))
    return found


def file_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


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


def _called(node: ast.AST) -> str:
    call = node.func if isinstance(node, ast.Call) else node
    return call.attr if isinstance(call, ast.Attribute) else call.id if isinstance(call, ast.Name) else ""


def _left_alone(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of ``node`` that no answer rests on."""
    if isinstance(node, ast.ClassDef):
        yield from node.decorator_list
    elif isinstance(node, ast.FunctionDef):
        yield from (each for each in node.decorator_list if _called(each) in CACHES)
    elif isinstance(node, ast.If) and _called(node.test) == "TYPE_CHECKING":
        yield node
    elif isinstance(node, ast.Call) and _called(node) == "zip":
        yield from node.keywords
    elif isinstance(node, ast.Call) and _called(node) in LOGS and ast.unparse(node.func).startswith(LOGGERS):
        yield node
    yield from (each for name in ("annotation", "returns") if (each := getattr(node, name, None)) is not None)


def _header(statement: ast.stmt) -> range:
    """The lines of a statement, without those of the statements in it."""
    body = getattr(statement, "body", None)
    last = statement.end_lineno or statement.lineno
    return range(statement.lineno, max(statement.lineno + 1, body[0].lineno if body else last + 1))


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return ()
    return tuple(
        each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    )


def _places(node: ast.AST, statement: ast.stmt | None, inside: bool) -> Iterator[tuple[ast.AST, ast.stmt, bool]]:
    """(a node, the statement it is of, whether that is in a function) of all in ``node`` that may be changed."""
    alone = set(map(id, _left_alone(node)))
    if id(node) in alone:
        return
    for name, value in ast.iter_fields(node):
        within = inside or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name == "body")
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and id(child) not in alone:
                of = child if isinstance(child, ast.stmt) else statement
                if of is not None:
                    yield child, of, within
                yield from _places(child, of, within)


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, named with its package; two changes that make the same text are one."""
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    found: dict[str, Mutant] = {}
    for node, statement, inside in list(_places(tree, None, False)):
        for change, name, value in changes(node):
            before = getattr(node, name)
            setattr(node, name, value)
            source = ast.unparse(ast.fix_missing_locations(tree))
            setattr(node, name, before)
            lines, names = (_header(statement), ()) if inside else (None, _bound(statement))
            line = getattr(node, "lineno", statement.lineno)
            found.setdefault(source, Mutant(module, line, change, source, lines, names))
    return list(found.values())


# Taking a mutant's code ---------------------------------------------------------------------------
def _functions(holder: Any, module: str) -> Iterator[tuple[str, FunctionType]]:
    """The functions that are written in ``module``, with those of its classes, by their names."""
    for name, value in list(vars(holder).items()):
        if isinstance(value, type) and value.__module__ == module:
            yield from ((f"{name}.{inner}", each) for inner, each in _functions(value, module))
            continue
        value = getattr(value, "fget", None) or getattr(value, "func", None) or value
        depth = 0
        while value is not None:
            if isinstance(value, FunctionType) and value.__module__ == module:
                yield f"{name}/{depth}", value
            value, depth = getattr(value, "__wrapped__", None) or getattr(value, "__func__", None), depth + 1


def _values(changed: Any, old: Any, module: str) -> None:
    """Give the classes of ``old`` the values that stand in those of ``changed``; an enumeration keeps its own."""
    if isinstance(changed, EnumType):
        return
    for name, value in list(vars(changed).items()):
        there = vars(old).get(name)
        if isinstance(value, type):
            if isinstance(there, type) and value.__module__ == module:
                _values(value, there, module)
        elif isinstance(changed, type) and not name.startswith("__") and not hasattr(value, "__get__"):
            setattr(old, name, value)


def _forget_fields() -> None:
    """Have serializers that describe doors read their fields anew: each keeps those that it was first asked for."""
    for each in gc.get_objects():
        if issubclass(type(each), Serializer):  # not isinstance, which asks lazy objects who they are
            vars(each).pop("fields", None)


def become(mutant: Mutant) -> None:
    """Give what this process has imported of the module the mutant's code, wherever it is known by name."""
    name = mutant.module
    module = importlib.import_module(name)
    changed = ModuleType(name)
    changed.__dict__.update(__file__=module.__file__, __package__=name.rpartition(".")[0])
    sys.modules[name] = changed  # dataclasses look their module up
    exec(compile(mutant.source, str(module.__file__), "exec"), changed.__dict__)  # noqa: S102 (that is the tool)
    sys.modules[name] = module
    new = dict(_functions(changed, name))
    for path, function in _functions(module, name):
        other = new[path]
        if function.__code__.co_filename == module.__file__:
            function.__code__ = other.__code__
        elif function.__code__.co_filename != "<string>":
            continue  # a decorator's; what a dataclass has made takes its defaults
        function.__defaults__, function.__kwdefaults__ = other.__defaults__, other.__kwdefaults__
        # What decorators have noted on it, as a door's description.
        function.__dict__.update((key, value) for key, value in vars(other).items() if key != "__wrapped__")
    if mutant.lines is None:
        _values(changed, module, name)
        _forget_fields()
    for label, value in vars(changed).items():
        old = vars(module).get(label)
        plain = isinstance(value, int | float | str | tuple | frozenset) and old != value
        if label in vars(module) and (plain or (label in mutant.names and not isinstance(value, type))):
            for each in list(sys.modules.values()):
                there = getattr(each, "__dict__", {}).get(label)
                if there is not None and type(there) is type(old) and there == old and each is not changed:
                    setattr(each, label, value)
