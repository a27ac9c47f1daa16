"""The texts that an expression of the program's source can give, with `<name>` where a value stands.

An expression is followed through f-strings, sums, choices, names and this project's own functions, as far as they hold
words. What cannot be followed is a value: `<name>`, by the word that the source has for it.
"""

import ast
from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from math import prod
from typing import cast

from pipelines.source_files import Function, Module, nodes
from pipelines.value_words import SAME_WORDS, name_of, word_for

MOST_TEXTS = 40
"""Largest number of texts of one expression; one with more is a value."""

NOTHING = "<none>"
"""The text of None, which stands for no sentence."""

DEEPEST = 8
"""Number of names and functions that are followed, one after the other."""


@dataclass(frozen=True)
class Place:
    """Where an expression stands: names mean what they mean there."""

    module: Module
    function: Function | None
    given: Mapping[str, "tuple[ast.expr, Place]"] = field(default_factory=dict)
    """Parameter of the function -> the expression that a call gives for it, and where that stands."""
    followed: tuple[ast.AST, ...] = ()
    """Names that were followed to get there."""

    def after(self, node: ast.AST) -> "Place":
        """This place, once a name has been followed."""
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
        return [
            (replace(place, given=given_by(call, at, function, place.module)), at.module.path) for call, at in calls
        ]

    def of(self, node: ast.expr, place: Place) -> list[str]:
        """The texts of an expression; one value where it cannot be followed."""
        if len(place.followed) > DEEPEST or any(node is other for other in place.followed):
            return [_value(node)]
        texts = list(dict.fromkeys(self._of(node, place)))
        texts = [text for text in texts if text != NOTHING] or texts
        return texts if 0 < len(texts) <= MOST_TEXTS else [_value(node)]

    def _of(self, node: ast.expr, place: Place) -> list[str]:
        match node:
            case ast.Constant(value=value):
                return [f"{value:,}" if type(value) is int else NOTHING if value is None else str(value)]
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
            case ast.Subscript(value=ast.Name()) if isinstance(kept := self._constant(node.value, place), ast.Dict):
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
        return texts if any(map(has_words, texts)) or "" in texts else [_value(node.value)]

    def _named(self, name: str, node: ast.Name, place: Place) -> list[str]:
        if place.function is not None:
            if values := _assigned(place.function, name):
                texts = [text for value in values for text in self.of(value, place.after(node))]
                return texts if any(map(has_words, texts)) else [_value(node)]
            if name in place.given:
                value, at = place.given[name]
                texts = self.of(value, replace(at, followed=(*place.followed, node)))
                return texts if any(map(has_words, texts)) else [_value(node)]
        if (constant := self._constant(node, place)) is not None:
            dotted, _ = self._origin(node, place.module)
            return self.of(constant, Place(self.modules[dotted], None, followed=(*place.followed, node)))
        return [_value(node)]

    def _constant(self, node: ast.expr, place: Place) -> ast.expr | None:
        """The value of a name that a module gives one."""
        dotted, name = self._origin(node, place.module)
        return self.modules[dotted].constants.get(name) if dotted in self.modules else None

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
        there = Place(
            self.modules[dotted],
            function,
            given_by(node, place, function, self.modules[dotted]),
            (*place.followed, node),
        )
        returned = [
            each.value for each, around in nodes(function) if isinstance(each, ast.Return) and around is function
        ]
        texts = [text for value in returned if value is not None for text in self.of(value, there)]
        return texts if any(map(has_words, texts)) else [_value(node)]

    def _origin(self, node: ast.expr, module: Module) -> tuple[str, str]:
        """The module that a name or method comes from, and its name there."""
        name = name_of(node)
        return (
            (module.dotted, name)
            if isinstance(node, ast.Attribute)
            else module.imports.get(name, (module.dotted, name))
        )


def given_by(call: ast.Call, at: Place, function: Function, module: Module) -> dict[str, tuple[ast.expr, Place]]:
    """The values of a function's parameters in a call, and where each stands; a default stands in its module."""
    parameters = [each.arg for each in function.args.args]
    defaults = dict(zip(reversed(parameters), reversed(function.args.defaults), strict=False))
    defaults |= {
        each.arg: value
        for each, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if value
    }
    given = dict(zip([name for name in parameters if name not in ("self", "cls")], call.args, strict=False))
    given |= {each.arg: each.value for each in call.keywords if each.arg is not None}
    there = Place(module, None)
    return {name: (value, there) for name, value in defaults.items()} | {
        name: (value, at) for name, value in given.items()
    }


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
    return {name: [_without(name, value) for value in values] for name, values in found.items()}


def _without(name: str, value: ast.expr) -> ast.expr:
    """The expression with a name as a value in it, where that name is given a new text made of its last."""
    if not any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value)):
        return value
    return cast(ast.expr, _Renamed(name).visit(deepcopy(value)))


class _Renamed(ast.NodeTransformer):
    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"_{node.id}") if node.id == self._name else node


def has_words(text: str) -> bool:
    """Whether a text has letters beside the names of values."""
    outside = "".join(part.rpartition(">")[2] for part in text.split("<"))
    return any(letter.isalpha() for letter in outside)


def _value(node: ast.expr) -> str:
    return f"<{word_for(node)}>"
