"""Where the prompt ends in token ids: what the template writes there is learned, and found again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.not_scorable import NotScorableError
from export.turns import TurnMarkers
from extract.backbone import find_backbone
from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.template.rendering import render
from extract.templating import ConversationEncoder, Encoded
from tests.export.families import TEMPLATES, with_tokenizer


@pytest.fixture(scope="module", params=[None, *TEMPLATES])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ConversationEncoder:
    settings = {"model": str(Path(__file__).parents[2] / "backbones" / "tiny"), "max_tokens": 2048}
    if request.param is not None:
        template = tmp_path_factory.mktemp("template") / "template.jinja"
        template.write_text(TEMPLATES[request.param])
        settings["chat_template"] = template
    own = BackboneSettings.model_validate(settings)
    backbone = find_backbone(own)
    return ConversationEncoder(backbone.tokenizer, own, backbone.vocabulary)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    lambda text: text.strip() and "INST" not in text and "<|" not in text
)
TURNS = st.lists(TEXT, min_size=2, max_size=6).filter(lambda texts: len(texts) % 2 == 0)


@settings(max_examples=40)
@given(texts=TURNS)
def test_the_split_is_the_one_by_construction(encoder: ConversationEncoder, texts: list[str]) -> None:
    prompt: Prompt = tuple(
        Message("user" if number % 2 == 0 else "assistant", text) for number, text in enumerate(texts[:-1])
    )
    (made,) = encoder.encode([(prompt, (texts[-1],))])
    if not isinstance(made, Encoded):
        return  # a template that is no prefix of itself with such a text, which is refused by name
    markers = TurnMarkers.of(encoder, "end_of_turn")
    split = markers.split(np.concatenate([made.prompt, made.responses[0], np.asarray(markers.trailing, np.uint32)]))
    np.testing.assert_array_equal(split.prompt, made.prompt)
    np.testing.assert_array_equal(split.responses[0], made.responses[0])


WHITE = st.text(st.sampled_from(" \t\n\r\u00a0\u2003\u3000"), max_size=6)


@settings(max_examples=15)
@given(white=WHITE, closed=st.booleans())
def test_white_space_alone_is_empty(encoder: ConversationEncoder, white: str, closed: bool) -> None:
    """As the template writes it, and as a policy that was cut off leaves it: behind the header, without an end."""
    markers = TurnMarkers.of(encoder, "end_of_turn")
    prompt: Prompt = (Message("user", "Hello"),)
    if closed:
        text = encoder.cut(render(encoder.tokenizer, (*prompt, Message("assistant", white))))
    else:
        text = render(encoder.tokenizer, prompt, generation=True) + white
    (ids,) = encoder.tokenize([text])
    merged = not closed and white.startswith("\n")  # with the header's own line break, so that the header is nowhere
    with pytest.raises(NotScorableError, match="nothing in it|is empty" if merged else "the response is empty"):
        markers.split(ids)


def test_what_is_said_in_few_signs_is_not_empty(encoder: ConversationEncoder) -> None:
    markers = TurnMarkers.of(encoder, "end_of_turn")
    made = encoder.encode([((Message("user", "Hello"),), (".", "\u200b", " 0 ", "\n-"))])
    assert isinstance(made[0], Encoded)
    for response in made[0].responses:
        split = markers.split(np.concatenate([made[0].prompt, response]))
        np.testing.assert_array_equal(split.responses[0], response)


def test_a_prompt_alone_has_no_response(encoder: ConversationEncoder) -> None:
    (made,) = encoder.encode([((Message("user", "Hello"),), ("Hi",))])
    assert isinstance(made, Encoded)
    with pytest.raises(NotScorableError, match=r"no assistant turn|the response is empty"):
        TurnMarkers.of(encoder, "end_of_turn").split(made.prompt)


@pytest.mark.parametrize("padding", ["<|pad|>", "<|eot_id|>"])
@pytest.mark.parametrize(("before", "behind"), [(0, 0), (0, 4), (3, 0), (2, 5)])
def test_padding_is_taken_off_and_nothing_else(tmp_path: Path, padding: str, before: int, behind: int) -> None:
    folder = tmp_path / "backbone"
    shutil.copytree(Path(__file__).parents[2] / "backbones" / "tiny", folder)
    own = BackboneSettings(model=str(with_tokenizer(folder, pad_token=padding)))
    backbone = find_backbone(own)
    encoder = ConversationEncoder(backbone.tokenizer, own, backbone.vocabulary)
    (made,) = encoder.encode([((Message("user", "Hello"),), ("Hi",))])
    assert isinstance(made, Encoded)
    whole = np.concatenate([made.prompt, made.responses[0]])
    pad = backbone.tokenizer.pad_token_id
    padded = np.pad(whole, (before, behind), constant_values=pad)
    np.testing.assert_array_equal(TurnMarkers.of(encoder, "end_of_turn").without_padding(padded), whole)
