"""The text of a first recipe, with a comment at each guess."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.guesses import GuessedObjective, PairFile, RatedFile, number_of_rows

BUNDLED = Path(__file__).parents[1] / "backbones" / "tiny"
"""The backbone of 8 million parameters that a checkout has."""

FEW_PROMPTS = 200
"""Number of prompts below which a tenth of them is too few to choose and to check on."""

VALIDATION = 0.2
"""Fraction of few prompts that is held out."""


def few(rated: Sequence[RatedFile]) -> bool:
    """Whether rated files have so few prompts that more of them must be held out."""
    return 0 < sum(one.prompts for one in rated) < FEW_PROMPTS


def text_of(
    recipe: Path,
    backbone: str | None,
    rated: Sequence[RatedFile],
    pairs: Sequence[PairFile],
    suites: Sequence[PairFile],
    seed: int | None,
) -> str:
    """The recipe as TOML.

    Args:
        recipe: where it is to lie; paths in it are relative to its folder.
        backbone: folder or name on the hub; None: the bundled one.
        rated: files of rated responses.
        pairs: files of preferences.
        suites: files of preferences that are judged and never learned from.
        seed: of the split, for few prompts; None: the default.
    """
    blocks = [_head(recipe), _backbone(recipe.parent, backbone), *_sizes(rated, seed), *_debiasing(rated)]
    blocks += _objectives(rated)
    blocks += (_ratings(number, one, recipe.parent) for number, one in enumerate(rated))
    blocks += (_pairs("pairs", "preference", number, one, recipe.parent) for number, one in enumerate(pairs))
    if not pairs:
        blocks.append(_without_pairs(rated))
    blocks += (_pairs("suites", "preference_suite", number, one, recipe.parent) for number, one in enumerate(suites))
    return "\n\n".join(blocks) + "\n"


def _head(recipe: Path) -> str:
    return (
        "# Paths are relative to this file. All keys: docs/recipe.md. Next:\n"
        f"#   armorm check --recipe {recipe}\n"
        f"name = {_text(recipe.stem)}"
    )


def _backbone(folder: Path, given: str | None) -> str:
    if given is not None:
        return f"[backbone]\nmodel = {_text(given)}"
    if BUNDLED.is_dir():
        return (
            "[backbone]\n"
            "# The bundled backbone, of 8 million parameters, to try things. For results: a name on the hub, such as\n"
            '# "HuggingFaceTB/SmolLM2-135M-Instruct", which runs without a GPU, or a larger one.\n'
            f'model = {_text(_relative(BUNDLED, folder))}\ndtype = "float32"\nmax_tokens = 2048'
        )
    return '[backbone]\nmodel = "HuggingFaceTB/SmolLM2-135M-Instruct"   # a small one, which runs without a GPU'


def _sizes(rated: Sequence[RatedFile], seed: int | None) -> Iterator[str]:
    """Settings for few rows."""
    if not few(rated):
        return
    prompts, rows = sum(one.prompts for one in rated), sum(one.rows for one in rated)
    lines = [
        "[split]",
        f"validation = {VALIDATION}   # a fifth of the prompts is held out, since there are only {prompts}",
    ]
    if seed is not None:
        lines.append(f"seed = {seed}           # with this one it is exactly a fifth")
    yield "\n".join(lines)
    yield f"[heads]\nminimum_rows = {max(5, min(20, rows // 3))}   # rated rows that an objective needs"


def _debiasing(rated: Sequence[RatedFile]) -> Iterator[str]:
    names = [objective.name for one in rated for objective in one.objectives]
    own = next((name for name in names if "verbos" in name.lower()), None)
    if own is None:
        yield '[debiasing]\nverbosity = "response_tokens"   # the length of a response is taken out of the rewards'
    else:
        yield f"[debiasing]\nverbosity = {_text(own)}   # this objective is taken out of all others"


def _objectives(rated: Sequence[RatedFile]) -> Iterator[str]:
    seen: set[str] = set()
    for one in rated:
        for objective in one.objectives:
            if objective.name not in seen:
                seen.add(objective.name)
                yield _objective(objective)


def _objective(guess: GuessedObjective) -> str:
    lines = [
        "[[objectives]]",
        f"name = {_text(guess.name)}",
        f"low = {guess.low:g}    # guessed: {guess.ratings:,} ratings from {guess.lowest:g} to {guess.highest:g}",
        f"high = {guess.high:g}",
    ]
    if not guess.whole:
        lines.append('rule = "linear"   # not all ratings are whole numbers')
    return "\n".join(lines)


def _ratings(number: int, one: RatedFile, folder: Path) -> str:
    lines = ["[[ratings]]", 'source = "multi_objective"', f"name = {_text(_numbered('ratings', number))}"]
    lines.append(f"path = {_text(_relative(one.path, folder))}   # {number_of_rows(one.rows)}, {one.prompts:,} prompts")
    lines += [f"# left out: {reason}" for reason in map(_comment, one.left_out)]
    return "\n".join(lines)


def _pairs(kind: str, source: str, number: int, one: PairFile, folder: Path) -> str:
    name = _numbered({"pairs": "pairs", "suites": "mine"}[kind], number)
    lines = [f"[[{kind}]]", f"source = {_text(source)}", f"name = {_text(name)}"]
    form = f", {_comment(one.form)}" if one.form else ""
    lines.append(f"path = {_text(_relative(one.path, folder))}   # {number_of_rows(one.rows)}{form}")
    if one.columns:
        columns = ", ".join(f"{name} = {_text(column)}" for name, column in one.columns.items())
        lines.append(f"columns = {{ {columns} }}   # guessed by the names")
    return "\n".join(lines)


def _without_pairs(rated: Sequence[RatedFile]) -> str:
    where = next((number for number, one in enumerate(rated) if one.several), None)
    if where is None:
        return (
            "# The gate learns from preferences: rows with prompt, chosen and rejected. Without them `armorm\n"
            '# fit-heads` is the last step.\n# [[pairs]]\n# source = "preference"\n# path = "pairs.jsonl"'
        )
    by = ", ".join(f"{_text(objective.name)} = 1" for objective in rated[where].objectives)
    return (
        "# The gate learns from preferences. There is no file of them, and so they are derived: of two responses to a\n"
        "# prompt, the one with the higher mean rating is preferred. Weights of `by` say what counts in that mean.\n"
        f'[[pairs]]\nsource = "derived"\nname = "pairs"\nratings = {_text(_numbered("ratings", where))}\n'
        f'by = {{ {by} }}\npick = "all"'
    )


def _numbered(name: str, number: int) -> str:
    return name if number == 0 else f"{name}-{number + 1}"


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # a TOML basic string, for texts that print


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
