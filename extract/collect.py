"""The first pass of a run: read every data set, encode its rows, and note which features are needed."""

import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import polars as pl

from cache.progress import Progress, silent
from extract.derived_pairs import derive_pairs
from extract.on_scale import Range, usable
from extract.overlap import Match, Overlap, SuitePrompts
from extract.packing import Request
from extract.pair_limits import within_limits
from extract.records import PreferencePair, Prompt, RatedResponse, Record, Skipped, SuiteItem
from extract.settings import DatasetSettings, PairSettings, SplitSettings
from extract.skipped import SkippedRows
from extract.sources.reader import read
from extract.sources.source import Kind, Source
from extract.splits import split_of
from extract.style import style_counts
from extract.tables import EXAMPLES, PAIRS, SUITE_TEXTS, SUITES, TableRows, Tables
from extract.templating import BATCH, ConversationEncoder, NotEncodableError
from extract.tokens.encoder_pool import EncoderPool
from extract.tokens.kept_encoder import Kept, KeptEncoder
from extract.tokens.spans import TokensInMemory
from extract.tokens.token_files import TokenFiles

READING = "reading rows"
"""Name of the first pass in progress reports."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of the recipe whose files are on the disk."""

    settings: DatasetSettings
    source: Source
    root: Path
    paths: Sequence[Path]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """Objective -> (lowest, highest) rating, for rating sets."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Names that the recipe gives: objective -> column for rating sets, else the source's column -> the file's."""


@dataclass(frozen=True, slots=True)
class Collected:
    """The outcome of the first pass."""

    tables: Tables
    request: Request
    skipped: SkippedRows
    kinds: dict[str, Kind]
    """Data set -> kind of its rows, derived pair sets included."""
    forms: dict[str, Counter[str]]
    """Data set -> form of its rows -> how many were read in it, for sources that read several forms."""
    overlap: dict[str, dict[str, Overlap]]
    """Suite -> training set -> rows whose prompts overlap."""


def collect(
    datasets: Sequence[Dataset],
    derived: Sequence[PairSettings],
    objectives: Sequence[str],
    encoder: ConversationEncoder,
    split: SplitSettings,
    progress: Progress = silent,
    tokens: TokenFiles | None = None,
) -> Collected:
    """Read all data sets once.

    Args:
        datasets: rating sets, pair sets and suites.
        derived: pair sets to be derived from the rating sets among `datasets`.
        objectives: names of the objectives; the table of examples has a rating column for each.
        encoder: the chat template and tokenizer.
        split: how prompts are held out, and whether rows that overlap with a suite are left out.
        progress: called with the number of rows read.
        tokens: where token ids are kept and found again, closed at the end; None to hold them in memory.

    Raises:
        UserError: a file cannot be read.
        OSError: tokens cannot be written.
    """
    kept = TokensInMemory() if tokens is None else tokens
    pool = EncoderPool(encoder)
    collector = _Collector(objectives, KeptEncoder(pool, kept), Request(kept), split)
    try:
        for dataset in sorted(datasets, key=lambda dataset: dataset.source.kind != "suite"):
            collector.read(dataset, progress)  # suites first, for training rows are compared with them
    finally:  # an interrupted pass goes on with what was tokenised
        pool.close()
        if tokens is not None:
            tokens.close()
    collector.kinds = {dataset.settings.name: dataset.source.kind for dataset in datasets}
    progress(READING, collector.records, collector.records, "rows")
    tables = collector.tables()
    for settings in derived:
        pairs = derive_pairs(tables.examples, settings)
        tables = replace(tables, pairs=tables.pairs.vstack(pairs))
        collector.kinds[settings.name] = "pairs"
    overlap = collector.suite_prompts.overlap()
    return Collected(tables, collector.request, collector.skipped, collector.kinds, collector.forms, overlap)


class _Collector:
    def __init__(self, objectives: Sequence[str], encoder: KeptEncoder, request: Request, split: SplitSettings) -> None:
        self.request = request
        self.skipped = SkippedRows()
        self.kinds: dict[str, Kind] = {}
        self.forms: dict[str, Counter[str]] = {}
        self.suite_prompts = SuitePrompts()
        self.records = 0
        self._objectives = tuple(objectives)
        self._encoder = encoder
        self._split = split
        self._examples = TableRows(EXAMPLES | dict.fromkeys(self._objectives, pl.Float64))
        self._pairs = TableRows(PAIRS)
        self._suites = TableRows(SUITES)
        self._suite_texts = TableRows(SUITE_TEXTS)
        self._skipped_by_reader: list[Skipped] = []
        self._skipped_in_batches: deque[list[Skipped]] = deque()
        self._suite_rows: Counter[tuple[str, str, str]] = Counter()

    def tables(self) -> Tables:
        return Tables(self._examples.frame(), self._pairs.frame(), self._suites.frame(), self._suite_texts.frame())

    def read(self, dataset: Dataset, progress: Progress) -> None:
        name = dataset.settings.name
        records = read(dataset.source, dataset.paths, dataset.root, dataset.columns, dataset.settings.limit)
        usable_ones = within_limits(usable(records, dataset.ranges), dataset.settings)
        for batch, kept in self._encoder.encode(self._batches(self._compared(dataset, usable_ones))):
            for skipped in self._skipped_in_batches.popleft():
                self._skip(dataset, skipped)
            for record, result in zip(batch, kept, strict=True):
                if isinstance(result, NotEncodableError):
                    self._skip(dataset, Skipped(record.row, str(result), getattr(record, "subset", None)))
                else:
                    self._add(name, record, result)
            self.records += len(batch)
            progress(READING, self.records, None, "rows")
        for skipped in self._skipped_by_reader:
            self._skip(dataset, skipped)
        self._skipped_by_reader = []

    def _batches(self, records: Iterator[Record]) -> Iterator[list[Record]]:
        """Batches of records; what is skipped on the way to one waits for it, for batches are read ahead."""
        while batch := list(islice(records, BATCH)):
            self._skipped_in_batches.append(self._skipped_by_reader)
            self._skipped_by_reader = []
            yield batch

    def _compared(self, dataset: Dataset, records: Iterator[Record | Skipped]) -> Iterator[Record]:
        """The records, after a suite's prompts were noted and training rows' were looked for among them."""
        while batch := list(islice(records, BATCH)):
            read = [record for record in batch if not isinstance(record, Skipped)]
            matches = iter(self._matches(dataset, [record.prompt for record in read]))
            for record in batch:
                if isinstance(record, Skipped):
                    self._skipped_by_reader.append(record)
                elif (match := next(matches)) and self._split.drop_overlap:
                    self._skipped_by_reader.append(Skipped(record.row, match.reason))
                else:
                    yield record

    def _matches(self, dataset: Dataset, prompts: Sequence[Prompt]) -> Sequence[Match | None]:
        if dataset.source.kind != "suite":
            return self.suite_prompts.count(dataset.settings.name, prompts) if prompts else ()
        for prompt in prompts:
            self.suite_prompts.add(dataset.settings.name, prompt)
        return [None] * len(prompts)

    def _skip(self, dataset: Dataset, skipped: Skipped) -> None:
        name = dataset.settings.name
        self.skipped.add(name, skipped)
        if dataset.source.kind == "suite":
            # A suite's row stays in its table, so that the evaluation can name the rows that it does not score.
            line = {"suite": name, "subset": skipped.subset, "row": skipped.row, "missing": skipped.reason}
            self._suites.append(tuple(line.get(column) for column in SUITES))

    def _add(self, name: str, record: Record, kept: Kept) -> None:
        if record.form:
            self.forms.setdefault(name, Counter())[record.form] += 1
        self.request.add_spans(*kept)
        prompt = kept.prompt.key
        keys = [response.key for response in kept.responses]
        lengths = [response.tokens for response in kept.responses]
        split = split_of(prompt, self._split)
        if isinstance(record, RatedResponse):
            ratings = (record.ratings.get(objective) for objective in self._objectives)
            marks = style_counts(record.response)
            self._examples.append((name, record.row, prompt, keys[0], lengths[0], *marks, split, *ratings))
        elif isinstance(record, PreferencePair):
            both = (*style_counts(record.chosen), *style_counts(record.rejected))
            self._pairs.append((name, record.row, prompt, *keys, *lengths, *both, record.margin, split))
        else:
            places = [(True, place) for place in range(len(record.chosen))]
            places += [(False, place) for place in range(len(record.rejected))]
            row = self._unique_row_name(name, record)
            metadata = json.dumps(dict(record.metadata), ensure_ascii=False)
            messages = [{"role": message.role, "content": message.text} for message in record.prompt]
            responses = (*record.chosen, *record.rejected)
            for key, length, place, response in zip(keys, lengths, places, responses, strict=True):
                marks = style_counts(response)
                self._suites.append((name, record.subset, row, prompt, key, length, *marks, *place, None, metadata))
                self._suite_texts.append((name, record.subset, row, *place, messages, response))

    def _unique_row_name(self, name: str, record: SuiteItem) -> str:
        """A unique row name: a number is added where the set repeats a name within a subset.

        The responses of a row are found by its name: rows of the same name would be judged as one.
        """
        identity = (name, record.subset, record.row)
        self._suite_rows[identity] += 1
        number = self._suite_rows[identity]
        return record.row if number == 1 else f"{record.row} (row {number} of this name)"
