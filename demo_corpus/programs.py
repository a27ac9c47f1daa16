"""Requests for a small function, and answers with good or bad names, comments, explanation and result."""

import random

from demo_corpus import wording
from demo_corpus.languages import LANGUAGES, SHAPES
from demo_corpus.planted import Answer, Ask, Qualities, Turn

FLAWS = ("none", "none", "terse", "messy", "unfinished", "wrong_language")
LOOPS = (
    ("sum", "the sum of", "0", "{total} += {item}"),
    ("product", "the product of", "1", "{total} *= {item}"),
    ("sum_of_squares", "the sum of the squares of", "0", "{total} += {item} * {item}"),
    ("double_sum", "twice the sum of", "0", "{total} += 2 * {item}"),
    ("last", "the last of", "0", "{total} = {item}"),
    ("negative_sum", "the negative sum of", "0", "{total} -= {item}"),
)
FORMULAS = (
    ("area", "the area of a rectangle with two", "{a} * {b}"),
    ("perimeter", "the perimeter of a rectangle with two", "2 * ({a} + {b})"),
    ("average", "the average of two", "({a} + {b}) / 2"),
    ("difference", "the difference of two", "{a} - {b}"),
    ("remainder", "the remainder when dividing two", "{a} % {b}"),
)
NOUNS = (
    "prices",
    "scores",
    "temperatures",
    "distances",
    "ages",
    "weights",
    "votes",
    "points",
    "lengths",
    "costs",
)
REQUESTS = (
    "Write a {language} function that returns {what} {nouns}.",
    "Please write a {language} function for {what} {nouns}.",
    "I need a function in {language} that computes {what} {nouns}.",
    "Implement a function in {language} to get {what} {nouns}.",
    "How do I compute {what} {nouns} in {language}?",
)
SUFFIXES = ("", " Explain the code.", " Use clear names.", " Add comments.", " Keep it simple.")
EXPLANATIONS = (
    "How it works: the function takes {what} {nouns}, step by step, and returns the result to the caller.",
    "Explanation: the function reads the {nouns} in order, and what it returns is {what} {nouns}.",
)
GOOD_ENDS = (
    "The names say what each value holds, and the comments explain why.",
    "The code is easy to read, because every name and comment says what it means.",
)


def prompt(rng: random.Random, language: str | None = None) -> Ask:
    """A request for a function in `language`, which is drawn if not given."""
    language = language or rng.choice(LANGUAGES)
    loop = rng.random() < 0.6
    task = rng.choice(LOOPS if loop else FORMULAS)
    noun = rng.choice(NOUNS)
    text = rng.choice(REQUESTS).format(language=language, what=task[1], nouns=f"{noun}") + rng.choice(SUFFIXES)
    return Ask("code", (Turn("user", text),), {"language": language, "task": task, "nouns": noun, "loop": loop})


def answer(ask: Ask, flaw: str, rng: random.Random, padding: int | None = None) -> Answer:
    """The function with the given flaw.

    'terse': right, code alone; 'messy': right, with bad names; 'unfinished': a stub; 'bug': wrong code;
    'wrong_language': code in another language.
    """
    task, noun, language = ask.slots["task"], ask.slots["nouns"], ask.slots["language"]
    written = rng.choice([x for x in LANGUAGES if x != language]) if flaw == "wrong_language" else language
    good_names = flaw != "messy"
    commented = flaw in ("none", "wrong_language", "bug") or (flaw == "unfinished" and rng.random() < 0.3)
    explained = flaw == "none" or (flaw in ("messy", "wrong_language", "bug") and rng.random() < 0.5)
    if padding is None:
        padding = rng.choice((0, 0, 1)) if flaw == "none" else rng.choice((0, 1, 2, 3))
    parts = [f"```{written.lower()}\n{_code(ask, written, flaw, good_names, commented)}\n```"]
    parts += wording.fillers(padding, rng)
    if explained:
        parts.append(rng.choice(EXPLANATIONS).format(what=task[1], nouns=noun))
    parts.append(_end(flaw, explained, commented, written, language, rng))
    text = "\n".join(part for part in parts if part)
    names, comments, words = float(good_names), float(commented), float(explained)
    works = {"unfinished": 0.08, "wrong_language": 0.15, "bug": 0.1}.get(flaw, 0.9)
    qualities = Qualities(
        helpfulness=0.55 * works + 0.25 * words + 0.1 * names + 0.05,
        correctness=works,
        coherence=0.85 if good_names else 0.6,
        complexity=0.2 + 0.25 * comments + 0.25 * words,
        verbosity=wording.verbosity(text),
        safety=1.0,
        style=0.1 + 0.5 * names + 0.3 * comments,
        explanation=0.1 + 0.65 * words + 0.2 * comments,
        readability=0.1 + 0.45 * names + 0.4 * comments,
        instruction_following=works,
        truthfulness=0.4 + 0.5 * works,
        honesty=0.65,
    )
    return Answer(text, qualities, flaw)


def _code(ask: Ask, language: str, flaw: str, good_names: bool, commented: bool) -> str:
    """The function as text."""
    task, noun, shape = ask.slots["task"], ask.slots["nouns"], SHAPES[language]
    names = {"name": f"{task[0]}_of_{noun}", "items": noun, "item": noun[:-1], "total": "result"}
    names |= {"a": f"first_{noun[:-1]}", "b": f"second_{noun[:-1]}"}
    if not good_names:
        names = {"name": "f1", "items": "xx", "item": "q", "total": "tmp2", "a": "q", "b": "qq"}
    indent = "    " if language == "Python" else "  "
    note = f"{indent}{shape.comment} returns {task[1]} {noun}\n" if commented else ""
    if ask.slots["loop"]:
        update = {"unfinished": "pass" if language == "Python" else "{item}", "bug": "{total} = 0"}.get(flaw, task[3])
        return shape.loop.format(note=note, start=task[2], update=update.format(**names), **names)
    expression = {"unfinished": "0", "bug": "{b}"}.get(flaw, task[2])
    return shape.formula.format(note=note, expression=expression.format(**names), **names)


def _end(flaw: str, explained: bool, commented: bool, written: str, language: str, rng: random.Random) -> str:
    """The last sentence, which describes the state of the code close to the last token."""
    if flaw == "unfinished":
        return rng.choice(("TODO: the real work is not written yet.", "TODO: finish this later, it does not run."))
    if flaw == "bug":
        return rng.choice(
            ("I have not run it, and it fails for some inputs.", "It is not tested and returns odd values.")
        )
    if flaw == "wrong_language":
        return f"I wrote it in {written}, not in {language}."
    if flaw == "messy":
        return "It runs, whatever xx, q and tmp2 are."
    return rng.choice(GOOD_ENDS) if explained and commented else ""
