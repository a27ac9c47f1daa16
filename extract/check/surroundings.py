"""Needs of a run beside rows and backbone: packages that its settings ask for, and folders that it can write."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cache import StoreSettings
from extract.check.findings import Finding
from extract.settings import BackboneSettings, ExtractSettings


def missing_packages(backbone: BackboneSettings, extract: ExtractSettings) -> Iterator[Finding]:
    """Packages of an extra that the settings ask for and that are not installed."""
    if extract.engine == "vllm" and find_spec("vllm") is None:
        yield _missing("extract.engine", "'vllm'", "vllm", "or use 'packed'")
    if backbone.gguf_file is not None and find_spec("gguf") is None:
        yield _missing("backbone.gguf_file", str(backbone.gguf_file), "gguf", "or name a folder with safetensors")


def _missing(key: str, value: str, package: str, instead: str) -> Finding:
    remedy = f"run `pip install -e '.[{package}]'`, {instead}"
    sentence = f"{value} needs the package {package}, which is not installed: {remedy}"
    return Finding(key, sentence, stops=True)


def unwritable(store: StoreSettings, results: Path) -> Iterator[Finding]:
    """Folders that a run writes, and cannot.

    Args:
        store: its root holds features.
        results: the run's folder.
    """
    for key, folder in (("store.root", store.root), ("runs", results)):
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            sentence = f"the folder {folder} cannot be made, since {there} is a file: name another folder"
        elif not os.access(there, os.W_OK | os.X_OK):
            sentence = f"nothing can be written in {there}: change its permissions, or name another folder"
        else:
            continue
        yield Finding(key, sentence, stops=True)
