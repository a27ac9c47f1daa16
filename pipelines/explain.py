"""`armorm explain`: one prompt and one response, and what each objective adds to the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cache import Fingerprint, UserError
from export.explanation import explain_scored, explanation
from export.reward_model import RewardModel
from extract.backbone import Backbone, find_backbone
from extract.engines.choice import choose_device
from extract.engines.sequential import SequentialEngine
from extract.packing import Request
from extract.records import Message
from extract.templating import ConversationEncoder, NotEncodableError
from pipelines.artefacts import open_run
from pipelines.fitted_model import FittedModel, verbosity_of
from pipelines.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ReadFeatures:
    """The features of one conversation."""

    prompt: NDArray[np.float32]
    """(layers * hidden_size,)"""
    response: NDArray[np.float32]
    """(layers * hidden_size,)"""
    response_tokens: int


def explain(recipe: Recipe, prompt: str, response: str) -> dict[str, Any]:
    """Score one conversation with a run's reward model, term by term.

    Returns:
        What `explained` returns, with the prompt and the response.

    Raises:
        UserError: an earlier command is missing, or the conversation cannot be scored.
    """
    model = FittedModel.read(recipe)
    features = read_features(recipe, prompt, response)
    return {"prompt": prompt, "response": response} | explained(model, features)


def explain_with(model: RewardModel, prompt: str, response: str) -> dict[str, Any]:
    """The same with a reward model in a folder.

    Raises:
        UserError: the conversation cannot be scored.
    """
    (scored,) = model.score([[Message("user", prompt), Message("assistant", response)]])
    return {"prompt": prompt, "response": response} | explain_scored(model, scored)


def read_features(recipe: Recipe, prompt: str, response: str) -> ReadFeatures:
    """Run the backbone over one conversation of one turn.

    Raises:
        UserError: the text is empty, spells a special token, or is longer than backbone.max_tokens, or the
            backbone is not the one that the run's features are of.
    """
    backbone = find_backbone(recipe.backbone)
    _, store = open_run(recipe)
    refuse_another_backbone(recipe, backbone, store.fingerprint)
    encoder = ConversationEncoder(backbone.tokenizer, recipe.backbone, backbone.vocabulary)
    (encoded,) = encoder.encode([((Message("user", prompt),), (response,))])
    if isinstance(encoded, NotEncodableError):
        raise UserError(f"this conversation cannot be scored: {encoded}; change --prompt or --response")
    request = Request()
    request.add(encoded)
    tokens = len(encoded.prompt) + len(encoded.responses[0])
    (pack,) = request.plan(set(map(bytes, request.keys())), tokens)
    engine = SequentialEngine(backbone, recipe.backbone, recipe.extract, choose_device(recipe.extract.device))
    layout = request.layout(pack)
    (states,) = engine.features([layout])
    features = states.reshape(len(layout.keys), -1)  # (prompt and response, layers * d)
    whole = layout.n_tokens.argmax()
    return ReadFeatures(features[layout.n_tokens.argmin()], features[whole], len(encoded.responses[0]))


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


def explained(model: FittedModel, features: ReadFeatures) -> dict[str, Any]:
    """What `explanation` returns, for features under a run's reward model."""
    heads, tokens = model.heads, features.response_tokens
    rewards = (heads.weight @ features.response).astype(np.float64)  # (k,)
    value = float(verbosity_of(model.verbosity, rewards[None], heads.objectives, np.asarray([tokens]))[0])
    (weights,) = model.gate_weights(torch.from_numpy(features.prompt[None]))  # (k,)
    return explanation(heads.objectives, rewards, weights, model.lambdas, (model.verbosity, value), tokens)
