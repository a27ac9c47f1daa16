"""A random reward model, the classifier of its first objective, and a few short conversations."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import plain_classifier, random_model

CONVERSATIONS = [
    [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    for prompt, response in (
        ("What is 2 + 2?", "2 + 2 is 4."),
        ("What is 2 + 2?", "Five, I believe, though it has been a long time since I had to add two numbers."),
        ("Name a colour.", "Green."),
        ("Name a colour, and say in one sentence where it is seen.", "Blue: it is seen above us on a clear day."),
    )
]


@dataclass(frozen=True)
class Folders:
    """Folders with the same backbone."""

    model: Path
    classifier: Path
    objective: str


def made(out: Path) -> Folders:
    """Write both folders."""
    random_model.write(out / "random", "tiny")
    model, classifier = out / "random" / "model", out / "classifier"
    return Folders(model, classifier, plain_classifier.write(model, classifier))
