"""The suite that a user names: by its own name, or by that of one of the recipe's sets of custom rows."""

import logging
from typing import TYPE_CHECKING

from cache import UserError
from evaluation.suites import SUITES

if TYPE_CHECKING:
    from pipelines.recipe import Recipe

log = logging.getLogger(__name__)

SET_OF_RECIPE = "a set of the recipe"
"""How help shows that the name of a `[[suites]]` table may be given too."""


def suite_named(name: str, recipe: "Recipe") -> str:
    """A name in `SUITES`.

    Args:
        name: of a suite, or of a `[[suites]]` table of the recipe.
        recipe: the recipe.

    Raises:
        UserError: it is neither.
    """
    if name in SUITES:
        return name
    sets = {settings.name: settings.source for settings in recipe.suites}
    if name in sets:
        suite = next(known for known in SUITES if sets[name] in SUITES[known].sources)
        others = [other for other, source in sets.items() if source in SUITES[suite].sources and other != name]
        beside = f", with {', '.join(others)}" if others else ""
        log.info("%s is judged as the suite '%s'%s", name, suite, beside)
        return suite
    own = "".join(f", '{other}'" for other in sets if other not in SUITES)
    raise UserError(f"--suite {name!r} is not one of {', '.join(map(repr, SUITES))}{own}: check its spelling")
