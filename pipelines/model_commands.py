"""`armorm explain`, `score`, `export` and `serve`: the reward model in a folder, and scores from it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cache import UserError
from export.server.settings import ServerSettings
from pipelines.command_line import HELP, JsonOption, RecipeOption, finish

app = typer.Typer(context_settings=HELP)

SERVER = ServerSettings()

ModelDir = typer.Argument(
    metavar="MODEL_DIR", help="A folder that `armorm export` wrote, or the published checkpoint's.", show_default=False
)
ModelArgument = Annotated[Path | None, ModelDir]


class DtypeName(StrEnum):
    """What a backbone can compute in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class WeightsChoice(StrEnum):
    """What becomes of the backbone's weights in an exported folder."""

    copy = "copy"
    link = "link"


@app.command(
    epilog="Example: armorm explain --recipe recipes/demo.toml --prompt 'What is 2 + 2?' --response '2 + 2 is 4.'"
)
def explain(
    prompt: Annotated[str, typer.Option(help="What the user says.")],
    response: Annotated[str, typer.Option(help="The answer to be scored.")],
    model: ModelArgument = None,
    recipe: Annotated[Path | None, typer.Option(help="The recipe of a run, in place of MODEL_DIR.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score one response, and show what each objective adds to the score."""
    if (model is None) == (recipe is None):
        raise UserError("explain needs a model: give either MODEL_DIR or --recipe")
    from pipelines.explain import as_json as as_plain
    from pipelines.explain import explain as run
    from pipelines.recipe import read_recipe
    from pipelines.show import show_explanation

    if recipe is not None:
        result = run(read_recipe(recipe), prompt, response)
    else:
        from export.explanation import explain as explain_text
        from export.reward_model import RewardModel

        assert model is not None
        result = as_plain(explain_text(RewardModel.load(model), prompt, response))
    finish(result, as_json, show_explanation)


@app.command(epilog="Example: armorm score exported/demo --input rows.jsonl --output scored.jsonl")
def score(
    model: Annotated[Path, ModelDir],
    prompt: Annotated[str | None, typer.Option(help="What the user says.")] = None,
    response: Annotated[str | None, typer.Option(help="The answer to be scored.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="JSONL with messages, prompt and response, or prompt and responses, in place of --prompt and"
            " --response.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSONL to write; what an interrupted run has written is kept.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Add rewards, adjusted rewards, weights and contributions by objective.")
    ] = False,
    prefix: Annotated[str, typer.Option(help="Of the names of what is added to a row.")] = "",
    device: Annotated[str, typer.Option(help="auto: the first CUDA device, else the CPU.")] = "auto",
    dtype: Annotated[DtypeName | None, typer.Option(help="Of the backbone, in place of the folder's.")] = None,
    pack_tokens: Annotated[int, typer.Option(min=8, help="Tokens of one pass, at most.")] = 8192,
    as_json: JsonOption = False,
) -> None:
    """Score responses with an exported model or the published checkpoint."""
    given = tuple(value is not None for value in (prompt, response, source, output))
    if given not in ((True, True, False, False), (False, False, True, True)):
        raise UserError("score needs either --prompt and --response, or --input and --output")
    from dataclasses import asdict

    from export.reward_model import RewardModel
    from export.score_file import score_file, score_one
    from pipelines.interrupts import interrupted_by_termination
    from pipelines.progress import reporting
    from pipelines.show import show_scores

    loaded = RewardModel.load(model, device=device, dtype=dtype and dtype.value, pack_tokens=pack_tokens)
    if prompt is not None and response is not None:
        one = asdict(score_one(loaded, prompt, response, full=full))
        finish({key: value for key, value in one.items() if value is not None}, as_json, show_scores)
        return
    assert source is not None
    assert output is not None
    with reporting() as progress, interrupted_by_termination():
        result = score_file(loaded, source, output, prefix=prefix, full=full, progress=progress)
    finish(asdict(result), as_json, show_scores)


@app.command(epilog="Example: armorm export --recipe recipes/demo.toml --out exported/demo")
def export(
    recipe: RecipeOption,
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier export there is replaced.")],
    weights: Annotated[
        WeightsChoice, typer.Option(help="Copy the backbone's weights, or link to where they lie.")
    ] = WeightsChoice.copy,
    check: Annotated[
        bool, typer.Option(help="Load the folder with transformers and compare its scores before it is kept.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Write the reward model as a folder that transformers loads by itself."""
    from pipelines.export import export as run
    from pipelines.recipe import read_recipe
    from pipelines.show import show_export

    finish(run(read_recipe(recipe), out, weights=weights.value, check=check), as_json, show_export)


@app.command(epilog="Example: armorm serve exported/demo --port 8000")
def serve(
    folder: Annotated[
        Path,
        typer.Argument(help="That `armorm export` wrote, or the published checkpoint's.", metavar="MODEL_DIR"),
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback needs a token.")] = SERVER.host,
    port: Annotated[int, typer.Option(help="0 takes any free one, and says which.")] = SERVER.port,
    token_file: Annotated[
        Path | None,
        typer.Option(help="The bearer token that requests must carry; left out, the environment's ARMORM_TOKEN."),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option(help="What answers call the model; left out, its folder's name.")
    ] = SERVER.model_name,
    device: Annotated[str, typer.Option(help="auto: the first CUDA device, else the CPU.")] = "auto",
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; left out, what the folder says.")
    ] = None,
    pack_tokens: Annotated[int, typer.Option(help="Tokens of one pass.")] = SERVER.pack_tokens,
    wait_ms: Annotated[float, typer.Option(help="How long an idle model waits for company.")] = SERVER.wait_ms,
    queue_tokens: Annotated[int, typer.Option(help="Tokens that may wait; more: 429.")] = SERVER.queue_tokens,
    responses: Annotated[int, typer.Option(help="Responses a request may have; more: 413.")] = SERVER.responses,
    body_bytes: Annotated[int, typer.Option(help="Bytes a request may have; more: 413.")] = SERVER.body_bytes,
    held_bytes: Annotated[int, typer.Option(help="Bytes of all requests in hand; more: 429.")] = SERVER.held_bytes,
    connections: Annotated[int, typer.Option(help="Connections at once; more: 503.")] = SERVER.connections,
    headers_seconds: Annotated[
        float, typer.Option(help="For the head of a request; longer: closed.")
    ] = SERVER.headers_seconds,
    body_seconds: Annotated[float, typer.Option(help="For its body; longer: 408.")] = SERVER.body_seconds,
    drain_seconds: Annotated[
        float, typer.Option(help="For requests in hand when told to stop.")
    ] = SERVER.drain_seconds,
) -> None:
    """Score over HTTP, for OpenRLHF, verl and other clients; with a page that shows how two answers compare."""
    from pipelines.serve import serve as run

    options = {name: value for name, value in locals().items() if name in type(SERVER).model_fields}
    run(folder, options, device=device, dtype=dtype)
