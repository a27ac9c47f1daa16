"""`armorm serve`: bind, load, listen, and stop at a signal.

The model and the application are imported once nothing is left to refuse, since torch and transformers take seconds.
"""

import errno
import gc
import logging
import math
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from cache import UserError
from export.model_folder import REMEDY, config_values
from export.not_scorable import NotScorableError
from export.server import connection
from export.server.authorization import read_token
from export.server.log_lines import NowAndThen
from export.server.probe import ANSWER, QUESTION
from export.server.settings import ServerSettings

if TYPE_CHECKING:
    from export.reward_model import RewardModel

log = logging.getLogger(__name__)

BACKLOG = 2048
"""Largest number of connections that wait to be accepted."""

IDLE_SECONDS = 30
"""Seconds that a connection stays open between requests: longer than in most clients, so that the client closes it."""

WARM_UP = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]


def serve(folder: Path, settings: ServerSettings, *, device: str = "auto", dtype: str | None = None) -> None:
    """Serve the model in a folder until SIGTERM or Ctrl-C; requests in progress are finished first.

    Raises:
        UserError: the address cannot be used, a token is missing or unfit, or the folder is not a reward model's.
    """
    token = read_token(settings.host, settings.token_file)
    config_values(folder)
    with bound(settings.host, settings.port) as listening:  # before the model, which may take minutes to load
        from export.reward_model import RewardModel

        model = RewardModel.load(folder, device=device, dtype=dtype, pack_tokens=settings.pack_tokens)
        _warm_up(model)
        server = server_of(model, settings, token)
        gc.collect()
        gc.freeze()  # the model stays loaded; searching it for garbage would delay requests
        try:
            listening.listen(BACKLOG)
        except OSError as error:
            raise _unusable(settings.host, settings.port, error) from None
        host, port = listening.getsockname()[:2]
        log.info(
            "serving %s (%s objectives, up to %s tokens a conversation) at http://%s:%s%s",
            folder,
            len(model.objectives),
            f"{model.max_tokens:,}",
            f"[{host}]" if ":" in host else host,
            port,
            ", for requests with the token" if token else "",
        )
        # uvicorn's own handlers are in place only while it runs, and afterwards it sends itself the signal again.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        server.run(sockets=[listening])
    log.info("stopped")


def _warm_up(model: "RewardModel") -> None:
    """Score once: the first pass sets up much, and a model that cannot score is refused before anybody asks it."""
    (scored,) = model.score_each([WARM_UP])
    if isinstance(scored, NotScorableError):
        raise UserError(
            f"the model in {model.folder} has no score for a plain question and answer ({scored}): {REMEDY}"
        )


def server_of(model: "RewardModel", settings: ServerSettings, token: bytes | None) -> uvicorn.Server:
    """Uvicorn's server over a loaded model."""
    from export.server.app import build_app

    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in ("uvicorn.error", connection.__name__):  # what they say of requests, anybody can make them say
        lines = logging.getLogger(name)
        if not any(isinstance(each, NowAndThen) for each in lines.filters):
            lines.addFilter(NowAndThen())
    return uvicorn.Server(
        uvicorn.Config(
            build_app(model, settings, token),
            http=connection.connection_of(settings),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        )
    )


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not yet listening: nobody is kept waiting while the model loads."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from None
    try:
        bound.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a killed server's closing connections do not block the port
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _unusable(host, port, error) from None
    return bound


def _unusable(host: str, port: int, error: OSError) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError(f"port {port} of {host} is in use: stop what listens there, or name another with --port")
    if error.errno == errno.EACCES:
        return UserError(f"port {port} may not be used by this user: name one from 1024 up with --port")
    return UserError(
        f"--host {host} cannot be listened at ({error.strerror or error}): name an address of this machine"
    )
