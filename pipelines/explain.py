"""A run's reward model, ready to score text, and one prompt and response explained with it."""

from typing import Any

from pydantic import TypeAdapter

from cache import Fingerprint, UserError
from export.explanation import explain as explain_text
from export.results import Explanation
from export.reward_config import RewardConfig
from export.reward_model import RewardModel
from extract.backbone import Backbone, find_backbone
from pipelines.artefacts import open_run
from pipelines.fitted_model import read_fitted_rules
from pipelines.recipe import Recipe


def explain(recipe: Recipe, prompt: str, response: str) -> dict[str, Any]:
    """Score one conversation with a run's reward model, term by term.

    Raises:
        UserError: an earlier command is missing, the conversation cannot be scored, or the backbone is not the one
            that the run's features are of.
    """
    return as_json(explain_text(run_model(recipe), prompt, response))


def as_json(explained: Explanation) -> dict[str, Any]:
    """An explanation as its JSON."""
    plain: dict[str, Any] = TypeAdapter(Explanation).dump_python(explained, by_alias=True)
    return plain


def run_model(recipe: Recipe) -> RewardModel:
    """A run's reward model over its backbone.

    Raises:
        UserError: an earlier command is missing, or the backbone is not the one that the run's features are of.
    """
    parts = read_fitted_rules(recipe).parts
    backbone = find_backbone(recipe.backbone)
    _, store = open_run(recipe)
    refuse_another_backbone(recipe, backbone, store.fingerprint)
    config = RewardConfig(objectives=parts.objectives)
    return RewardModel.of_parts(recipe.folder, config, parts, backbone, recipe.backbone, recipe.extract)


def refuse_another_backbone(recipe: Recipe, backbone: Backbone, there: Fingerprint) -> None:
    """A local backbone can change without the recipe's changing; its states would mean nothing to the heads.

    Raises:
        UserError: it is not the one that the features with the fingerprint `there` were read from.
    """
    here = backbone.fingerprint(recipe.backbone, there.store_dtype, there.engine)  # type: ignore[arg-type]
    if changed := there.differences(here):
        raise UserError(
            f"the {changed[0]} of {recipe.backbone.model} is not the one that {recipe.folder} was extracted with:"
            " run `armorm extract` and the commands behind it again"
        )
