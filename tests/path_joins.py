"""Every place where the program makes a path of a folder and a name, found in its source, and whether the name is safe.

A name is safe if it is written in the source, is a constant (UPPER_CASE), or is of a type that checks names when it is
made: a class derived from `cache.names.FileName`. Types come from annotations, as far as one function can be followed.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKING = "FileName"
"""The class whose descendants check names."""

MAKERS = {"joinpath", "with_name", "with_stem"}
"""Methods of a path that take a name."""

SAME = {"resolve", "absolute", "expanduser", "with_suffix", *MAKERS}
"""Methods of a path that return one."""


@dataclass
class Types:
    """Annotations of all files: the names of attributes and functions by what they are."""

    checking: set[str] = field(default_factory=lambda: {CHECKING})
    """Classes that check names."""
    paths: set[str] = field(default_factory=lambda: {"parent"})
    """Attributes, properties and functions that give a path."""
    checked: set[str] = field(default_factory=set)
    """Those that give a checked name."""
    texts: set[str] = field(default_factory=set)
    """Those that give other text."""

    def note(self, name: str, annotation: ast.expr | None) -> None:
        """Sort a name by its annotation."""
        words = _words(annotation)
        if words & self.checking:
            self.checked.add(name)
        elif "Path" in words:
            self.paths.add(name)
        elif "str" in words:
            self.texts.add(name)


def joins(sources: dict[str, str]) -> list[str]:
    """Joins with names that are not known to be safe, as "file: expression".

    Args:
        sources: file name -> Python source, of the whole program.
    """
    trees = {name: ast.parse(source) for name, source in sources.items()}
    types = _types(trees.values())
    found = []
    for name, tree in trees.items():
        for function in _functions(tree):
            found += [f"{name}: {ast.unparse(join)}" for join in _Function(function, types).unsafe()]
    return found


def _functions(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _types(trees: Iterable[ast.Module]) -> Types:
    types = Types()
    nodes = [node for tree in trees for node in ast.walk(tree)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    while new := {one.name for one in classes if _bases(one) & types.checking} - types.checking:
        types.checking |= new
    for node in nodes:
        if isinstance(node, ast.AnnAssign):
            types.note(_last(node.target), node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            types.note(node.name, node.returns)
            if node.name == "__init__":  # `self.folder = folder`
                annotations = {argument.arg: argument.annotation for argument in _arguments(node)}
                for part in ast.walk(node):
                    match part:
                        case ast.Assign(targets=[ast.Attribute(attr=attribute)], value=ast.Name(id=name)):
                            types.note(attribute, annotations.get(name))
    types.checked -= types.texts | types.paths  # a name that means two things is trusted in none
    return types


class _Function:
    """The names in one function, or at the top of a module."""

    def __init__(self, node: ast.AST, types: Types) -> None:
        self._types = types
        self._own = list(_own_nodes(node))
        self._paths: set[str] = set()
        self._checked: set[str] = set()
        self._texts: set[str] = set()
        for argument in _arguments(node):
            words = _words(argument.annotation)
            if words & types.checking:
                self._checked.add(argument.arg)
            elif "Path" in words:
                self._paths.add(argument.arg)
            elif "str" in words:
                self._texts.add(argument.arg)
        for part in self._own * 2:  # twice, for what is assigned after it is used in a loop
            if isinstance(part, ast.Assign) and len(part.targets) == 1 and isinstance(part.targets[0], ast.Name):
                name = part.targets[0].id
                if self._is_path(part.value):
                    self._paths.add(name)
                elif self._is_safe(part.value):
                    self._checked.add(name)
        for part in self._own:  # a name that is given two things is trusted in none
            if isinstance(part, ast.Assign) and not self._is_safe(part.value):
                self._checked -= {target.id for target in part.targets if isinstance(target, ast.Name)}

    def unsafe(self) -> Iterator[ast.expr]:
        """Joins with a name that may be anything."""
        for node in self._own:
            match node:
                case ast.BinOp(left=left, op=ast.Div(), right=right):
                    if (self._is_path(left) or self._is_text(right)) and not self._is_safe(right):
                        yield node
                case ast.Call(func=ast.Attribute(attr=attribute), args=names):
                    if attribute in MAKERS and not all(map(self._is_safe, names)):
                        yield node
                case ast.Call(func=ast.Name(id="Path"), args=names):
                    if not all(map(self._is_safe, names)):
                        yield node

    def _is_path(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self._paths
            case ast.Attribute(attr=name):
                return name in self._types.paths
            case ast.BinOp(left=left, op=ast.Div()):
                return self._is_path(left)
            case ast.Call(func=ast.Name(id=name)):
                return name == "Path" or name in self._types.paths
            case ast.Call(func=ast.Attribute(attr=name)):
                return name in SAME or name in self._types.paths
            case ast.BoolOp(values=values):
                return any(map(self._is_path, values))
            case ast.IfExp(body=body, orelse=other):
                return self._is_path(body) or self._is_path(other)
        return False

    def _is_text(self, node: ast.expr) -> bool:
        match node:
            case ast.JoinedStr() | ast.Subscript(slice=ast.Constant(value=str())):
                return True
            case ast.Call(func=ast.Name(id="str")):
                return True
            case ast.Attribute(attr=name):
                return name in self._types.checked or name in self._types.texts
            case ast.Name(id=name):
                return name in self._texts
        return False

    def _is_safe(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=value):
                return isinstance(value, str) and not value.startswith("/") and ".." not in value.split("/")
            case ast.Name(id=name):
                return name.isupper() or name == "__file__" or name in self._checked
            case ast.Attribute(value=owner, attr="name" | "stem") if self._is_path(owner):
                return True  # the last part of a path is a bare name
            case ast.Attribute(attr=name):
                return name.isupper() or name in self._types.checked
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._is_safe(left) and self._is_safe(right)
            case ast.Call(func=ast.Name(id=name)):
                return name in self._types.checking or name in self._types.checked
            case ast.JoinedStr(values=values):
                return all(map(self._is_safe_part, values))
        return False

    def _is_safe_part(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant():
                return True
            case ast.FormattedValue(value=value):
                return self._is_safe(value)
        return False


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _arguments(node: ast.AST) -> list[ast.arg]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _words(annotation: ast.expr | None) -> set[str]:
    """The names in an annotation that stand for the value itself: `Path | None` has Path, `list[Path]` has none."""
    match annotation:
        case ast.Name(id=name):
            return {name}
        case ast.Constant(value=str(text)):
            return _words(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, right=right):
            return _words(left) | _words(right)
        case ast.Attribute(attr=name):
            return {name}
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return _words(first)
    return set()


def _bases(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def program(root: Path, rooms: Iterable[str]) -> dict[str, str]:
    """The sources of some packages, by their place."""
    files = (file for room in rooms for file in sorted((root / room).rglob("*.py")))
    return {str(file.relative_to(root)): file.read_text(encoding="utf-8") for file in files}
