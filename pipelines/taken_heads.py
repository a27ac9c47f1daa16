"""The heads that `heads.from` names: those of another run, of an exported folder, or of the published checkpoint.

A head means something on the features that it was fitted on and on no others, so what those were is read with it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, load_file

from cache import Fingerprint, UserError
from cache.fingerprint import digest_of
from gating.settings import MEASURED, NO_VERBOSITY, Verbosity, unknown_variable
from heads.objectives import Scale
from heads.results import Heads, ObjectiveHead
from heads.ridge.uncertainty import OtherArraysError, Uncertainty

if TYPE_CHECKING:
    from extract.settings import BackboneSettings

HEADS, WEIGHTS, UNCERTAINTY = "heads.json", "heads.safetensors", "uncertainty.safetensors"
"""Files of a run."""

CONFIG, PROVENANCE = "config.json", "provenance.json"
"""Files of an exported folder; the published checkpoint has the first alone."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The features that heads were fitted on; None where the folder does not say."""

    backbone: str | None
    """Identity of the backbone; None for a checkpoint whose own weights are the backbone's."""
    position: str
    layers: tuple[int, ...]
    dtype: str
    tokenizer: str | None = None
    template: str | None = None

    @classmethod
    def of(cls, features: Fingerprint) -> "Reading":
        """The parts of a fingerprint that a head depends on; by the others its rewards differ by rounding alone."""
        return cls(
            features.backbone,
            features.position,
            tuple(features.layers),
            features.compute_dtype,
            features.tokenizer,
            features.template,
        )


@dataclass(frozen=True)
class TakenHeads:
    """The linear heads in a folder."""

    folder: str
    """As the recipe names it."""
    objectives: tuple[str, ...]
    weight: NDArray[np.float32]
    """(k, layers * hidden_size)"""
    reading: Reading
    is_backbone: bool
    """Whether the recipe's backbone is this very folder."""
    scales: dict[str, Scale] = field(default_factory=dict)
    """Objective -> scale of its ratings, where it is known."""
    metrics: dict[str, ObjectiveHead] = field(default_factory=dict)
    """Objective -> figures on the ratings it was fitted on, where they are known."""
    uncertainty: dict[str, NDArray[Any]] | None = None
    """Arrays of the uncertainty of the rewards, if the folder has them."""

    @cached_property
    def digest(self) -> str:
        """Digest of all that is taken."""
        content = {
            "objectives": self.objectives,
            "reading": asdict(self.reading),
            "scales": {name: scale.model_dump() for name, scale in self.scales.items()},
            "metrics": {name: asdict(head) for name, head in self.metrics.items()},
        }
        digest = hashlib.sha256(digest_of(content).encode())
        for array in (self.weight, *(self.uncertainty or {}).values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]

    def check(self, features: Fingerprint, verbosity: Verbosity) -> None:
        """Refuse heads that do not fit a recipe.

        Args:
            features: fingerprint of the run's features.
            verbosity: `debiasing.verbosity`.

        Raises:
            UserError: they were fitted on other features (the sentence names the part that differs), or a variable is
                none of their objectives.
        """
        self._refuse_other_features(features)
        if (unknown := unknown_variable(verbosity, self.objectives)) is not None:
            raise UserError(
                f"debiasing.verbosity names {unknown!r}, which is no objective of {self.folder}: set it to"
                f" {', '.join(f'{name!r}' for name in MEASURED)} (measured in the response), '{NO_VERBOSITY}' or one of"
                f" {', '.join(self.objectives)}"
            )

    def _refuse_other_features(self, features: Fingerprint) -> None:
        theirs, own = asdict(self.reading), asdict(Reading.of(features))
        if theirs["backbone"] is None and not self.is_backbone:
            raise UserError(
                f"heads.from: {self.folder} holds a checkpoint whose backbone was trained with its heads, which say"
                " nothing about the features of another: name the same in backbone.model, or take the heads from a run"
                " or an export on this backbone"
            )
        for part, value in theirs.items():
            # A folder that is the backbone itself may hold the template as export wrote it, with BOS in it.
            same_folder = self.is_backbone and part in ("backbone", "tokenizer", "template")
            if value is None or value == own[part] or same_folder:
                continue
            said = "" if part in ("tokenizer", "template") else f" ({_shown(value)}, here {_shown(own[part])})"
            raise UserError(
                f"heads.from: the heads in {self.folder} were fitted on features with another {part}{said}: make"
                " [backbone] the same as theirs, or name another folder"
            )
        if not np.isfinite(self.weight).all():
            raise UserError(f"heads.from: a head in {self.folder} is not finite: name another folder")


def read_taken_heads(name: str, backbone: "BackboneSettings") -> TakenHeads:
    """Read the heads in a folder.

    Args:
        name: the folder as the recipe names it, or a hub model where that is the recipe's backbone too.
        backbone: `[backbone]` of the recipe.

    Raises:
        UserError: there is no such folder, it holds no heads, or a file in it is damaged.
    """
    folder, is_backbone = _locate(name, backbone)
    if (folder / HEADS).is_file():
        return _of_run(name, folder)
    if (folder / CONFIG).is_file():
        return _of_export(name, folder, is_backbone)
    raise UserError(
        f"heads.from: {name} has neither {HEADS} nor {CONFIG}: name a run in which `armorm fit-heads` ran, or a folder"
        " that `armorm export` wrote"
    )


def _locate(name: str, backbone: "BackboneSettings") -> tuple[Path, bool]:
    folder = Path(name)
    if folder.is_dir():
        return folder, folder.resolve() == Path(backbone.model).resolve()
    if name == backbone.model:
        from extract.model_files import locate_model

        return locate_model(name, backbone.revision, "heads.from")[0], True
    raise UserError(
        f"heads.from: there is no folder {name}: name a run (runs/<recipe>), a folder that `armorm export` wrote, or"
        " the published checkpoint where that is backbone.model too"
    )


def _of_run(name: str, folder: Path) -> TakenHeads:
    again = "run `armorm fit-heads` with its recipe again"
    try:
        values = json.loads((folder / HEADS).read_text(encoding="utf-8"))
        heads = TypeAdapter(Heads).validate_python(values)
        data = (folder / WEIGHTS).read_bytes()
        whole = hashlib.sha256(data).hexdigest()[:32] == values.get("data")
        weight = load(data)["weight"]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"heads.from: {name}/{HEADS} is damaged or of another version ({where}: {first['msg']}): {again}"
        ) from None
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"heads.from: the heads in {name} are missing or damaged ({error}): {again}") from None
    if not whole or weight.shape != (len(heads.objectives), heads.features):
        raise UserError(f"heads.from: {name}/{WEIGHTS} is not the one that {HEADS} describes: {again}")
    uncertainty = None
    if heads.uncertainty is not None and (folder / UNCERTAINTY).is_file():
        try:
            uncertainty = load_file(folder / UNCERTAINTY)
            Uncertainty.of_arrays(uncertainty)
        except OtherArraysError as error:
            raise UserError(
                f"heads.from: {name}/{UNCERTAINTY} was written by an earlier version ({error}): {again}"
            ) from None
        except (SafetensorError, OSError) as error:
            raise UserError(f"heads.from: {name}/{UNCERTAINTY} is damaged ({error}): {again}") from None
    return TakenHeads(
        folder=name,
        objectives=tuple(heads.objectives),
        weight=weight,
        reading=Reading.of(heads.reading),
        is_backbone=False,
        scales=heads.scales,
        metrics=heads.objectives,
        uncertainty=uncertainty,
    )


def _of_export(name: str, folder: Path, is_backbone: bool) -> TakenHeads:
    from export.reward_config import backbone_settings, read_config
    from export.reward_tensors import read_reward_parts
    from extract.configuration import read_configuration, read_facts

    config, gate = read_config(folder)
    hidden_size = read_facts(read_configuration(folder), folder).hidden_size
    parts = read_reward_parts(folder, config, gate, hidden_size)
    settings = backbone_settings(folder, config, {})
    reading = Reading(config.backbone or None, config.position, config.layers, settings.dtype)
    provenance = _provenance(folder)
    if "fingerprint" in provenance:
        try:
            reading = Reading.of(TypeAdapter(Fingerprint).validate_python(provenance["fingerprint"]))
        except ValidationError:
            raise UserError(f"heads.from: {folder / PROVENANCE} is damaged: export the folder again") from None
    return TakenHeads(
        folder=name,
        objectives=config.objectives,
        weight=parts.weight,
        reading=reading,
        is_backbone=is_backbone,
        scales=config.scales,
        metrics=_metrics(provenance, config.objectives),
        uncertainty=None if parts.uncertainty is None else parts.uncertainty.arrays(),
    )


def _provenance(folder: Path) -> dict[str, Any]:
    """The content of provenance.json; empty where there is none, as in the published checkpoint."""
    path = folder / PROVENANCE
    if not path.is_file():
        return {}
    try:
        values: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        first = str(error).partition("\n")[0]
        raise UserError(f"heads.from: {path} is damaged ({first}): export the folder again") from None
    return values


def _metrics(provenance: dict[str, Any], objectives: tuple[str, ...]) -> dict[str, ObjectiveHead]:
    """Figures of the heads on their ratings; empty where an earlier version wrote them."""
    try:
        heads = TypeAdapter(dict[str, ObjectiveHead]).validate_python(provenance["heads"]["objectives"])
    except (KeyError, TypeError, ValidationError):
        return {}
    return {name: heads[name] for name in objectives if name in heads}


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
