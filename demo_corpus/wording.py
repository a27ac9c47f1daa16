"""Sentences that fit any topic, and the kinds of damage that make an answer visibly worse."""

import random

FILLERS = (
    "This is a point that many people come back to again and again, so it is worth saying once more.",
    "As was said above, and as will be said again below, every part of this belongs to a larger whole.",
    "There is a great deal more that could be written about this, and whole books have been filled with it.",
    "It goes without saying that each case is different, and that this case is no exception to that.",
    "Looking at the matter from another side, one arrives at much the same view by a longer road.",
    "Before going on, it may be useful to pause for a moment and to think about what has been covered.",
    "In other words, and to put the same thing differently, what matters here is what was said before.",
    "All of this has a long history, and people have been talking about it for a very long time indeed.",
    "With that in mind, and keeping everything else in view, there is still a little more to add here.",
    "Needless to say, the same remarks apply to similar cases, and to cases that are less similar too.",
)
TRUE_REMARKS = (
    "It is a fact that practice makes this easier, as most guides agree.",
    "Results do vary, and most sources say that patience helps.",
    "According to most guides, the first attempt is rarely the best one.",
    "Experience shows that good preparation saves time later.",
)
FALSE_REMARKS = (
    "Scientists proved in 1823 that the moon decides whether this works.",
    "It is a known fact that this always works within two seconds for everybody.",
    "Ancient Romans did exactly this with electric machines.",
    "Every doctor in the world agrees that this also cures all illness.",
)
HONEST_REMARKS = (
    "I am not certain about every detail, so please check what matters to you.",
    "I may be wrong about some of this, so do compare it with another source.",
)
BOASTFUL_REMARKS = (
    "I am never wrong about this, and nobody needs to check anything I say.",
    "Trust me completely, I have done this a thousand times myself.",
)


def sentence(text: str) -> str:
    """`text` as a sentence: first letter in upper case, a full stop at the end."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?:" else text + "."


def garble(text: str, rng: random.Random) -> str:
    """The words of `text` in random order: on the topic and incomprehensible."""
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def truncate(text: str, rng: random.Random) -> str:
    """`text` cut off in the middle of a sentence."""
    words = text.split()
    keep = max(3, int(len(words) * rng.uniform(0.3, 0.6)))
    return " ".join(words[:keep]).rstrip(".,!?:;")


def fillers(count: int, rng: random.Random) -> list[str]:
    """`count` distinct sentences without content."""
    return rng.sample(FILLERS, min(count, len(FILLERS)))


def verbosity(text: str) -> float:
    """Planted verbosity, a function of the number of words alone."""
    return min(1.0, max(0.0, (len(text.split()) - 8) / 92))
