"""Fixtures of the benchmarks' tests."""

import pytest

from tests.benchmarks.random_folders import Folders, made


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A random reward model of the bundled backbone's shape, and the classifier of its first objective."""
    return made(tmp_path_factory.mktemp("random"))
