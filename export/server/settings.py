"""Settings of a server: where it listens, how it batches, and which requests it refuses."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MIB = 2**20


class ServerSettings(BaseModel):
    """The options of `armorm serve`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    host: str = "127.0.0.1"
    """Address to listen at. Any but a loopback address needs a bearer token."""
    port: int = Field(default=8000, ge=0, le=65535)
    """0: any free port."""
    token_file: Path | None = None
    """A file with the bearer token; None: the environment variable ARMORM_TOKEN."""
    model_name: str | None = Field(default=None, min_length=1)
    """Name of the model in answers; None: its folder's name. A request that names another model is refused."""

    profile: str | None = Field(default=None, min_length=1)
    """Name of a profile of the folder under which all protocols score; None: the gate's own weights."""

    pack_tokens: int = Field(default=8192, ge=8)
    """Largest number of tokens in one pass: waiting conversations are put together up to it."""
    wait_ms: float = Field(default=2.0, ge=0, le=1000)
    """Milliseconds that an idle model waits for further conversations after the first."""

    unscorable: float | None = Field(default=None, ge=-3e38, le=3e38)
    """Score of an input that cannot be scored for a reason of its own (it is empty, too long, has no assistant turn or
    spells a special token), where a protocol knows no error among its numbers; float32 holds it. None: the request is
    refused."""

    body_bytes: int = Field(default=16 * MIB, ge=1024)
    """A longer request body is refused (413), however it is sent."""
    held_bytes: int = Field(default=256 * MIB, ge=1024)
    """Size of all request bodies held at once; beyond it a request is refused for the moment (429)."""
    responses: int = Field(default=2048, ge=1, le=65_536)
    """Largest number of responses in a request; more are refused (413)."""
    queue_tokens: int = Field(default=2_097_152, ge=8)
    """Largest number of tokens that wait for the model; a request beyond it is refused for the moment (429)."""
    connections: int = Field(default=512, ge=2)
    """Largest number of connections at once; more are answered 503."""
    headers_seconds: float = Field(default=10.0, gt=0)
    """Time for the head of a request, in seconds; a slower connection is closed."""
    body_seconds: float = Field(default=30.0, gt=0)
    """Time for the body of a request, in seconds; a slower one is refused (408)."""
    drain_seconds: float = Field(default=60.0, gt=0)
    """Time for requests in progress after SIGTERM, in seconds."""
