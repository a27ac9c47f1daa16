"""The words that stand for values in sentences: those that the source has for them, where they are words at all."""

import ast

SAME_WORDS = ("strip", "rstrip", "lstrip", "capitalize", "removeprefix", "removesuffix")
"""Methods of texts that change no word."""

OF_ITS_ARGUMENT = (
    "str",
    "repr",
    "ascii",
    "printable",
    "shown",
    "sorted",
    "list",
    "tuple",
    "next",
    "iter",
    "int",
    "ord",
    "float",
)
"""Functions that give what they are given, in another form."""

WORDS = {
    "__name__": "type",
    "_times": "shape",
    "cause": "cause",
    "first_line": "cause",
    "get_num_threads": "number",
    "gethostname": "host",
    "len": "number",
    "msg": "problem",
    "n_unique": "number",
    "strerror": "cause",
    "replace": "workers",
    "sum": "number",
}
"""Name in the source -> word, where the name says how a value is made rather than what it is."""


def name_of(node: ast.AST) -> str:
    """The last word of a dotted name; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def word_for(node: ast.expr) -> str:
    """The word for what an expression of the source gives."""
    name = _word(node)
    return WORDS.get(name, name.strip("_").lower().replace("_", " "))


def _word(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(key))) if key.isidentifier():
            return key
        case ast.Subscript(value=value) | ast.Starred(value=value) | ast.BinOp(left=value) | ast.IfExp(body=value):
            return _word(value)
        case ast.GeneratorExp(elt=value) | ast.ListComp(elt=value) | ast.SetComp(elt=value):
            return _word(value)
        case ast.BoolOp(values=[value, *_]):
            return _word(value)
        case ast.JoinedStr(values=parts):
            return next((_word(part.value) for part in parts if isinstance(part, ast.FormattedValue)), "text")
        case ast.Call(func=ast.Name(id=name)) if name in WORDS:
            return name
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(key)), *_]):
            return key
        case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str(key)), *_]):
            return key
        case (
            ast.Call(func=ast.Attribute(attr="join" | "fromkeys"), args=[value])
            | ast.Call(
                func=ast.Attribute(value=value, attr="partition" | "replace" | "lower" | "items" | "sum" | "split")
            )
        ):
            return _word(value)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in SAME_WORDS:
            return _word(value)
        case ast.Call(func=ast.Name(id="map"), args=[_, value]):
            return _word(value)
        case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in OF_ITS_ARGUMENT:
            return _word(value)
        case ast.Call(func=function):
            return name_of(function)
    return "value"
