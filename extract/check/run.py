"""The whole check: backbone, data sets, disk, memory and time."""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import constants

from cache import StoreSettings, UserError
from cache.precision import ITEM_BYTES
from cache.progress import Progress, silent
from extract.backbone import Backbone, find_backbone
from extract.check.backbone import SUBJECT, BackboneFound, look_at_backbone
from extract.check.datasets import FEW_ROWS, DatasetFound, Wanted, look_at_datasets
from extract.check.estimate import (
    HOST_BYTES_OF_A_SEQUENCE,
    MOST_BYTES_TO_LOAD,
    Estimate,
    Lengths,
    feature_bytes,
    free_bytes,
    lengths_of,
    measure,
    published,
)
from extract.check.findings import Finding, refuse, with_lines
from extract.check.licences import forbids_commercial_use
from extract.check.results import BackboneCheck, Check, DatasetCheck
from extract.check.surroundings import missing_packages, unwritable
from extract.engines.choice import choose_device
from extract.model_files import is_model
from extract.settings import BackboneSettings, ExtractSettings
from extract.skipped import count_by_kind
from extract.templating import ConversationEncoder
from extract.tokens.texts import NAME_BYTES

log = logging.getLogger(__name__)

KEY_BYTES = 100
"""Bytes of main memory for a feature's key, its entries in dictionaries, and its place in a plan."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The settings of a run that say what it takes."""

    backbone: BackboneSettings
    extract: ExtractSettings
    store: StoreSettings
    datasets: Wanted
    results: Path
    """Folder of the run."""
    lines: Mapping[str, str]
    """Data set or key -> its line in the recipe, as `mine.toml:12`."""
    remarks: tuple[Finding, ...] = ()
    """Findings that the recipe gives by itself."""


def check(planned: Planned) -> Check:
    """Look at everything that a run needs, before any large download; what is found wrong is listed, never raised."""
    started = time.monotonic()
    backbone, problems = look_at_backbone(planned.backbone)
    datasets, findings = look_at_datasets(planned.datasets)
    lengths = {name: lengths_of(one.records, backbone.encoder) for name, one in datasets.items()} if backbone else {}
    findings = [*_of_surroundings(planned), *problems, *findings]
    findings += [finding for name, one in lengths.items() if (finding := _unencodable(name, one)) is not None]
    estimate = None
    if backbone is not None:
        findings += _of_backbone(backbone)
        estimate = _estimate(planned, backbone, datasets, lengths)
        stored = (estimate.feature_bytes or 0) + (estimate.token_bytes or 0)
        findings += _of_disk(planned, estimate.bytes_to_fetch, stored)
    findings = with_lines(findings, planned.lines)
    return Check(
        backbone=_summary(backbone) if backbone else None,
        datasets={name: _of_dataset(one, lengths.get(name)) for name, one in datasets.items()},
        template=tuple(backbone.encoder.facts.lines()) if backbone else (),
        estimate=estimate,
        problems=tuple(finding for finding in findings if finding.stops),
        warnings=tuple(finding for finding in findings if not finding.stops),
        seconds=time.monotonic() - started,
    )


def backbone_unless_problems(planned: Planned, progress: Progress = silent) -> Backbone:
    """The backbone, fetched after the small files of everything have been looked at; the short form of `check`.

    Args:
        planned: the run.
        progress: called with the number of bytes fetched.

    Raises:
        UserError: something stands in the way of the run; all problems are named.
    """
    local: Backbone | None = None
    if is_model(Path(planned.backbone.model), planned.backbone.gguf_file):
        try:
            local, findings, weights = find_backbone(planned.backbone), [], 0
            ConversationEncoder(local.tokenizer, planned.backbone, local.vocabulary)  # tries the template
        except UserError as error:
            findings, weights = [Finding(SUBJECT, str(error), stops=True)], 0
    else:
        found, findings = look_at_backbone(planned.backbone)
        findings += _of_backbone(found) if found else []
        weights = found.bytes_to_fetch if found else 0
    datasets, more = look_at_datasets(planned.datasets, FEW_ROWS)
    findings += [*_of_surroundings(planned), *more]
    findings += _of_disk(planned, weights + sum(one.place.bytes_to_fetch for one in datasets.values()), 0)
    findings = with_lines(findings, planned.lines)
    for finding in findings:
        if not finding.stops:
            log.warning("%s", finding.line)
    refuse(findings)
    return local or find_backbone(planned.backbone, progress)


def _of_surroundings(planned: Planned) -> list[Finding]:
    missing = missing_packages(planned.backbone, planned.extract)
    return [*planned.remarks, *missing, *unwritable(planned.store, planned.results)]


def _unencodable(name: str, lengths: Lengths) -> Finding | None:
    """A data set none of whose records can be turned into tokens."""
    if lengths.encoded or not lengths.refused:
        return None
    reason, _ = Counter(lengths.refused).most_common(1)[0]
    sentence = (
        f"the backbone takes none of the rows that were read ({reason}): change backbone or template, or leave it out"
    )
    return Finding(name, sentence, stops=False)


def _of_backbone(found: BackboneFound) -> list[Finding]:
    if not forbids_commercial_use(found.licence):
        return []
    sentence = (
        f"the licence of {found.where.partition('@')[0]}, {found.licence}, forbids commercial use, and an exported"
        " model contains its weights: choose another backbone for a model that is to be sold"
    )
    return [Finding(SUBJECT, sentence, stops=False)]


def _summary(found: BackboneFound) -> BackboneCheck:
    return BackboneCheck(
        where=found.where,
        licence=found.licence,
        commercial_use_forbidden=forbids_commercial_use(found.licence),
        family=found.backbone.family,
        hidden_size=found.backbone.hidden_size,
        layers=found.backbone.hidden_layers,
        weights_bytes=found.weights_bytes,
        bytes_to_fetch=found.bytes_to_fetch,
    )


def _of_dataset(found: DatasetFound, lengths: Lengths | None) -> DatasetCheck:
    refused = lengths.refused if lengths is not None else ()
    reasons = [*(one.reason for one in found.read.skipped), *refused]
    made = len(found.records)
    skipped = sum(not one.rating_only for one in found.read.skipped)
    rows = found.read.rows
    known = lengths is not None and rows > 0
    return DatasetCheck(
        kind=found.place.source.kind,
        where=found.place.where,
        files=len(found.place.files),
        bytes=sum(file.size for file in found.place.files),
        bytes_to_fetch=found.place.bytes_to_fetch,
        licence=found.place.licence,
        commercial_use_forbidden=forbids_commercial_use(found.place.licence),
        rows=found.rows,
        rows_by=found.rows_by,
        rows_read=rows,
        skipped_fraction=(skipped + len(refused)) / max(1, made + skipped),
        reasons=count_by_kind(reasons),
        ratings=found.histograms,
        tokens_per_row=lengths.tokens / rows if known and lengths is not None else None,
        features_per_row=lengths.features / rows if known and lengths is not None else None,
    )


def _estimate(
    planned: Planned, found: BackboneFound, datasets: Mapping[str, DatasetFound], lengths: Mapping[str, Lengths]
) -> Estimate:
    settings, store = planned.backbone, planned.store
    tokens = _total(datasets, {name: one.tokens for name, one in lengths.items()})
    features = _total(datasets, {name: one.features for name, one in lengths.items()})
    device = choose_device(planned.extract.device)
    rate = _rate(planned, found, lengths, device)
    elsewhere = published(found.parameters, settings.dtype)
    return Estimate(
        tokens=tokens,
        features=features,
        feature_bytes=None
        if features is None
        else feature_bytes(features, len(settings.layers), found.backbone.hidden_size, store.dtype),
        bytes_to_fetch=found.bytes_to_fetch + sum(one.place.bytes_to_fetch for one in datasets.values()),
        weights_bytes=found.parameters * ITEM_BYTES[settings.dtype],
        token_bytes=None if tokens is None or features is None else 4 * tokens + (NAME_BYTES + KEY_BYTES) * features,
        host_bytes=None if features is None else HOST_BYTES_OF_A_SEQUENCE * features,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        tokens_per_second=rate,
        hours=None if tokens is None or rate is None else tokens / rate / 3600,
        published_device=elsewhere[0] if elsewhere else None,
        published_hours=tokens / elsewhere[1] / 3600 if elsewhere and tokens is not None else None,
    )


def _total(datasets: Mapping[str, DatasetFound], counts: Mapping[str, int]) -> int | None:
    """Sum over data sets of the mean of a row × rows; None if it is unknown for one of them."""
    total = 0.0
    for name, found in datasets.items():
        if found.rows is None or not found.read.rows:
            return None
        total += counts[name] / found.read.rows * found.rows
    return round(total)


def _rate(planned: Planned, found: BackboneFound, lengths: Mapping[str, Lengths], device: torch.device) -> float | None:
    """This machine's rate, where the weights are on its disk and loaded within seconds, which vLLM's are not."""
    if found.bytes_to_fetch or found.weights_bytes > MOST_BYTES_TO_LOAD or planned.extract.engine == "vllm":
        return None
    # One row of each set after the other, so that the rows are as mixed as in a run.
    most = max((len(one.encoded) for one in lengths.values()), default=0)
    mixed = (one.encoded[at] for at in range(most) for one in lengths.values() if at < len(one.encoded))
    try:
        return measure(found.backbone, mixed, planned.backbone, planned.extract, device)
    except UserError as error:
        log.warning("the rate of this machine was not measured: %s", error)
        return None


def _of_disk(planned: Planned, downloads: int, stored: int) -> list[Finding]:
    """Problems with the disks of the hub's cache and of the store, which may be one."""
    cache, store = Path(constants.HF_HUB_CACHE), planned.store.root
    if _disk(cache) == _disk(store):
        needs = [(store, downloads + stored, "downloads, features and tokens", "set HF_HOME and store.root")]
    else:
        needs = [
            (cache, downloads, "downloads", "set HF_HOME"),
            (store, stored, "features and tokens", "set store.root"),
        ]
    return [
        Finding(
            "disk",
            f"{what} need {needed / 1e9:,.1f} GB and the disk of {folder} has {free_bytes(folder) / 1e9:,.1f} GB free:"
            f" free some, or {remedy} to another disk",
            stops=True,
        )
        for folder, needed, what, remedy in needs
        if needed > free_bytes(folder)
    ]


def _disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev
