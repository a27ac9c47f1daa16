"""Drawing distinct prompts, with answers of different recipes, for training sets and suites."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from demo_corpus import chat, maths, programs, safety
from demo_corpus.planted import Answer, Ask, Case

ANSWERS_PER_PROMPT = 4
ANSWERERS: dict[str, Callable[..., Answer]] = {
    "chat": chat.answer,
    "safety": safety.answer,
    "maths": maths.answer,
    "code": programs.answer,
}
FLAWS: dict[str, tuple[str, ...]] = {
    "chat": chat.FLAWS,
    "safety": safety.FLAWS,
    "maths": maths.FLAWS,
    "code": (*programs.FLAWS, "bug"),
}
SOUND = frozenset({"none", "curt", "redirects", "brief", "terse"})
"""Recipes of answers that are good in the quality that decides for their kind."""


@dataclass
class Pool:
    """Source of prompts that never repeats a text, so that suites and training sets have none in common."""

    rng: random.Random
    taken: set[str] = field(default_factory=set)

    def ask(self, make: Callable[[random.Random], Ask]) -> Ask:
        """A new prompt, made by `make`."""
        for _ in range(10_000):
            ask = make(self.rng)
            if ask.text not in self.taken:
                self.taken.add(ask.text)
                return ask
        raise RuntimeError("the templates have run out of new prompts; ask for a smaller scale")

    def case(self, ask: Ask, flaws: Iterable[str], padding: int | None = None) -> Case:
        """The prompt with one answer for each flaw, all of distinct texts."""
        answers: list[Answer] = []
        for flaw in flaws:
            for _ in range(50):
                new = ANSWERERS[ask.kind](ask, flaw, self.rng, padding)
                if all(new.text != other.text for other in answers):
                    answers.append(new)
                    break
        return Case(ask, tuple(answers))

    def training_case(self, ask: Ask) -> Case:
        """The prompt with a good answer and others drawn from the recipes of its kind."""
        recipes = chat.BORDERLINE_FLAWS if ask.slots.get("borderline") else FLAWS[ask.kind]
        others = [self.rng.choice(recipes) for _ in range(ANSWERS_PER_PROMPT - 2)]
        bad = self.rng.choice([flaw for flaw in recipes if flaw not in SOUND])
        drawn = ["none", bad, *others]
        self.rng.shuffle(drawn)
        return self.case(ask, drawn)


def training_cases(rng: random.Random, pool: Pool, scale: float) -> list[Case]:
    """The prompts of the training sets, kinds mixed."""
    plan: tuple[tuple[int, Callable[[random.Random], Ask]], ...] = (
        (200, chat.prompt),
        (70, lambda r: chat.prompt(r, multi_turn=True)),
        (60, lambda r: chat.prompt(r, borderline=True)),
        (150, safety.prompt),
        (30, lambda r: safety.prompt(r, multi_turn=True)),
        (180, maths.prompt),
        (170, programs.prompt),
    )
    cases = [pool.training_case(pool.ask(make)) for count, make in plan for _ in range(max(4, round(count * scale)))]
    rng.shuffle(cases)
    return cases
