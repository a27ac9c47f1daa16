"""A profile: how a user weighs the objectives, as a TOML file or a table in config.json or in a request.

A profile names weights with a mode, or a preference direction, and thresholds that cap a score. It knows no model;
`gating/steering.py` binds it to one.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cache import UserError
from cache.durable import write_text

Mode = Literal["add", "multiply", "replace"]

MODES: tuple[Mode, ...] = ("add", "multiply", "replace")

OWN_WEIGHTS = "gate"
"""Name under which a request asks for the gate's own weights; no profile has it."""

LEAST, MOST = 1e-6, 1e6
"""Sizes of a weight that is not 0. A gate's weight is a float32 number, so that neither a product of the two nor a
quotient of their sums leaves float64."""

MOST_NAMES = 1024
"""Largest number of objectives that a profile names."""

MOST_OBJECTIVES = 65_536
"""Largest number of objectives of the model that a profile is for."""

MOST_BYTES = 2**18
"""Largest size of a profile's file."""


def _of_known_size(value: float) -> float:
    if value != 0.0 and not LEAST <= abs(value) <= MOST:
        raise ValueError(f"{value:g} is neither 0 nor between {LEAST:g} and {MOST:g} in size: give one that is")
    return value


def _shown(name: str) -> str:
    if not (name.strip() and name.isprintable()):
        raise ValueError(f"{name!a} cannot be the name of an objective: write a line of printable text")
    return name


def _few(most: int, what: str) -> BeforeValidator:
    """Refuses a larger table or list before its items are looked at: a request has room for millions of them."""

    def check(given: object) -> object:
        if isinstance(given, dict | list | tuple) and len(given) > most:
            raise ValueError(f"{len(given):,} {what}, more than the {most:,} that it may have: leave some out")
        return given

    return BeforeValidator(check)


Name = Annotated[str, Field(max_length=200), AfterValidator(_shown)]
Number = Annotated[float, Field(strict=True)]
Weights = Annotated[dict[Name, Annotated[Number, AfterValidator(_of_known_size)]], _few(MOST_NAMES, "objectives")]
"""Objective -> weight."""


class Vetoes(BaseModel):
    """Thresholds that come before all weights: a response below one of them has no score above `cap`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    below: Annotated[dict[Name, Number], Field(min_length=1), _few(MOST_NAMES, "objectives")]
    """Objective -> threshold; a response is vetoed where its reward, before debiasing, is less."""
    cap: Number = Field(ge=-MOST, le=MOST)
    """Largest score of a vetoed response."""
    unit: Literal["rating", "reward"] = "rating"
    """Unit of the thresholds: the scale of the objective's ratings, as `explain` shows it (0 to 4 for HelpSteer), or
    that of its rewards, which objectives without a known scale need."""


class Profile(BaseModel):
    """The weights of one user or purpose."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "unnamed"
    """Its name in outputs and requests: letters, digits, dots, dashes and underscores; not 'gate', which is the name of
    no profile at all, and not ending in '.toml', which is that of a file."""
    mode: Mode | None = None
    """add: the gate's weight + the profile's (0 where it names none); multiply: their product (1 where it names none);
    replace: the profile's alone (0 where it names none). None: add, or replace for a direction."""
    weights: Weights = Field(default_factory=dict)
    """Objective -> weight, of either sign."""
    direction: Weights = Field(default_factory=dict)
    """Objective -> coordinate of a preference direction, in place of `weights`; it is scaled to length 1, and replaces
    the gate's weights (DPA, arXiv 2402.18571: reward = v · r with |v| = 1)."""
    renormalise: bool | None = None
    """Whether the steered weights are scaled so that the sum of their absolute values is that of the gate's weights.
    None: true for weights, so that scores stay on the scale of the gate's, to which temperatures, thresholds and the
    KL coefficients of trainers are fitted; false for a direction, whose length is 1 by definition."""
    vetoes: Vetoes | None = None
    """Thresholds that cap the score."""
    objectives: Annotated[tuple[Name, ...], _few(MOST_OBJECTIVES, "objectives")] = ()
    """All objectives of the model that it was made for; a model with others is refused. Empty: any model that has the
    objectives named in it."""

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > len(cls.model_fields):
            raise ValueError(
                f"a profile has {len(given):,} keys, more than there are: give some of {', '.join(cls.model_fields)}"
            )
        return given

    @field_validator("name")
    @classmethod
    def _no_other_meaning(cls, name: str) -> str:
        if name == OWN_WEIGHTS or name.endswith(".toml"):
            raise ValueError(f"{name!r} is no name of a profile: choose another")
        return name

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Profile":
        if not (self.weights or self.direction or self.vetoes):
            raise ValueError("the profile changes nothing: give weights, a direction or vetoes")
        if self.weights and self.direction:
            raise ValueError("weights and direction contradict each other: give one of them")
        if self.direction and self.mode not in (None, "replace"):
            raise ValueError(f"a direction replaces the gate's weights, and mode is {self.mode!r}: leave mode out")
        if self.direction and not any(self.direction.values()):
            raise ValueError("every coordinate of the direction is 0, and so it points nowhere: give one that is not")
        if self.mode == "replace" and not self.direction and not any(self.weights.values()):
            raise ValueError("mode 'replace' needs a weight that is not 0, or no objective would count: give one")
        if not self.weights and not self.direction and (self.mode, self.renormalise) != (None, None):
            raise ValueError("mode and renormalise say nothing without weights: leave them out")
        return self

    @property
    def named(self) -> set[str]:
        """All objectives that it weighs or sets a threshold for."""
        return {*self.weights, *self.direction, *(self.vetoes.below if self.vetoes else ())}

    def toml(self) -> str:
        """The text of its file, which `read_profile` reads back as an equal profile."""
        values = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        tables = {key: values.pop(key) for key in ("weights", "direction", "vetoes") if key in values}
        lines = ["[profile]", *_lines({"name": self.name} | values)]
        for key, table in tables.items():
            lines += ["", f"[profile.{key}]", *_lines(table)]
        return "\n".join(lines) + "\n"


def profile_of(values: Mapping[str, Any], where: str) -> Profile:
    """A checked profile of the values of its table.

    Args:
        values: the table.
        where: the file or options that hold it, which errors begin with.

    Raises:
        UserError: a key, objective or number is impossible, or the profile says nothing or two things at once.
    """
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        sentence = problem["msg"].removeprefix("Value error, ")
        raise UserError(f"{where}: {place}: {sentence}" if place else f"{where}: {sentence}") from None


def read_profile(path: Path) -> Profile:
    """Read a profile's file: one table, `[profile]`.

    Raises:
        UserError: the file is missing, no TOML, too large, or no profile.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(f"{path} has more than {MOST_BYTES:,} bytes: name the file of a profile")
        values = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name the TOML file of a profile") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path} is no TOML ({error}): write a table [profile]") from None
    table = values.get("profile")
    if set(values) != {"profile"} or not isinstance(table, dict):
        raise UserError(f"{path} is no profile: write one table, [profile], and nothing beside it")
    return profile_of(table, str(path))


def write_profile(path: Path, profile: Profile) -> None:
    """Write a profile's file, at once or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        write_text(path, profile.toml())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): name another file") from None


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)  # a TOML basic string, since names print


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_lines(value)) + " }"
    return json.dumps(value, ensure_ascii=False)  # numbers, booleans, texts and lists of texts are written as in TOML
