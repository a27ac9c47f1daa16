"""No path is made of a folder and a name that came unchecked from a file."""

from pathlib import Path

import pytest

from pipelines.cli import ROOMS
from tests.conftest import ROOT
from tests.path_joins import joins, program

NAMES = Path("cache/names.py")

KNOWN = {
    # Names that the user wrote in a recipe or on the command line.
    "demo_corpus/files.py: self.root / name": "names of the corpus's own files",
    "export/reward_model.py: Path(folder)": "the user's folder",
    "extract/backbone.py: Path(settings.model)": "backbone.model",
    "extract/check/backbone.py: Path(settings.model)": "backbone.model",
    "extract/check/run.py: Path(planned.backbone.model)": "backbone.model",
    "extract/engines/loader.py: Path(settings.model)": "backbone.model",
    "extract/files/locate.py: data_root.joinpath(*repo.split('/'))": "the recipe's or a source's repository",
    "extract/hub/listing.py: store_of(repository) / 'refs' / (repository.revision or constants.DEFAULT_REVISION)": (
        "`revision` of the recipe"
    ),
    "extract/model_files.py: Path(model)": "backbone.model, heads.from or --scorer",
    "extract/model_files.py: Path(settings.model)": "backbone.model",
    "pipelines/commands/export.py: Path(recipe.backbone.model)": "backbone.model",
    "pipelines/commands/score_suite.py: Path(model)": "--scorer",
    "pipelines/commands/score_suite.py: run.path(FOLDER) / f'{file}.sqlite'": "--scorer, quoted by urllib",
    "pipelines/commands/score_suite.py: run.path(SCORERS) / result.suite": "for a line that is printed",
    "pipelines/commands/score_suite.py: run.path(SCORERS) / suite": "a name of SUITES",
    "pipelines/commands/new.py: Path(backbone)": "--backbone",
    "pipelines/moved_backbone.py: Path(settings.model)": "backbone.model",
    "pipelines/new_recipe.py: Path(os.path.relpath(path.resolve(), folder.resolve()))": "for a line that is written",
    "pipelines/recipe_paths.py: Path(expanded)": "a path of the recipe",
    "pipelines/recipe_paths.py: Path(heads.taken_from)": "heads.from",
    "pipelines/recipe_paths.py: Path(os.path.normpath(path))": "a path of the recipe",
    "pipelines/recipe_paths.py: Path(written)": "a path of the recipe",
    "pipelines/recipe_paths.py: folder / expanded": "a path of the recipe",
    "pipelines/recipe_paths.py: opened.runs / opened.name": "extract.settings.Name",
    "pipelines/run.py: self.recipe.runs / recipe.name": "extract.settings.Name",
    "pipelines/steering_options.py: Path(profile)": "--profile",
    "pipelines/taken_heads.py: Path(backbone.model)": "backbone.model",
    "pipelines/taken_heads.py: Path(name)": "heads.from",
    "cache/set_aside.py: aside / (path.name if number == 1 else f'{path.name}.{number}')": "a file that a folder lists",
    # Where another library or this program said that a file lies.
    "export/folder.py: Path(modeling_armorm.__file__)": "this program's own file",
    "export/folder.py: Path(style.__file__)": "this program's own file",
    "extract/gguf_file.py: Path(name)": "a temporary folder",
    "extract/hub/listing.py: Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository.name,"
    " repo_type=repository.kind)": "huggingface_hub's own name, which has no '/'",
    "extract/template/renderer.py: Path(sys.prefix)": "this program's own environment",
    "cache/ray_cluster.py: Path(os.devnull)": "the system's",
    "pipelines/installation.py: Path('/proc/cpuinfo')": "the system's",
    "pipelines/installation.py: Path('/sys/fs/cgroup/memory.max')": "the system's",
    "pipelines/source_files.py: root / room": "constants",
    "pipelines/commands/report.py: Path(result.plots[0])": "written just now",
    # Names that this program makes, of constants, numbers and digests.
    "extract/check/excerpt.py: elements.rows * contents.size / elements.end": "a quotient",
    "extract/check/rows.py: Path(folder)": "a temporary folder",
    "extract/files/matching.py: path.with_name(path.name.removesuffix(suffix or ''))": "a part of the file's own name",
    "cache/export.py: folder / name": "constants in the loop's head",
    "cache/durable.py: path.with_name(path.name + suffix)": "constants and a number",
    "cache/lease.py: folder / _name(ALONE)": "numbers",
    "cache/lease.py: folder / _name(worker)": "numbers",
    "cache/lease.py: folder / f'writer-worker-{number}.lock'": "a number",
    "demo_corpus/corpus.py: out.with_name(f'.{out.name}.unfinished-{os.getpid()}')": "a number",
    "evaluation/figures.py: folder / f'{name}.{kind}'": "a FileName, and constants in the loop's head",
    "evaluation/scorers/answers_salvage.py: aside.with_name(aside.name + suffix)": "constants in the loop's head",
    "evaluation/scorers/answers_salvage.py: path.with_name(f'{path.name}.damaged-{number}')": "a number",
    "evaluation/scorers/answers_salvage.py: path.with_name(path.name + suffix)": "constants in the loop's head",
    "export/folder.py: backbone.folder / name": "constants in the loop's head",
    "export/folder.py: out / name": "constants in the loop's head",
    "export/server/page/__init__.py: Path(__file__).with_name(name)": "the router's constants",
    "export/weights.py: out / file": "numbers, and the last part of a path",
    "extract/plan.py: store.folder / plan_file.FOLDER / f'{digest}.parquet'": "a digest",
    "extract/tokens/kept_encoder.py: Path(division.__file__)": "this program's own file",
    "extract/tokens/kept_encoder.py: Path(str(module.__file__))": "this program's own file",
    "extract/tokens/segment.py: folder / (hashlib.sha256(names.tobytes()).hexdigest()[:16] + SUFFIX)": "a digest",
    "extract/tokens/kept_reasons.py: self._folder / f'{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}.json'": (
        "a digest"
    ),
    "extract/tokens/token_files.py: root / FOLDER / encoder": "a digest",
    "extract/tables.py: folder / f'{name}.parquet'": "constants in the loop's head",
    "heads/ridge/segments.py: folder / name": "a digest",
    "heads/ridge/summed_rows.py: folder / FOLDER / _name(digest, content)": "digests made here",
    "heads/ridge/statistics.py: self._spill / f'{file_name(key)}.safetensors'": "extract.settings.Name, and numbers",
    "pipelines/run.py: self.folder / (file.file if isinstance(file, Artefact) else file)": "pipelines.artefacts",
    # Checked names, which the function's own annotations do not show.
    "cache/store.py: root / fingerprint.digest": "a StoreName",
    "extract/check/excerpt.py: folder / contents.name": "an InnerPath",
    "extract/hub/download.py: listing.snapshot / file.path": "an InnerPath",
    "extract/hub/listing.py: self.snapshot / file.path": "an InnerPath",
    "export/weights.py: backbone / file": "a FileName, a value of _WeightsIndex.weight_map",
    "extract/ray/shard_worker.py: self._folder / plan_file.FOLDER / f'{shard.name}.lock'": "a ShardName",
    "heads/ridge/files.py: folder / FOLDER / name": "a GroupFile, a key of _Index.groups",
    "pipelines/commands/cache_status.py: root / earlier.fingerprint": "a StoreName",
    "pipelines/commands/cache_status.py: root / find_backbone(settings).fingerprint(settings, run.recipe.store.dtype,"
    " engine).digest": "a StoreName",
}
"""Join whose name the annotations around it do not prove safe -> where the name comes from."""


def test_every_join_with_a_name_that_is_not_checked_is_known() -> None:
    found = set(joins(program(ROOT, (*ROOMS, "backbones"))))
    assert sorted(found - set(KNOWN)) == [], "check the name with a class of cache/names.py, or say where it comes from"
    assert sorted(set(KNOWN) - found) == [], "these joins are not there any more"


HEAD = """
import json
from pathlib import Path
from dataclasses import dataclass
class FileName(str): ...
class ShardFile(FileName): ...
@dataclass
class Entry:
    shard: {kind}
"""


@pytest.mark.parametrize(
    "line",
    [
        "return folder / json.loads(text)['shard']",
        "return folder / 'shards' / entry.shard",
        "return (folder / f'{entry.shard}.lock').open()",
        "return folder.joinpath('shards', text)",
        "return folder.with_name(text)",
        "return Path(folder, text)",
        "return Path(text)",
        "return folder.parent.resolve() / text",
        "name = text\n    return folder / name",
        "name = 'a'\n    name = json.loads(text)\n    return folder / name",
        "for name in json.loads(text):\n        yield folder / name",
        "return [folder / name for name in json.loads(text)]",
        "where = folder / 'shards'\n    return where / text.strip()",
        "return folder / (text or 'a')",
        "return folder / '../elsewhere'",
        "return unknown(folder) / text",
        "return unknown(folder) / f'{text}.parquet'",
    ],
)
def test_a_join_with_a_name_from_a_file_is_found(line: str) -> None:
    source = HEAD.format(kind="str") + f"def read(folder: Path, text: str, entry: Entry):\n    {line}\n"
    assert len(joins({"a.py": source})) == 1


@pytest.mark.parametrize(
    "line",
    [
        "return folder / 'shards' / entry.shard",
        "return folder / f'{entry.shard}.lock'",
        "return folder / ShardFile(text)",
        "name = ShardFile(text)\n    return folder / name",
        "return folder / CONSTANT",
        "return folder.with_name(folder.name + '.partial')",
        "return len(text) / 2",
    ],
)
def test_a_join_with_a_checked_name_is_not(line: str) -> None:
    source = HEAD.format(kind="ShardFile") + f"def read(folder: Path, text: str, entry: Entry):\n    {line}\n"
    assert joins({"a.py": source}) == []


def test_a_name_that_one_class_checks_and_another_does_not_is_trusted_in_none() -> None:
    other = "class Other:\n    shard: str\n"
    source = HEAD.format(kind="ShardFile") + other + "def read(folder: Path, e: Entry):\n    return folder / e.shard\n"
    assert len(joins({"a.py": source})) == 1
