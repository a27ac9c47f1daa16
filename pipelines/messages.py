"""Every sentence that the program can say about what is wrong, read out of its source."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeGuard

from pipelines.sentences import Place, Texts, given_by, has_words
from pipelines.source_files import Function, Module, nodes, read_modules
from pipelines.value_words import name_of

HEAD = """# Messages

Every sentence that the program can say about what is wrong, by the file that says it; `<name>` stands for a value. A
refusal ends the command with exit code 2, or the request with the status of its kind. This page is made from the
code: `python -m pipelines.reference messages > docs/messages.md`.
"""

ROOT = Path(__file__).parents[1]
ROOMS = ("cache", "extract", "heads", "gating", "export", "evaluation", "pipelines")
"""The rooms of the program; what stands apart (the demo's rows, benchmarks) is for its own authors."""

Kind = Literal["refusal", "skipped", "logged", "answer"]

HEADINGS: dict[Kind, str] = {
    "refusal": "Refusals, with exit code 2",
    "skipped": "Reasons of rows, ratings, heads and conversations that are skipped",
    "logged": "Lines of the log",
    "answer": "Answers of the server to a request that it refuses",
}

CALLS: dict[str, tuple[Kind, str]] = {
    "Finding": ("refusal", "{0}: {1}"),
    "FileFaultError": ("refusal", "<file> {0}"),
    "BadRowError": ("skipped", "{0}"),
    "Malformed": ("skipped", "{0}"),
    "NotEncodableError": ("skipped", "{0}"),
    "NotScorableError": ("skipped", "{0}"),
    "NotFiniteError": ("skipped", "{0}"),
    "NoAnswerError": ("skipped", "{0}"),
    "SkippedError": ("skipped", "{0}"),
    "Skipped": ("skipped", "{1}"),
    "RefusedRequest": ("answer", "{1}"),
    "refusal": ("answer", "{1}"),
}
"""Function or class -> kind of what it says, and the sentence by the number of an argument."""

SPEAKERS: dict[tuple[str, str], Kind] = {
    ("cache/precision.py", "unusable_rows"): "skipped",
    ("evaluation/held_out.py", "contradiction"): "logged",
    ("extract/check/datasets.py", "_sentences"): "refusal",
    ("extract/check/rows.py", "_unusable"): "refusal",
    ("extract/check/scales.py", "doubt"): "refusal",
    ("extract/overlap.py", "reason"): "skipped",
    ("extract/template/facts.py", "lines"): "logged",
    ("gating/collapse.py", "warning"): "logged",
    ("gating/reference_set.py", "no_roots"): "logged",
    ("pipelines/run.py", "_problem"): "refusal",
}
"""File and function -> kind of the sentences that it gives, which are said elsewhere."""

LOGGED = ("info", "warning", "error", "exception")


@dataclass(frozen=True, order=True)
class Sentence:
    """A sentence, and the file that says it."""

    kind: Kind
    path: str
    text: str


def sentences() -> list[Sentence]:
    """All of them, each once in a file, in the order of files.

    A sentence whose words a caller gives stands with the file that calls.
    """
    modules = read_modules(ROOT, ROOMS)
    texts, errors = Texts(modules), _errors(modules)
    found = set()
    for module in modules.values():
        for node, function in module.nodes:
            place = Place(module, function)
            own = {
                (kind, text)
                for kind, expression, there in _said(node, place, errors)
                for text in texts.of(expression, there)
            }
            if not own:
                continue
            for at, path in texts.callers(place) or [(place, module.path)]:
                for kind, expression, there in _said(node, at, errors):
                    for text in filter(has_words, texts.of(expression, there)):
                        found.add(Sentence(kind, module.path if (kind, text) in own else path, text))
    return sorted(found)


def messages_page() -> str:
    """docs/messages.md: every sentence, by kind and by the file that says it."""
    parts = [HEAD]
    found = sentences()
    for kind, heading in HEADINGS.items():
        parts.append(f"## {heading}")
        files: dict[str, list[str]] = defaultdict(list)
        for each in found:
            if each.kind == kind:
                files[each.path].append(each.text)
        for path, texts in files.items():
            lines = "\n".join(f"    {text.replace(chr(10), ' ')}" for text in texts)
            parts.append(f"### {path}\n\n{lines}")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _errors(modules: Mapping[str, Module]) -> dict[str, tuple[Module, Function, ast.expr] | None]:
    """`UserError` and the classes below it -> the sentence that such a class makes of its arguments, if any."""
    found: dict[str, tuple[Module, Function, ast.expr] | None] = {"UserError": None}
    classes = [
        (module, node) for module in modules.values() for node, _ in module.nodes if isinstance(node, ast.ClassDef)
    ]
    for module, node in classes:
        if any(name_of(base) == "UserError" for base in node.bases):
            found[node.name] = None
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    (made,) = (call.args[0] for call, _ in nodes(part) if _is_call(call, "__init__"))
                    found[node.name] = (module, part, made)
    return found


def _said(
    node: ast.AST, place: Place, errors: Mapping[str, tuple[Module, Function, ast.expr] | None]
) -> Iterator[tuple[Kind, ast.expr, Place]]:
    """The sentence of a call, and where its names mean what they mean."""
    if place.function is not None and (speaks := SPEAKERS.get((place.module.path, place.function.name))):
        yield from ((speaks, value, place) for value in _given(node))
    if not isinstance(node, ast.Call):
        return
    name = name_of(node.func)
    if name in errors and node.args:
        if (made := errors[name]) is None:
            yield "refusal", node.args[0], place
        else:
            module, function, expression = made
            yield "refusal", expression, Place(module, function, given_by(node, place, function, module))
    elif name in CALLS and (CALLS[name][0] != "answer" or place.module.path.startswith("export/server/")):
        kind, pattern = CALLS[name]
        if arguments := [*node.args, *(each.value for each in node.keywords)]:
            yield kind, _filled(pattern, r"\{(\d)\}", arguments), place
    elif name == "ValueError" and node.args and _checks_values(place.module):
        yield ("answer" if place.module.path.startswith("export/server/") else "refusal"), node.args[0], place
    elif name in LOGGED and isinstance(node.func, ast.Attribute) and name_of(node.func.value) == "log":
        form = node.args[0]
        if isinstance(form, ast.Constant):
            yield "logged", _filled(str(form.value), r"%[-,.\d]*([srdgf])", node.args[1:]), place


def _given(node: ast.AST) -> list[ast.expr]:
    """The sentences that a function gives by a statement, each alone, first of a tuple, in a list or a dictionary."""
    match node:
        case ast.Yield(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
            pass
        case ast.Assign(targets=[ast.Subscript()], value=value):
            pass
        case _:
            return []
    match value:
        case ast.Tuple(elts=[first, *_]):
            return [first]
        case ast.List(elts=values) | ast.Dict(values=values):
            return values
        case ast.DictComp(value=each):
            return [each]
    return [value]


def _filled(pattern: str, marks: str, arguments: Sequence[ast.expr]) -> ast.expr:
    """An f-string of a pattern whose marks stand for arguments: by their number, or else in their order."""
    if pattern == "{0}":
        return arguments[0]
    parts = re.split(marks, pattern)
    values: list[ast.expr] = [ast.Constant(parts[0])]
    for place, (mark, text) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        number = int(mark) if mark.isdigit() else place
        values += [ast.FormattedValue(arguments[number], -1), ast.Constant(text.replace("%%", "%"))]
    return ast.JoinedStr(values)


def _checks_values(module: Module) -> bool:
    """Whether pydantic calls functions of a module, and names the key beside what they raise."""
    return any(origin == "pydantic" and name.endswith("_validator") for origin, name in module.imports.values())


def _is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and name_of(node.func) == name
