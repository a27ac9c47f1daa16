"""The program's own source, parsed: functions, constants, imports."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A source file."""

    dotted: str
    path: str
    """Relative to the project's root."""
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[tuple[ast.AST, Function | None]]:
        """Every node, with the innermost function around it."""
        return nodes(self.tree)

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Functions and methods by their name."""
        return {node.name: node for node, _ in self.nodes if isinstance(node, Function)}

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Values of the names that the module gives one."""
        return {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Name -> the module that it is imported from, and its name there."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node, _ in self.nodes
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }


def nodes(tree: ast.AST) -> list[tuple[ast.AST, Function | None]]:
    """Every node below another, with the innermost function around it."""
    found: list[tuple[ast.AST, Function | None]] = []
    waiting: list[tuple[ast.AST, Function | None]] = [(tree, tree if isinstance(tree, Function) else None)]
    while waiting:
        node, around = waiting.pop()
        below = [(each, around) for each in ast.iter_child_nodes(node)]
        found += below
        waiting += [(each, each if isinstance(each, Function) else around) for each, _ in below]
    return found


def read_modules(root: Path, rooms: tuple[str, ...]) -> dict[str, Module]:
    """Dotted name -> source file, for each file of the rooms."""
    paths = sorted(path for room in rooms for path in (root / room).rglob("*.py"))
    modules = {}
    for path in paths:
        relative = path.relative_to(root)
        dotted = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        modules[dotted] = Module(dotted, relative.as_posix(), ast.parse(path.read_text(encoding="utf-8")))
    return modules
