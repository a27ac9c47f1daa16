"""The texts that an expression of the program's source can give, with `<name>` where a value stands.

An expression is followed through f-strings, sums, choices, names and this project's own functions, as far as they hold
words. What cannot be followed is a value: `<name>`, by the word that the source has for it.
"""

import ast
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product
from math import prod
from pathlib import Path

from pipelines.value_words import SAME_WORDS, name_of, word_for

MOST_TEXTS = 40
"""Largest number of texts of one expression; one with more is a value."""

DEEPEST = 8
"""Number of names and functions that are followed, one after the other."""

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


@dataclass(frozen=True)
class Place:
    """Where an expression stands: names mean what they mean there."""

    module: Module
    function: Function | None
    given: Mapping[str, "tuple[ast.expr, Place]"] = field(default_factory=dict)
    """Parameter of the function -> the expression that a call gives for it, and where that stands."""
    followed: tuple[ast.AST, ...] = ()
    """What was followed to get there."""

    def after(self, node: ast.AST) -> "Place":
        """The same place, once a name has been followed."""
        return replace(self, followed=(*self.followed, node))


class Texts:
    """Texts of expressions."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self.modules = modules
        self._calls: dict[tuple[str, str], list[tuple[ast.Call, Place]]] = defaultdict(list)
        for module in modules.values():
            for node, function in module.nodes:
                if isinstance(node, ast.Call):
                    self._calls[self._origin(node.func, module)].append((node, Place(module, function)))

    def callers(self, place: Place) -> list[tuple[Place, str]]:
        """A function as each of its calls finds it, with the file that calls."""
        function = place.function
        if function is None or function.name == "__init__":
            return []
        calls = self._calls[place.module.dotted, function.name]
        return [(replace(place, given=given_by(call, function, at)), at.module.path) for call, at in calls]

    def of(self, node: ast.expr, place: Place) -> list[str]:
        """The texts of an expression; one value where it cannot be followed."""
        if len(place.followed) > DEEPEST or any(node is other for other in place.followed):
            return [_value(node)]
        texts = list(dict.fromkeys(self._of(node, place)))
        return texts if 0 < len(texts) <= MOST_TEXTS else [_value(node)]

    def _of(self, node: ast.expr, place: Place) -> list[str]:
        match node:
            case ast.Constant(value=value):
                return [f"{value:,}" if type(value) is int else str(value)]
            case ast.JoinedStr(values=parts):
                return _joined([self._embedded(part, place) for part in parts])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([self.of(left, place), self.of(right, place)])
            case ast.IfExp(body=body, orelse=other):
                return [*self.of(body, place), *self.of(other, place)]
            case ast.BoolOp(op=ast.Or(), values=values) | ast.Subscript(value=ast.Dict(values=values)):
                return [text for value in values for text in self.of(value, place)]
            case ast.NamedExpr(value=value):
                return self.of(value, place)
            case ast.Subscript(value=ast.Name(id=name)) if isinstance(
                kept := place.module.constants.get(name), ast.Dict
            ):
                texts = [text for value in kept.values for text in self.of(value, place.after(node))]
                return texts if any(map(has_words, texts)) else [_value(node)]
            case ast.Name(id=name):
                return self._named(name, node, place)
            case ast.Call():
                return self._called(node, place)
        return [_value(node)]

    def _embedded(self, node: ast.expr, place: Place) -> list[str]:
        """Texts of a part of an f-string: a value by its name, unless it holds words of its own."""
        if not isinstance(node, ast.FormattedValue):
            return self.of(node, place)
        texts = self.of(node.value, place)
        return texts if all(has_words(text) or not text for text in texts) else [_value(node.value)]

    def _named(self, name: str, node: ast.expr, place: Place) -> list[str]:
        if place.function is not None:
            if values := _assigned(place.function, name):
                texts = [text for value in values for text in self.of(value, place.after(node))]
                return texts if any(map(has_words, texts)) else [_value(node)]
            if name in place.given:
                value, at = place.given[name]
                texts = self.of(value, replace(at, followed=(*place.followed, node)))
                return texts if all(map(has_words, texts)) else [_value(node)]
        dotted, there = self._origin(node, place.module)
        if dotted in self.modules and there in self.modules[dotted].constants:
            module = self.modules[dotted]
            return self.of(module.constants[there], Place(module, None, followed=(*place.followed, node)))
        return [_value(node)]

    def _called(self, node: ast.Call, place: Place) -> list[str]:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in SAME_WORDS:
                return self.of(node.func.value, place)
            if name_of(node.func.value) not in ("self", "cls"):
                return [_value(node)]
        dotted, name = self._origin(node.func, place.module)
        function = self.modules[dotted].functions.get(name) if dotted in self.modules else None
        if function is None:
            return [_value(node)]
        there = Place(self.modules[dotted], function, given_by(node, function, place), (*place.followed, node))
        returned = [
            each.value for each, around in nodes(function) if isinstance(each, ast.Return) and around is function
        ]
        texts = [text for value in returned if value is not None for text in self.of(value, there)]
        texts = [text for text in texts if text != "None"]
        return texts if any(map(has_words, texts)) else [_value(node)]

    def _origin(self, node: ast.expr, module: Module) -> tuple[str, str]:
        """The module that a name or method comes from, and its name there."""
        name = name_of(node)
        return (
            (module.dotted, name)
            if isinstance(node, ast.Attribute)
            else module.imports.get(name, (module.dotted, name))
        )


def given_by(call: ast.Call, function: Function, place: Place) -> dict[str, tuple[ast.expr, Place]]:
    """The parameters of a function that a call at a place gives a value."""
    names = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
    given = dict(zip(names, call.args, strict=False))
    given |= {each.arg: each.value for each in call.keywords if each.arg is not None}
    return {name: (value, place) for name, value in given.items()}


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(chosen) for chosen in product(*parts)] if prod(map(len, parts)) <= MOST_TEXTS else []


def _assigned(function: Function, name: str) -> list[ast.expr]:
    """The expressions that a function gives to a name of its own."""
    return _all_assigned(function).get(name, [])


@cache
def _all_assigned(function: Function) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node, _ in nodes(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name].append(value)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                found[name].append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name].append(value)
    return dict(found)


def has_words(text: str) -> bool:
    """Whether a text has letters beside the names of values."""
    outside = "".join(part.rpartition(">")[2] for part in text.split("<"))
    return any(letter.isalpha() for letter in outside)


def _value(node: ast.expr) -> str:
    return f"<{word_for(node)}>"
