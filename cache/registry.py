"""A table of implementations by name, each imported when it is first looked up."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TypeVar

T = TypeVar("T")


class LazyRegistry(Mapping[str, T]):
    """A mapping of names to objects that are given as "module:attribute".

    Listing the names, testing membership and counting import nothing, so that `--help`, a recipe's check and an
    error message can name every engine or suite without torch. A lookup imports the module; Python keeps it, so
    the second lookup costs a dictionary access.

        ENGINES: LazyRegistry[type[Engine]] = LazyRegistry({"packed": "extract.engines.packed:PackedEngine"})
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Take note of the places; nothing is imported.

        Args:
            places: name -> "module:attribute", in the order in which names are listed.

        Raises:
            ValueError: a place is not "module:attribute".
        """
        for name, place in places.items():
            module, _, attribute = place.partition(":")
            if not module or not attribute.isidentifier():
                raise ValueError(f"{name} is at {place!r}, which is not 'module:attribute'")
        self.places: Mapping[str, str] = MappingProxyType(dict(places))
        """Name -> "module:attribute"."""

    def __getitem__(self, name: str) -> T:
        """The object of this name.

        Raises:
            KeyError: no entry has this name.
            ImportError, AttributeError: the place does not exist.
        """
        module, _, attribute = self.places[name].partition(":")
        found: T = getattr(import_module(module), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.places  # Mapping's own would look the name up, and so import

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __repr__(self) -> str:
        return f"LazyRegistry({', '.join(self.places)})"
