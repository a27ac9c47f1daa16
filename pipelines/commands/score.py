"""`armorm score`: responses scored with an exported model or the published checkpoint."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache import UserError
from pipelines.steering_options import (
    Chosen,
    DirectionOption,
    ModeOption,
    ProfileOption,
    RenormaliseOption,
    WeightOption,
)
from pipelines.terminal import JsonOption, ModelDir, choice, console, finish, interrupted_by_termination, reporting

if TYPE_CHECKING:
    from export.results import FileScores

EXAMPLE = "armorm score exported/demo --input rows.jsonl --output scored.jsonl"


def command(
    model: Annotated[Path, ModelDir],
    prompt: Annotated[str | None, typer.Option(help="The user's message.")] = None,
    response: Annotated[str | None, typer.Option(help="The answer to be scored.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Rows with messages, prompt and response, prompt and responses, or prompt, chosen and rejected, in"
            " place of --prompt and --response: JSON lines or array, CSV, TSV, Parquet or Arrow, also compressed; - is"
            " standard input, with JSON lines.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines to write, or a table by the end .parquet or .csv; what an interrupted run has written is"
            " kept. - is standard output."
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Add rewards, adjusted rewards, weights and contributions by objective, standard errors,"
            " intervals of ratings, and whether the response is unlike the rated ones.",
        ),
    ] = False,
    prefix: Annotated[str, typer.Option(help="Prefix of the keys that are added to a row.")] = "",
    profile: ProfileOption = None,
    weight: WeightOption = None,
    weight_mode: ModeOption = None,
    direction: DirectionOption = None,
    renormalise: RenormaliseOption = None,
    device: Annotated[str, typer.Option(help="auto: the first CUDA device, else the CPU.")] = "auto",
    dtype: Annotated[
        str | None, choice(("float32", "bfloat16", "float16"), "Dtype of the backbone, in place of the folder's.")
    ] = None,
    pack_tokens: Annotated[int, typer.Option(min=8, help="Tokens of one pass, at most.")] = 8192,
    as_json: JsonOption = False,
) -> None:
    """Score responses with an exported model or the published checkpoint; exit code 1 if no row has a score."""
    given = tuple(value is not None for value in (prompt, response, source, output))
    if given not in ((True, True, False, False), (False, False, True, True)):
        raise UserError("score needs conversations: give --prompt and --response, or --input and --output")
    chosen = Chosen.of(profile, weight, weight_mode, direction, renormalise)
    from export.model_folder import config_values
    from export.score_ends import ends

    standard = False  # all that can be refused is looked at before torch is imported, and the model loaded
    if source is not None and output is not None:
        _, destination = ends(source, output)
        standard = destination.is_standard
        if standard and as_json:
            raise UserError("--json and the rows would both go to standard output: leave --json out, or name a file")
    config_values(model)
    from export.one_turn import score_one
    from export.reward_model import RewardModel
    from export.score_file import score_file

    scorer = RewardModel.load(model, device=device, dtype=dtype, pack_tokens=pack_tokens)
    steering = chosen.bound(scorer)
    if prompt is not None and response is not None:
        one = score_one(scorer, prompt, response, full=full, steering=steering)
        values = {
            name: value
            for name, value in asdict(one).items()
            if value is not None or (full and (name != "steering" or steering is not None))
        }
        spread = "" if one.score_std is None else f" ± {one.score_std:.6f}{', UNFAMILIAR' * bool(one.unfamiliar)}"
        finish(values, as_json, lambda: console().print(f"score {one.score:.6f}{spread}"))
        return
    assert source is not None
    assert output is not None
    with reporting() as progress, interrupted_by_termination():
        result = score_file(scorer, source, output, prefix=prefix, full=full, progress=progress, steering=steering)
    finish(result, as_json, lambda: show(result, stderr=standard))
    if result.rows and not result.scored:
        raise typer.Exit(1)


def show(result: "FileScores", *, stderr: bool = False) -> None:
    """Print how many rows of a file have a score; on standard error where the rows themselves go to standard output."""
    out = console(stderr=stderr)
    out.print(
        f"{result.rows:,} rows ({result.reused:,} were scored before), {result.scored:,} scored, {result.bad:,} not,"
        f" in {result.seconds:.1f} s: {result.output}"
    )
    if result.pairs:
        out.print(
            f"accuracy {result.accuracy:.4f}: the chosen response wins in {result.chosen_wins:,} of"
            f" {result.pairs:,} pairs, {result.ties:,} tied",
            highlight=False,
        )
    if result.bad:
        rows = ", ".join(map(str, result.bad_rows))
        out.print(f"not scored, each with its reason in the output: row {rows}{', …' * (result.bad > 5)}")
