"""A prompt is tokenised once for all its responses, and the token ids are those of the whole text."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.backbone import Backbone, find_backbone
from extract.encoded import TokenIds
from extract.records import Message, Prompt
from extract.settings import BackboneSettings
from extract.template.bos import with_bos
from extract.template.division import undivided_end
from extract.template.rendering import render
from extract.templating import ConversationEncoder, Encoded
from tests.conftest import TINY
from tests.export.families import TEMPLATES

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30) | st.sampled_from(
    [" x", "x ", "\n\nx", "<|eot_id", "|>x", "<|", "[/INST]", "猫", "<|start_header_id|"]
)


def counting(encoder: ConversationEncoder) -> list[str]:
    """All texts that the encoder tokenises from now on."""
    given: list[str] = []
    token_ids = encoder._token_ids

    def counted(texts: list[str]) -> list[TokenIds]:
        given.extend(texts)
        return token_ids(texts)

    encoder._token_ids = counted  # type: ignore[method-assign]
    return given


@pytest.fixture(scope="module", params=[None, *TEMPLATES])
def any_encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ConversationEncoder:
    chosen: dict[str, Any] = {"model": str(TINY), "max_tokens": 2048, "special_tokens_in_text": "keep"}
    if request.param is not None:
        chosen["chat_template"] = tmp_path_factory.mktemp("template") / "template.jinja"
        chosen["chat_template"].write_text(TEMPLATES[request.param])
    own = BackboneSettings.model_validate(chosen)
    backbone = find_backbone(own)
    return ConversationEncoder(backbone.tokenizer, own, backbone.vocabulary)


@settings(max_examples=60)
@given(texts=st.lists(TEXT, min_size=2, max_size=4))
def test_divided_or_not_the_token_ids_are_those_of_the_whole(
    any_encoder: ConversationEncoder, texts: list[str]
) -> None:
    prompt: Prompt = (Message("user", texts[0]),)
    (made,) = any_encoder.encode([(prompt, tuple(texts[1:]))])
    if not isinstance(made, Encoded):
        return
    for text, response in zip(texts[1:], made.responses, strict=True):
        whole = any_encoder.cut(render(any_encoder.tokenizer, (*prompt, Message("assistant", text))))
        ids = np.array(any_encoder.tokenizer(whole, add_special_tokens=False)["input_ids"], np.uint32)
        np.testing.assert_array_equal(np.concatenate([made.prompt, response]), with_bos(ids, any_encoder._bos))
        one = any_encoder.encode_response(any_encoder.encode_prompt(prompt), text)
        np.testing.assert_array_equal(one.prompt, made.prompt)
        np.testing.assert_array_equal(one.responses[0], response)


def test_a_prompt_of_many_responses_is_tokenised_once(tiny: Backbone, tiny_settings: BackboneSettings) -> None:
    encoder = ConversationEncoder(tiny.tokenizer, tiny_settings, tiny.vocabulary)
    tokenised = counting(encoder)
    (made,) = encoder.encode([((Message("user", "word " * 300),), tuple(f"number {n}" for n in range(50)))])
    assert isinstance(made, Encoded)
    assert sum("word" in text for text in tokenised) == 1
    assert len(tokenised) == 51


def test_a_prompt_that_is_too_long_by_itself_is_refused_before_its_responses_are_tokenised(
    tiny: Backbone, tiny_settings: BackboneSettings
) -> None:
    encoder = ConversationEncoder(tiny.tokenizer, tiny_settings, tiny.vocabulary)
    tokenised = counting(encoder)
    (refused,) = encoder.encode([((Message("user", "word " * 9000),), ("a", "b"))])
    assert "the prompt alone has 9" in str(refused)
    assert len(tokenised) == 1


def test_text_is_divided_at_special_tokens_alone(tiny: Backbone) -> None:
    assert undivided_end(tiny.tokenizer, "<|eot_id|>") == "<|eot_id|>"
    assert undivided_end(tiny.tokenizer, " .<|eot_id|>\n") == "<|eot_id|>\n"
    assert undivided_end(tiny.tokenizer, " [/INST]") is None


def test_the_least_of_a_turn(encoder: ConversationEncoder) -> None:
    assert encoder.tokens_of_a_turn == 4  # the header's two, the closing token, and the text
