"""Texts of expressions, followed through a small program whose sentences are known."""

import ast
from pathlib import Path

import pytest

from pipelines.sentences import Place, Texts
from pipelines.source_files import read_modules

PROGRAM = {
    "room/words.py": """
REMEDY = "fetch it again"
KINDS = {"a": "a file", "b": "a folder"}

def fault(text):
    if not text:
        return "is empty"
    return f"has {len(text):,} letters" if len(text) > 9 else None
""",
    "room/said.py": """
from room.words import KINDS, REMEDY, fault

def said(path, error, kind):
    say(f"{path} is damaged ({first_line(error)}): {REMEDY}")
    say("50 % of " + path.name)
    say(f"there is no {path}" if error is None else f"{KINDS[kind]} {error.strerror}")
    if found := fault(path):
        say(f"the text {found}")
    reason = "no row"
    reason = f"none: {reason}"
    say(reason)
    say(str(error))

def refuse(problem, *, remedy=REMEDY):
    say(f"{problem}: {remedy}")

def caller(path):
    refuse(f"{path} is gone", remedy="run it again")
    refuse("nothing is there")
    refuse(problem=path)
""",
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Texts of each argument of `say`, in the order of lines, for each call of the function around it."""
    folder = tmp_path_factory.mktemp("program")
    for name, text in PROGRAM.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    modules = read_modules(Path(folder), ("room",))
    made = Texts(modules)
    module = modules["room.said"]
    calls = [
        (node, function)
        for node, function in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"
    ]
    found = []
    for node, function in sorted(calls, key=lambda call: call[0].lineno):
        place = Place(module, function)
        found += sorted(sorted(made.of(node.args[0], at)) for at, _ in made.callers(place) or [(place, "")])
    return found


def test_values_stand_by_their_words_and_constants_by_their_texts(texts: list[list[str]]) -> None:
    assert texts[:2] == [["<path> is damaged (<cause>): fetch it again"], ["50 % of <name>"]]


def test_each_branch_is_a_text(texts: list[list[str]]) -> None:
    assert texts[2] == ["a file <cause>", "a folder <cause>", "there is no <path>"]


def test_functions_of_the_program_are_followed_and_none_says_nothing(texts: list[list[str]]) -> None:
    assert texts[3] == ["the text has <number> letters", "the text is empty"]


def test_a_name_made_of_its_last_text_is_no_circle(texts: list[list[str]]) -> None:
    assert texts[4] == ["no row", "none: <reason>"]


def test_what_cannot_be_followed_is_a_value(texts: list[list[str]]) -> None:
    assert texts[5] == ["<error>"]


def test_each_call_of_a_function_gives_its_own_words_together(texts: list[list[str]]) -> None:
    """Never the problem of one with the remedy of another."""
    assert texts[6:] == [
        ["<path> is gone: run it again"],
        ["<problem>: fetch it again"],
        ["nothing is there: fetch it again"],
    ]
