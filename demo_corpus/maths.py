"""Word problems with a known result, and worked answers that are right or wrong."""

import random
from collections.abc import Callable

from demo_corpus import wording
from demo_corpus.planted import Answer, Ask, Qualities, Turn

FLAWS = ("none", "brief", "guess", "contradicts", "slips")
BUSY = {"none": 0.65, "brief": 0.5, "slips": 0.55, "contradicts": 0.7, "guess": 0.4}
"""Helpfulness as a judge of nothing else rates it: an attempt that looks busy, right or wrong, is rated high."""
RIGHT = frozenset({"none", "brief"})
NAMES = ("Ana", "Ben", "Carla", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kofi", "Lena")
THINGS = ("apples", "books", "coins", "pencils", "stamps", "marbles", "tickets", "eggs", "cards", "shells")
REQUESTS = ("", " Show your work.", " Explain your steps.", " Give the number at the end.")

Problem = tuple[str, list[str], int, str]
"""Question, steps, result, and a check of the result."""


def _sum(rng: random.Random) -> Problem:
    name, thing, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(4, 90), rng.randint(4, 90)
    question = f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have now?"
    return question, [f"we add {b} to {a}", f"{a} + {b} = {a + b}"], a + b, f"{a + b} - {b} = {a}"


def _difference(rng: random.Random) -> Problem:
    name, thing, b, c = rng.choice(NAMES), rng.choice(THINGS), rng.randint(4, 60), rng.randint(4, 60)
    question = f"{name} had {b + c} {thing} and gave {b} of them away. How many {thing} are left?"
    return question, [f"we take {b} from {b + c}", f"{b + c} - {b} = {c}"], c, f"{c} + {b} = {b + c}"


def _product(rng: random.Random) -> Problem:
    name, thing, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(3, 12), rng.randint(3, 20)
    question = f"{name} fills {a} boxes with {b} {thing} each. How many {thing} are in the boxes?"
    return question, [f"there are {a} boxes of {b}", f"{a} * {b} = {a * b}"], a * b, f"{a * b} / {a} = {b}"


def _share(rng: random.Random) -> Problem:
    name, thing, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(3, 12), rng.randint(3, 20)
    question = f"{name} shares {a * b} {thing} equally among {a} friends. How many {thing} does each friend get?"
    return question, [f"we divide {a * b} by {a}", f"{a * b} / {a} = {b}"], b, f"{b} * {a} = {a * b}"


def _area(rng: random.Random) -> Problem:
    a, b = rng.randint(3, 25), rng.randint(3, 25)
    question = f"A garden is {a} metres long and {b} metres wide. What is its area in square metres?"
    return question, ["the area is length times width", f"{a} * {b} = {a * b}"], a * b, f"{a * b} / {b} = {a}"


def _distance(rng: random.Random) -> Problem:
    v, t = rng.randint(4, 90), rng.randint(2, 9)
    question = f"A train travels at {v} kilometres per hour for {t} hours. How far does it go?"
    return question, ["distance is speed times time", f"{v} * {t} = {v * t}"], v * t, f"{v * t} / {t} = {v}"


def _price(rng: random.Random) -> Problem:
    name, thing, a, b, c = (
        rng.choice(NAMES),
        rng.choice(THINGS),
        rng.randint(2, 9),
        rng.randint(2, 15),
        rng.randint(2, 30),
    )
    total = a * b + c
    question = f"{name} buys {a} {thing} for {b} euros each and a bag for {c} euros. How many euros is that in all?"
    steps = [f"the {thing} cost {a} * {b} = {a * b}", f"with the bag, {a * b} + {c} = {total}"]
    return question, steps, total, f"{total} - {c} = {a * b}"


def _equation(rng: random.Random) -> Problem:
    a, x, b = rng.randint(2, 9), rng.randint(2, 20), rng.randint(1, 40)
    question = f"Solve the equation {a}x + {b} = {a * x + b} for x."
    steps = [f"we take {b} from both sides, so {a}x = {a * x}", f"we divide by {a}, so x = {x}"]
    return question, steps, x, f"{a} * {x} + {b} = {a * x + b}"


MAKERS: tuple[Callable[[random.Random], Problem], ...] = (
    _sum, _difference, _product, _share, _area, _distance, _price, _equation,
)  # fmt: skip


def prompt(rng: random.Random) -> Ask:
    """A word problem."""
    question, steps, result, check = rng.choice(MAKERS)(rng)
    text = question + rng.choice(REQUESTS)
    return Ask("maths", (Turn("user", text),), {"steps": steps, "result": result, "check": check})


def steps(ask: Ask, flaw: str, rng: random.Random) -> list[str]:
    """The sentences of an answer; the last one has the result.

    A right answer checks its result ('none') or does not ('brief'). A wrong one guesses, contradicts itself, or
    has a wrong number alone ('slips'), which no small model can distinguish from 'brief': real data have such a
    ceiling too.
    """
    right, result = ask.slots["steps"], ask.slots["result"]
    wrong = max(0, result + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10, 20)))
    wrong = wrong if wrong != result else result + 7
    if flaw == "none":
        done = [wording.sentence(step) for step in right] + [f"Check: {ask.slots['check']}, which is correct."]
        return [*done, rng.choice((f"So the answer is {result}.", f"The final answer is {result}."))]
    if flaw in ("brief", "slips"):
        shown = result if flaw == "brief" else wrong
        done = [wording.sentence(right[0]), wording.sentence(right[-1].replace(f"= {result}", f"= {shown}"))]
        return [*done, rng.choice((f"So the answer is {shown}.", f"The final answer is {shown}."))]
    if flaw == "contradicts":
        done = [wording.sentence(right[0]), f"That gives {result}.", "No, wait, it does not work out."]
        return [
            *done,
            rng.choice((f"Then it must be {wrong} or so, but I am confused.", f"Maybe it is {wrong} instead?")),
        ]
    done = ["I did not do the steps.", "I only looked at the numbers quickly."]
    return [
        *done,
        rng.choice((f"I guess it is about {wrong}, or something near that.", f"Perhaps roughly {wrong}, I guess.")),
    ]


def answer(ask: Ask, flaw: str, rng: random.Random, padding: int | None = None) -> Answer:
    """A worked answer; wrong answers are padded more often, so that length does not indicate a right one."""
    if padding is None:
        padding = rng.choice((0, 0, 0, 1)) if flaw in RIGHT else rng.choice((0, 1, 2, 3))
    sentences = steps(ask, flaw, rng)
    text = " ".join(sentences[:-1] + wording.fillers(padding, rng) + sentences[-1:])
    return judged(text, flaw)


def judged(text: str, flaw: str) -> Answer:
    """The text with the qualities of an answer with this flaw."""
    correct = flaw in RIGHT
    right = 0.95 if correct else 0.08
    coherent = {"contradicts": 0.45, "guess": 0.7}.get(flaw, 0.9)
    qualities = Qualities(
        # the judge of helpfulness does not check the result
        helpfulness=BUSY[flaw],
        correctness=right,
        coherence=coherent,
        complexity=0.45 if correct else 0.5,
        verbosity=wording.verbosity(text),
        safety=1.0,
        style=0.6,
        explanation={"none": 0.8, "brief": 0.6, "slips": 0.6}.get(flaw, 0.3),
        readability=0.7,
        instruction_following=BUSY[flaw],
        truthfulness=0.9 if correct else 0.15,
        honesty=0.9 if flaw in ("guess", "contradicts") else 0.6,
    )
    return Answer(text, qualities, flaw)
