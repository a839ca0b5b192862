"""Finds each use of TensorRT in our sources, by itself, with its line.

mypy has the type of every expression; whatever stands on a protocol of
`edgesdk.backends.tensorrt.api`, or asks one by hasattr or getattr, is a use. Python's own syntax
tree gives the rest: subclasses of TensorRT's classes, integers in places of enums, and doors
through which an untyped TensorRT could come in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# A board that runs the tests for a GPU has no mypy, and must not stop here.
pytest.importorskip("mypy", reason="needs mypy: pip install mypy")

from mypy import build
from mypy.modulefinder import BuildSource
from mypy.nodes import (
    CallExpr,
    MemberExpr,
    MypyFile,
    NameExpr,
    Node,
    StrExpr,
    TypeInfo,
    Var,
)
from mypy.options import Options
from mypy.types import AnyType, Instance, ProperType, TypeType, get_proper_type

API = "edgesdk.backends.tensorrt.api"
NAMES = ("trt", "builder", "config", "network", "parser", "engine", "context", "runtime")
"""What our sources call TensorRT's things; none of them may be untyped."""
UNTYPED = ("Any", "object", "ModuleType", "types.ModuleType")
MASKS = ("create_network", "set_tactic_sources")
"""Methods whose integer is made of enum values."""
NOT_WALKED = {"node", "info", "type", "names", "unanalyzed_type", "unanalyzed_items"}


@dataclass(frozen=True, order=True)
class Use:
    """One use of a member of a class of TensorRT."""

    where: str
    """File and line."""
    since: str
    """The module of protocols: always, until_ten or from_ten."""
    cls: str
    member: str
    kind: str = "read"
    """read, set, or asked (by hasattr: the version decides whether it is there)."""


@dataclass(frozen=True, order=True)
class Subclass:
    """A class of ours that derives from one of TensorRT's."""

    where: str
    base: str
    methods: tuple[tuple[str, int], ...]
    """Public methods, and how many arguments each takes besides `self`."""


@dataclass(frozen=True)
class Source:
    """One checked file."""

    path: Path
    tree: ast.Module
    nodes: list[Node]

    def at(self, line: int) -> str:
        return f"{self.path.name}:{line}"


@dataclass(frozen=True)
class Checked:
    """What mypy knows of some files."""

    sources: list[Source]
    result: build.BuildResult

    def kind(self, node: Node) -> ProperType | None:
        found = self.result.types.get(node)  # type: ignore[call-overload]
        return None if found is None else get_proper_type(found)


def check(root: Path, files: list[Path]) -> Checked:
    """Have mypy type these files, of a package below `root`. What they import is not followed."""
    options = Options()
    options.export_types = True
    options.preserve_asts = True
    options.check_untyped_defs = True
    options.incremental = False
    options.cache_dir = "/dev/null"
    options.follow_imports = "skip"
    options.ignore_missing_imports = True
    options.explicit_package_bases = True
    options.python_version = (3, 10)
    api = sorted((Path(__file__).parents[1] / API.replace(".", "/")).rglob("*.py"))
    modules = [module_source(Path(__file__).parents[1], path) for path in api]
    modules += [module_source(root, path) for path in files if path not in api]
    result = build.build(modules, options)
    if result.graph is None:
        raise RuntimeError(f"mypy cannot read the files: {result.errors}")
    sources = [
        Source(path, ast.parse(path.read_text()), nodes_of(result.graph[module(root, path)].tree))
        for path in files
    ]
    return Checked(sources, result)


def module(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def module_source(root: Path, path: Path) -> BuildSource:
    return BuildSource(str(path), module(root, path))


def nodes_of(tree: MypyFile | None) -> list[Node]:
    """All nodes of a tree. mypy's own visitors cannot be subclassed where mypy is compiled."""
    stack: list[object] = [tree]
    seen: dict[int, Node] = {}
    while stack:
        node = stack.pop()
        if isinstance(node, (list, tuple)):
            stack.extend(node)
        elif isinstance(node, Node) and id(node) not in seen:
            another_file = isinstance(node, MypyFile) and node is not tree
            if another_file or isinstance(node, (Var, TypeInfo)):
                continue
            seen[id(node)] = node
            stack.extend(children(node))
    return list(seen.values())


def children(node: Node) -> Iterator[object]:
    for cls in type(node).__mro__:
        for name in getattr(cls, "__mypyc_attrs__", None) or getattr(cls, "__slots__", ()):
            if name not in NOT_WALKED:
                yield getattr(node, name, None)


def class_of(kind: ProperType | None) -> tuple[str, str] | None:
    """Module of protocols and class, if `kind` is one of them or its type."""
    if isinstance(kind, TypeType):
        kind = get_proper_type(kind.item)
    if not isinstance(kind, Instance) or not kind.type.fullname.startswith(f"{API}."):
        return None
    since, *_, cls = kind.type.fullname.removeprefix(f"{API}.").split(".")
    return since, cls


def uses(checked: Checked) -> list[Use]:
    """Every member of a protocol that is read, set or asked for."""
    found = []
    for source in checked.sources:
        stored = {
            (node.lineno, node.attr)
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        for node in source.nodes:
            if isinstance(node, MemberExpr):
                owner = class_of(checked.kind(node.expr))
                kind = "set" if (node.line, node.name) in stored else "read"
                if owner:
                    found.append(Use(source.at(node.line), *owner, node.name, kind))
            elif isinstance(node, CallExpr):
                found += asked(checked, source, node)
    return sorted(set(found))


def asked(checked: Checked, source: Source, call: CallExpr) -> Iterator[Use]:
    """hasattr(thing, "name") and getattr(thing, "name")."""
    named = isinstance(call.callee, NameExpr) and call.callee.name in ("hasattr", "getattr")
    if not named or len(call.args) < 2 or not isinstance(call.args[1], StrExpr):
        return
    owner = class_of(checked.kind(call.args[0]))
    if owner:
        yield Use(source.at(call.line), *owner, call.args[1].value, "asked")


def casts(checked: Checked) -> list[tuple[str, str, str]]:
    """Place, module of protocols and class of each cast("until_ten.X", ...)."""
    found = []
    for source in checked.sources:
        for node in ast.walk(source.tree):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cast"
            if called:
                text = ast.unparse(node.args[0])  # type: ignore[attr-defined]
                named = re.findall(r"\b(always|until_ten|from_ten)\.(\w+)", text)
                found += [(source.at(node.lineno), *one) for one in named]  # type: ignore[attr-defined]
    return found


def subclasses(checked: Checked, classes: set[str]) -> list[Subclass]:
    """Classes whose base is written `something.X`, with X one of TensorRT's `classes`."""
    found = []
    for source in checked.sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                bases = [b.attr for b in node.bases if isinstance(b, ast.Attribute)]
                methods = tuple(
                    (one.name, len(one.args.args) - 1)
                    for one in node.body
                    if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")
                )
                found += [
                    Subclass(source.at(node.lineno), b, methods) for b in bases if b in classes
                ]
    return sorted(found)


def untyped(checked: Checked, telling: set[str]) -> list[str]:
    """Doors for an untyped TensorRT: annotations, and names of its own on what has no type."""
    found = []
    for source in checked.sources:
        found += untyped_annotations(source)
        imported = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(source.tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        for node in source.nodes:
            if isinstance(node, MemberExpr) and node.name in telling:
                kind = checked.kind(node.expr)
                if isinstance(kind, AnyType) and root_name(node) not in imported:
                    found.append(f"{source.at(node.line)}: .{node.name} of what has no type")
    return sorted(set(found))


def root_name(node: Node) -> str:
    while isinstance(node, (MemberExpr, CallExpr)):
        node = node.expr if isinstance(node, MemberExpr) else node.callee
    return node.name if isinstance(node, NameExpr) else ""


def untyped_annotations(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.arg) and node.arg in NAMES:
            shown = ast.unparse(node.annotation) if node.annotation else "Any"
            if shown.strip("'\"").removesuffix(" | None") in UNTYPED:
                yield f"{source.at(node.lineno)}: {node.arg} has no type of TensorRT's"
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target).removeprefix("self.").lstrip("_")
            if name in NAMES and ast.unparse(node.annotation).strip("'\"") in UNTYPED:
                yield f"{source.at(node.lineno)}: {name} has no type of TensorRT's"


def integers(checked: Checked) -> list[str]:
    """Integers where members of an enum belong."""
    found: list[str] = []
    for source in checked.sources:
        flags = flag_positions(checked, source)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift):
                found += shifted(source, node, flags)
            elif isinstance(node, ast.Call):
                found += masked(source, node)
            elif isinstance(node, ast.Compare):
                found += compared(source, node, flags)
    return sorted(set(found))


Position = tuple[int, int]


def flag_positions(checked: Checked, source: Source) -> set[Position]:
    """Where an expression has the type of an enum's member; its end tells it from its parts."""
    return {
        (node.end_line or 0, node.end_column or 0)
        for node in source.nodes
        if class_of(checked.kind(node)) == ("always", "Flag")
    }


def end(node: ast.expr) -> Position:
    return node.end_lineno or 0, node.end_col_offset or 0


def int_of(node: ast.expr) -> ast.expr | None:
    """x of int(x)."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.args[0] if called and node.func.id == "int" and node.args else None  # type: ignore[attr-defined]


def number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def shifted(source: Source, node: ast.BinOp, flags: set[Position]) -> Iterator[str]:
    """1 << int(x): x must be a member of an enum."""
    inside = int_of(node.right)
    if inside is not None and end(inside) not in flags:
        yield f"{source.at(node.lineno)}: {ast.unparse(node)} is made of no enum's member"


def masked(source: Source, node: ast.Call) -> Iterator[str]:
    """create_network(1), create_network(1 << 0)."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in MASKS:
        return
    for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
        parts = list(ast.walk(argument))
        shift = any(isinstance(part, ast.BinOp) and number(part.right) for part in parts)
        if number(argument) or shift:
            yield f"{source.at(node.lineno)}: {ast.unparse(node)} has a number for an enum"


def compared(source: Source, node: ast.Compare, flags: set[Position]) -> Iterator[str]:
    """int(flag) == 3, flag < 2."""
    sides = [node.left, *node.comparators]
    if any(number(side) for side in sides) and any(
        end(int_of(side) or side) in flags for side in sides if not number(side)
    ):
        yield f"{source.at(node.lineno)}: {ast.unparse(node)} compares a member with a number"
