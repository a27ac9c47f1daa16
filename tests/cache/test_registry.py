"""A lazy registry is a mapping that imports an entry only when it is looked up."""

import sys
from pathlib import Path

import pytest

from cache.registry import LazyRegistry


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "armorm_lazy_entry.py").write_text("value = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "armorm_lazy_entry", raising=False)
    return "armorm_lazy_entry"


def test_names_are_known_without_an_import(module: str) -> None:
    registry: LazyRegistry[object] = LazyRegistry({"one": f"{module}:value", "two": "no.such.module:value"})
    assert list(registry) == ["one", "two"]
    assert len(registry) == 2
    assert "one" in registry
    assert "two" in registry
    assert "three" not in registry
    assert repr(registry) == "LazyRegistry(one, two)"
    assert module not in sys.modules


def test_a_lookup_imports_and_gives_the_object_itself(module: str) -> None:
    registry: LazyRegistry[object] = LazyRegistry({"one": f"{module}:value"})
    value = registry["one"]
    assert value is sys.modules[module].value
    assert registry["one"] is value
    assert dict(registry) == {"one": value}


def test_an_unknown_name_is_a_key_error(module: str) -> None:
    registry: LazyRegistry[object] = LazyRegistry({"one": f"{module}:value"})
    with pytest.raises(KeyError):
        registry["two"]
    assert registry.get("two") is None


def test_an_entry_that_is_nowhere_fails_at_its_lookup(module: str) -> None:
    registry: LazyRegistry[object] = LazyRegistry({"one": f"{module}:nothing", "two": "no.such.module:value"})
    with pytest.raises(AttributeError):
        registry["one"]
    with pytest.raises(ImportError):
        registry["two"]


@pytest.mark.parametrize("place", ["module", ":attribute", "module:", "module:a.b"])
def test_a_place_that_is_no_place_is_refused_at_once(place: str) -> None:
    with pytest.raises(ValueError, match="one is at"):
        LazyRegistry({"one": place})


def test_entries_cannot_be_changed(module: str) -> None:
    places = {"one": f"{module}:value"}
    registry: LazyRegistry[object] = LazyRegistry(places)
    places["two"] = "elsewhere:value"
    assert list(registry) == ["one"]
    with pytest.raises(TypeError):
        registry.places["two"] = "elsewhere:value"  # type: ignore[index]
