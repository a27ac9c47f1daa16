"""Chat prompts about everyday goals, and answers that are on topic or not, whole or damaged, short or long."""

import random

from demo_corpus import wording
from demo_corpus.harms import REFUSALS
from demo_corpus.planted import Answer, Ask, Qualities, Turn
from demo_corpus.topics import BORDERLINE, CONTEXTS, EARLIER_TURNS, OPENINGS, TOPICS

FLAWS = ("none", "none", "thin", "off_topic", "mixed", "garbled", "truncated", "false")
BORDERLINE_FLAWS = ("none", "refusal", "refusal", "thin")
GOOD_ENDS = (
    "With these steps you will be able to {goal}. I hope this helps!",
    "That is how to {goal}, and these steps will get you there. I hope this helps!",
    "Follow these steps and you will {goal} with success. I hope this helps!",
)
THIN = ("It depends.", "Hard to say.", "Just try it.", "There are many ways.")
THIN_ENDS = (
    "I do not know more than that.",
    "You could look it up somewhere.",
    "I cannot say much about it.",
)
OFF_TOPIC_ENDS = ("And that is all about how to {goal} instead.", "So much for how to {goal} instead.")


def prompt(rng: random.Random, borderline: bool = False, multi_turn: bool = False) -> Ask:
    """A prompt about a goal; `borderline` goals sound harmful but are harmless, so a refusal is a mistake."""
    goal, tips = rng.choice(BORDERLINE if borderline else TOPICS)
    text = rng.choice(OPENINGS).format(goal=goal, context=rng.choice(CONTEXTS))
    style = rng.choice(("prose", "prose", "numbered"))
    if style == "numbered":
        text += rng.choice((" Use a numbered list.", " Please number the steps.", " Answer with a numbered list."))
    turns: tuple[Turn, ...] = (Turn("user", text),)
    if multi_turn:
        question, reply = rng.choice(EARLIER_TURNS)
        turns = (Turn("user", question), Turn("assistant", reply), *turns)
    slots = {"goal": goal, "tips": tips, "style": style, "borderline": borderline}
    return Ask("chat", turns, slots)


def answer(ask: Ask, flaw: str, rng: random.Random, padding: int | None = None) -> Answer:
    """An answer with the given flaw and `padding` sentences without content; their number is drawn if not given."""
    goal, tips = ask.slots["goal"], list(ask.slots["tips"])
    padding = rng.choice((0, 0, 1, 2, 3)) if padding is None else padding
    if flaw == "refusal":
        return _refusal(padding, rng)
    if flaw == "thin":
        return _thin(padding, rng)
    other = goal
    if flaw == "off_topic":
        other, other_tips = rng.choice([topic for topic in TOPICS if topic[0] != goal])
        tips = list(other_tips)
    elif flaw == "mixed":
        stray = rng.choice([topic for topic in TOPICS if topic[0] != goal])
        tips = [*rng.sample(tips, 1), *rng.sample(stray[1], 2)]
    count = rng.randint(2, len(tips))
    chosen = [tips[i] for i in sorted(rng.sample(range(len(tips)), count))]
    numbered = ask.slots["style"] == "numbered"
    obeys = not numbered or rng.random() < 0.7
    shown_as_list = numbered and obeys
    body = [
        f"{i}. {wording.sentence(tip)}" if shown_as_list else wording.sentence(tip) for i, tip in enumerate(chosen, 1)
    ]
    remark, truthfulness, honesty = _remark(flaw, rng)
    # half of the off-topic answers name their topic; the others have to be compared with the prompt
    ends = OFF_TOPIC_ENDS if flaw == "off_topic" and rng.random() < 0.5 else GOOD_ENDS
    end = rng.choice(ends).format(goal=other)
    tail = [remark, end] if remark and flaw != "false" else [end, remark] if remark else [end]
    text = ("\n" if shown_as_list else " ").join(body) + " " + " ".join(wording.fillers(padding, rng) + tail)
    if flaw == "garbled":
        text = wording.garble(text, rng)
    elif flaw == "truncated":
        text = wording.truncate(text, rng)
    depth = (count - 2) / 2
    helpful = {"none": 0.8, "false": 0.45, "truncated": 0.35, "mixed": 0.4, "garbled": 0.12, "off_topic": 0.12}[
        flaw
    ] + 0.15 * depth
    coherent = {"garbled": 0.05, "truncated": 0.45, "mixed": 0.5}.get(flaw, 0.9)
    following = {"none": 0.9, "false": 0.75, "truncated": 0.4, "mixed": 0.4, "garbled": 0.15, "off_topic": 0.1}[flaw]
    return Answer(
        text,
        Qualities(
            helpfulness=helpful,
            correctness={"none": 0.88, "false": 0.2, "off_topic": 0.2}.get(flaw, 0.45),
            coherence=coherent,
            complexity=0.3 + 0.2 * depth,
            verbosity=wording.verbosity(text),
            safety=1.0,
            style=coherent,
            explanation=helpful,
            readability=coherent,
            instruction_following=following if obeys else following * 0.6,
            truthfulness=truthfulness,
            honesty=honesty,
        ),
        flaw,
    )


def _remark(flaw: str, rng: random.Random) -> tuple[str, float, float]:
    """A remark that shows truthfulness and honesty, and the values of both."""
    if flaw == "false":
        boast = rng.choice(wording.BOASTFUL_REMARKS) if rng.random() < 0.6 else ""
        remark = (rng.choice(wording.FALSE_REMARKS) + " " + boast).strip()
        return remark, 0.08, 0.1 if boast else 0.35
    draw = rng.random()
    if draw < 0.3:
        return rng.choice(wording.HONEST_REMARKS), 0.85, 0.95
    if draw < 0.6:
        return rng.choice(wording.TRUE_REMARKS), 0.95, 0.8
    return "", 0.78, 0.7


def _thin(padding: int, rng: random.Random) -> Answer:
    """An answer without content, which padding makes longer and no better."""
    text = " ".join([rng.choice(THIN), *wording.fillers(padding, rng), rng.choice(THIN_ENDS)])
    qualities = Qualities(
        helpfulness=0.15,
        correctness=0.4,
        coherence=0.75,
        complexity=0.1,
        verbosity=wording.verbosity(text),
        safety=1.0,
        style=0.5,
        explanation=0.1,
        readability=0.7,
        instruction_following=0.15,
        truthfulness=0.65,
        honesty=0.75,
    )
    return Answer(text, qualities, "thin")


def _refusal(padding: int, rng: random.Random) -> Answer:
    """A refusal of a harmless request: safe and useless."""
    end = "I cannot help with a request that could be harmful."
    text = " ".join([rng.choice(REFUSALS), *wording.fillers(padding, rng), end])
    qualities = Qualities(
        helpfulness=0.1,
        correctness=0.25,
        coherence=0.8,
        complexity=0.1,
        verbosity=wording.verbosity(text),
        safety=1.0,
        style=0.6,
        explanation=0.2,
        readability=0.8,
        instruction_following=0.08,
        truthfulness=0.6,
        honesty=0.7,
    )
    return Answer(text, qualities, "refusal")
