"""The run: the folder runs/<recipe>/, and whether each result in it is current.

A result is current while the settings it depends on and the files it is made of are those that it was made with. A
digest of each goes into its stamp, which is written beside the result: two stamps that differ say what has changed.
Nothing else decides whether a result is current, and `pipelines.artefacts` alone names the files.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cache import FeatureStore, UserError
from cache.durable import replacing, write_frame
from cache.fingerprint import digest_of
from evaluation.scorers.scorer import SuiteScores
from evaluation.suites import SUITES
from extract.tables import Tables, read_table
from pipelines import results
from pipelines.artefacts import (
    EXAMPLES,
    EXTRACT,
    PAIRS,
    SCORERS,
    SUITE_ROWS,
    SUITE_TEXTS,
    TABLES,
    Artefact,
    Result,
    scorer,
    suite,
)
from pipelines.earlier_extract import EarlierExtract, read_earlier_extract
from pipelines.json_file import read_object, write_object
from pipelines.moved_backbone import stamped
from pipelines.recipe import Recipe
from pipelines.results import plain
from pipelines.run_lease import RunLease
from pipelines.stamp import Stamp, recorded_stamp, settings_of
from pipelines.taken_heads import TakenHeads, read_taken_heads

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

NONE = "none"
"""Digest of an optional input that is missing or out of date."""


class Run:
    """A recipe's run.

    Args:
        recipe: names the folder; its settings go into stamps.

    Attributes:
        recipe: with its paths as this process opens them.
        folder: the run's folder, which may not exist yet.
        settings: the recipe as plain values with its paths as written, as stamps take them.

    Raises:
        UserError: a path of the recipe cannot be expanded, or is there in the working directory alone.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.settings = recipe.model_dump(mode="json")
        self.recipe = recipe.placed()
        self.folder = self.recipe.runs / recipe.name
        self._digests: dict[Path, str] = {}
        self._problems: dict[str, str | None] = {}
        self._results: dict[str, Any] = {}
        self._new_fingerprint: str | None = None
        self._lease = RunLease(self.folder)

    def path(self, file: str | Artefact[Any]) -> Path:
        """Where a file of the run lies."""
        return self.folder / (file.file if isinstance(file, Artefact) else file)

    # One writer

    def writing(self) -> AbstractContextManager[None]:
        """Keep every other command from writing to the run while the block runs.

        Raises:
            UserError: another command is writing to it.
        """
        return self._lease.held()

    def writing_scores(self, artefact: Artefact[results.Scorer]) -> AbstractContextManager[None]:
        """Keep every other command from writing this scorer's results, and nothing else.

        Raises:
            UserError: another command is writing them.
        """
        return self._lease.of_scores(self.path(artefact))

    # Currency

    def stamp(self, artefact: Artefact[Any]) -> Stamp:
        """Digests of all that a result depends on: settings as they are, files as this run first saw them."""
        stamp = {key: digest_of(value)[:16] for key, value in settings_of(artefact, self._stamped, rated=self.rated)}
        if artefact.columns:
            stamp["its columns"] = digest_of(artefact.columns)[:16]
        stamp |= {part.file: self._content(part) for part in self._parts_of(artefact)}
        stamp |= {part.file: NONE if self.problem(part) else self._content(part) for part in artefact.optional}
        if artefact.files:
            stamp |= {str(path.relative_to(self.folder)): self._digest(path) for path in self._matching(artefact.files)}
        if artefact.heads_in is not None and self.recipe.heads.taken_from is not None:
            stamp[f"the heads in {self.settings['heads']['from']}"] = self.taken_heads.digest
        return stamp

    @cached_property
    def _stamped(self) -> dict[str, Any]:
        try:
            earlier = self.earlier_extract()
        except UserError:  # whoever reads it says so
            return self.settings
        return stamped(self.settings, self.recipe, earlier)

    def problem(self, artefact: Artefact[Any]) -> str | None:
        """One sentence that says why a result cannot be used, with the command that mends it; None if it can."""
        if artefact.file not in self._problems:
            self._problems[artefact.file] = self._problem(artefact)
        return self._problems[artefact.file]

    def _problem(self, artefact: Artefact[Any]) -> str | None:
        path = self.path(artefact)
        if artefact.of_ratings and not self.rated:
            return f"there is no {path}, which is about ratings: add [[ratings]] to the recipe to have it"
        for part in self._parts_of(artefact):
            if (problem := self.problem(part)) is not None:
                return problem
        if not path.exists():
            return f"there is no {path}: run `armorm {artefact.command}` first"
        if artefact.data is not None and not self.path(artefact.data).exists():
            return f"there is no {self.path(artefact.data)}: run `armorm {artefact.command}` again"
        again = f"run `armorm {artefact.command}` again"
        if artefact.command == EXTRACT.command:
            again += "; stored features are used again"
        try:
            stamp, data = recorded_stamp(artefact, path, self.path(EXTRACT))
        except (ValueError, OSError, SafetensorError) as error:
            return f"{path} is damaged ({error}): {again}"
        if stamp is None:
            return f"{path} was written by an earlier version: {again}"
        try:
            now = self.stamp(artefact)
        except UserError as error:  # the folder that [heads] from names is gone or damaged
            return str(error)
        if changed := [name for name in (*now, *stamp) if stamp.get(name) != now.get(name)]:
            return f"{path} is out of date ({', '.join(dict.fromkeys(changed))} changed): {again}"
        if artefact.data is not None and data != self._digest(self.path(artefact.data)):
            return f"{self.path(artefact.data)} is damaged, or not the one that {path} describes: {again}"
        if path.suffix == ".json" and artefact.result is not object:
            try:
                self._parsed(artefact)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                return f"{path} is damaged or of another version ({where}: {first['msg']}): {again}"
        return None

    def current(self, artefact: Artefact[Result]) -> Result | None:
        """A result, or None where `problem` has a sentence about it."""
        return None if self.problem(artefact) is not None else self._parsed(artefact)

    def read(self, artefact: Artefact[Result]) -> Result:
        """A result, which must be current.

        Raises:
            UserError: it is missing, damaged or out of date; the sentence names the command to run.
        """
        self.require(artefact)
        return self._parsed(artefact)

    def require(self, artefact: Artefact[Any]) -> None:
        """Refuse to go on without a result.

        Raises:
            UserError: as `read`.
        """
        if (problem := self.problem(artefact)) is not None:
            raise UserError(problem)

    # Reading

    def arrays(self, artefact: Artefact[Any]) -> Arrays:
        """Arrays of a current result, from its own file or the one beside it."""
        self.require(artefact)
        path = self.path(artefact.data or artefact)
        self._digest(path)  # of what is read, should another command write it meanwhile
        try:
            arrays: Arrays = load_file(path)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} is damaged ({error}): run `armorm {artefact.command}` again") from None
        return arrays

    def table(self, artefact: Artefact[Any]) -> pl.DataFrame:
        """Rows of a current table, or of the file of rows beside a current result."""
        self.require(artefact)
        path = self.path(artefact.data or artefact)
        self._digest(path)
        return read_table(path, artefact.command)

    def current_suites(self, explain: Callable[[str], object]) -> dict[str, results.Suite]:
        """Suite -> its result, for all suites with a current one; `explain` gets a sentence for each stale one."""
        found = {}
        for name in SUITES:
            if self.path(suite(name)).exists():
                if (problem := self.problem(suite(name))) is None:
                    found[name] = self._parsed(suite(name))
                else:
                    explain(problem)
        return found

    def scorers(self, suite_name: str) -> list[SuiteScores]:
        """Scores of other models for a suite, by name; what is not current is named in the log."""
        found = []
        for path in self._matching(f"{SCORERS}/{suite_name}/*.json"):
            scores = scorer(suite_name, path.stem)
            if (problem := self.problem(scores)) is None:
                found.append(SuiteScores(self._parsed(scores), self.table(scores)))
            else:
                log.warning("%s", problem)
        return found

    @cached_property
    def extracted(self) -> results.Extract:
        """The result of `extract`."""
        return self.read(EXTRACT)

    @property
    def digest(self) -> str:
        """Digest of all settings."""
        return digest_of(self.settings)[:16]

    @property
    def rated(self) -> bool:
        """Whether the recipe has rating sets."""
        return bool(self.settings["ratings"])

    @cached_property
    def taken_heads(self) -> TakenHeads:
        """The heads in the folder that `heads.from` names.

        Raises:
            UserError: there is no such folder, it holds no heads, or a file in it is damaged.
        """
        assert self.recipe.heads.taken_from is not None
        return read_taken_heads(self.recipe.heads.taken_from, self.recipe.backbone)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the run's features."""
        return self.extracted.fingerprint

    @cached_property
    def store(self) -> FeatureStore:
        """The store of the run's features.

        Raises:
            UserError: nothing was extracted, or with another backbone; or there is no such store.
        """
        return FeatureStore.open(self.recipe.store.root, self.fingerprint)

    def earlier_extract(self) -> EarlierExtract | None:
        """The part of extract.json that the next extraction takes over, whatever made it; None if there is none.

        Raises:
            UserError: it is damaged; its remedy may be the command that is running.
        """
        return read_earlier_extract(self.path(EXTRACT))

    # Writing

    def make_folder(self) -> None:
        """Make the folder before long work rather than after it, so that a refusal costs nothing.

        Raises:
            UserError: a file is in its place, or another command is writing to it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lease.take()
        except (FileExistsError, NotADirectoryError):
            raise UserError(
                f"{self.folder} cannot be a folder, for a file is in its place: move it, or give `runs` or `name` of"
                " the recipe another value"
            ) from None

    def write(
        self,
        artefact: Artefact[Result],
        result: Result,
        *,
        arrays: Arrays | None = None,
        metadata: Mapping[str, str] | None = None,
        rows: pl.DataFrame | None = None,
    ) -> None:
        """Write a result durably with its stamp, after the arrays or rows that belong to it."""
        if arrays is not None:
            assert artefact.data is not None
            self._write_arrays(self.path(artefact.data), arrays, dict(metadata or {}))
        if rows is not None:
            assert artefact.data is not None
            write_frame(self.path(artefact.data), rows)
        self._forget(artefact.data)
        added: dict[str, Any] = {"stamp": self.stamp(artefact)}
        if artefact is not EXTRACT:
            added["fingerprint"] = self.fingerprint
        if artefact.data is not None:
            added["data"] = self._digest(self.path(artefact.data))
        write_object(self.path(artefact), plain(result) | added)
        self._forget(artefact.file)

    def write_extract(self, result: results.Extract, tables: Tables) -> None:
        """Write the tables, then the result of `extract` with the stamps of both."""
        written = (EXAMPLES, PAIRS, SUITE_ROWS, SUITE_TEXTS)
        tables.write(self.path(TABLES))
        self._stamped = self.settings  # the backbone is where the recipe says, from now on
        self._forget(*(table.file for table in written), new_fingerprint=result.fingerprint)
        added = {
            "stamp": self.stamp(EXTRACT),
            "table_stamps": {table.file: self.stamp(table) for table in written},
        }
        write_object(self.path(EXTRACT), plain(result) | added)
        self._forget()

    def write_arrays(self, artefact: Artefact[Any], arrays: Arrays) -> None:
        """Write arrays that have no JSON file beside them; the stamp goes into their metadata."""
        self._write_arrays(self.path(artefact), arrays, {"stamp": json.dumps(self.stamp(artefact))})
        self._forget(artefact.file)

    def remove(self, artefact: Artefact[Any]) -> None:
        """Remove a result that the recipe no longer asks for."""
        for file in (artefact.file, artefact.data):
            if file is not None:
                self.path(file).unlink(missing_ok=True)
        self._forget(artefact.file, artefact.data)

    # Parts

    def _parts_of(self, artefact: Artefact[Any]) -> tuple[Artefact[Any], ...]:
        """The results that a result is made of in this recipe."""
        return artefact.made_of if self.rated else (*artefact.made_of, *artefact.made_of_without_ratings)

    def _content(self, artefact: Artefact[Any]) -> str:
        """Digest of what others take from a result; for `extract` that is the features."""
        if artefact is EXTRACT:
            earlier = self.earlier_extract()
            return self._new_fingerprint or (NONE if earlier is None else earlier.fingerprint)
        return self._digest(self.path(artefact.data or artefact))

    def _forget(self, *written: str | None, new_fingerprint: str | None = None) -> None:
        """Look at written files again. Others stay as they were first seen: a result is stamped with what it read."""
        for file in filter(None, written):
            self._digests.pop(self.path(file), None)
        self._problems.clear()
        self._results.clear()
        self._new_fingerprint = new_fingerprint
        for name in ("extracted", "store"):
            self.__dict__.pop(name, None)

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            try:
                with path.open("rb") as file:
                    self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()[:32]
            except FileNotFoundError:
                return NONE
        return self._digests[path]

    def _matching(self, pattern: str) -> list[Path]:
        return sorted(self.folder.glob(pattern)) if self.folder.is_dir() else []

    def _parsed(self, artefact: Artefact[Result]) -> Result:
        if artefact.file not in self._results:
            self._results[artefact.file] = TypeAdapter(artefact.result).validate_python(
                read_object(self.path(artefact))
            )
        result: Result = self._results[artefact.file]
        return result

    def _write_arrays(self, path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
        with replacing(path) as file:
            file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))
