"""`armorm serve`: a reward model's folder over HTTP."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cache import UserError
from export.server.settings import ServerSettings

EXAMPLE = "armorm serve exported/demo --port 8000"

SERVER = ServerSettings()
PACKAGES = ("fastapi", "h11", "prometheus_client", "starlette", "uvicorn")
"""Packages of the extra `server`."""


def command(
    folder: Annotated[
        Path,
        typer.Argument(help="A folder that `armorm export` wrote, or the published checkpoint's.", metavar="MODEL_DIR"),
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback needs a token.")] = SERVER.host,
    port: Annotated[int, typer.Option(help="0 takes any free one, and says which.")] = SERVER.port,
    token_file: Annotated[
        Path | None,
        typer.Option(help="The bearer token that requests must carry; left out, the environment's ARMORM_TOKEN."),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option(help="The model's name in answers; left out, its folder's name.")
    ] = SERVER.model_name,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A profile of the folder, by whose weights all protocols score; left out, the gate's.",
        ),
    ] = SERVER.profile,
    device: Annotated[str, typer.Option(help="auto: the first CUDA device, else the CPU.")] = "auto",
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; left out, what the folder says.")
    ] = None,
    pack_tokens: Annotated[int, typer.Option(help="Most tokens of one pass.")] = SERVER.pack_tokens,
    wait_ms: Annotated[float, typer.Option(help="Milliseconds to wait for more requests when idle.")] = SERVER.wait_ms,
    queue_tokens: Annotated[int, typer.Option(help="Tokens that may wait; more: 429.")] = SERVER.queue_tokens,
    responses: Annotated[int, typer.Option(help="Responses a request may have; more: 413.")] = SERVER.responses,
    unscorable: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            help="Score of inputs that are empty, too long or the like, where a protocol knows no error; left out, they"
            " are refused.",
        ),
    ] = SERVER.unscorable,
    body_bytes: Annotated[int, typer.Option(help="Bytes a request may have; more: 413.")] = SERVER.body_bytes,
    held_bytes: Annotated[int, typer.Option(help="Bytes of all open requests; more: 429.")] = SERVER.held_bytes,
    connections: Annotated[int, typer.Option(help="Connections at once; more: 503.")] = SERVER.connections,
    headers_seconds: Annotated[
        float, typer.Option(help="Most seconds for the head of a request; longer: closed.")
    ] = SERVER.headers_seconds,
    body_seconds: Annotated[float, typer.Option(help="Most seconds for its body; longer: 408.")] = SERVER.body_seconds,
    drain_seconds: Annotated[
        float, typer.Option(help="Most seconds for open requests when told to stop.")
    ] = SERVER.drain_seconds,
) -> None:
    """Score over HTTP, for OpenRLHF, verl and other clients; with a page that shows how two answers compare."""
    options = {name: value for name, value in locals().items() if name in type(SERVER).model_fields}
    serve(folder, options, device=device, dtype=dtype)


def serve(folder: Path, options: dict[str, Any], *, device: str, dtype: str | None) -> None:
    """Serve until told to stop.

    Args:
        folder: of the model.
        options: fields of `ServerSettings`.
        device: of the backbone.
        dtype: of the backbone; None: the folder's.

    Raises:
        UserError: an option is impossible, a package is missing, or what `export.server.run.serve` raises.
    """
    from pydantic import ValidationError

    try:
        settings = ServerSettings.model_validate(options)
    except ValidationError as error:
        (key, *_), problem = error.errors()[0]["loc"], error.errors()[0]["msg"]
        raise UserError(f"--{str(key).replace('_', '-')}: {problem}") from None
    for package in PACKAGES:
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            raise UserError(
                f"armorm serve needs {error.name}, which is not installed: run `pip install -e '.[server]'`"
            ) from None
    from export.server.run import serve as run

    run(folder, settings, device=device, dtype=dtype)
