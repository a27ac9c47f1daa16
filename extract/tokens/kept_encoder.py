"""An encoder that tokenises a text once: what it has seen before, in this run or an earlier one, it finds in files."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from cache.fingerprint import digest_of
from cache.keys import token_key
from extract import checks, encoded, pretoken_pattern, pretokens, records, special_tokens, templating
from extract.encoded import Encoded, TokenIds
from extract.records import Prompt, Record, SuiteItem, texts_of
from extract.settings import BackboneSettings
from extract.template import division
from extract.template.rendering import REFUSED
from extract.templating import ConversationEncoder, NotEncodableError
from extract.tokens.encoder_pool import EncoderPool, Results
from extract.tokens.kept_reasons import KeptReasons
from extract.tokens.spans import Span
from extract.tokens.texts import name_of_prompt, name_of_record, name_of_response

Conversation = tuple[Prompt, tuple[str, ...]]
"""A prompt and its responses."""


class Kept(NamedTuple):
    """Where the token ids of a prompt and of its responses lie."""

    prompt: Span
    responses: tuple[Span, ...]


class KeptTokens(Protocol):
    """Token ids by the names of texts: `TokenFiles`, or `TokensInMemory`."""

    @property
    def reasons(self) -> KeptReasons | None:
        """Why records have no ids; None where that is not kept."""

    def find(self, names: Sequence[bytes]) -> list[Span | None]:
        """The span of each name, None where there is none."""

    def add(self, name: bytes, key: bytes, ids: TokenIds) -> Span:
        """Add a sequence."""


class _Batch(NamedTuple):
    """A batch of which unknown records are being encoded."""

    records: list[Record]
    names: list[list[bytes]]
    results: list[Kept | NotEncodableError | None]
    unknown: list[int]
    """Places of the records that are encoded."""
    encoded: "Future[Results]"


class KeptEncoder:
    """Encodes batches of records in order, by way of the tokens that are kept."""

    def __init__(self, pool: EncoderPool, tokens: KeptTokens) -> None:
        self._pool = pool
        self._tokens = tokens

    def encode(self, batches: Iterable[list[Record]]) -> Iterator[tuple[list[Record], list[Kept | NotEncodableError]]]:
        """Yield each batch with one result a record: where its token ids are, or why it has none.

        A record is not encoded of which all texts are known, or the reason why they are not. Only what the template
        refuses is tried again in every run, since that may be for lack of time or memory.
        """
        waiting: deque[_Batch] = deque()
        for batch in batches:
            waiting.append(self._begun(batch))
            while len(waiting) > self._pool.ahead:
                yield self._finished(waiting.popleft())
        while waiting:
            yield self._finished(waiting.popleft())

    def _begun(self, batch: list[Record]) -> "_Batch":
        conversations = [texts_of(record) for record in batch]
        names = [_names(conversation) for conversation in conversations]
        results = self._find(names)
        # Official scripts of suites score an empty text like any other.
        empty = isinstance(batch[0], SuiteItem)
        if (reasons := self._tokens.reasons) is not None:
            for place, result in enumerate(results):
                if result is None and (reason := reasons.find(name_of_record(names[place], empty=empty))):
                    results[place] = NotEncodableError(reason)
        unknown = [place for place, result in enumerate(results) if result is None]
        waiting = self._pool.submit([conversations[place] for place in unknown], empty=empty)
        return _Batch(batch, names, results, unknown, waiting)

    def _finished(self, batch: "_Batch") -> tuple[list[Record], list[Kept | NotEncodableError]]:
        encoded = self._pool.result(batch.encoded)
        # A part of a record may be known, or have come since; asked for once a batch, since asking has a fixed cost.
        names = [name for place in batch.unknown for name in batch.names[place]]
        known = {name: span for name, span in zip(names, self._tokens.find(names), strict=True) if span is not None}
        empty = isinstance(batch.records[0], SuiteItem)
        for place, one in zip(batch.unknown, encoded, strict=True):
            names_of_one = batch.names[place]
            if not isinstance(one, NotEncodableError):
                batch.results[place] = self._keep(names_of_one, one, known)
                continue
            batch.results[place] = one
            if self._tokens.reasons is not None and not str(one).startswith(REFUSED):
                self._tokens.reasons.add(name_of_record(names_of_one, empty=empty), str(one))
        return batch.records, [result for result in batch.results if result is not None]

    def _find(self, names: Sequence[list[bytes]]) -> list[Kept | NotEncodableError | None]:
        found = iter(self._tokens.find([name for each in names for name in each]))
        results: list[Kept | NotEncodableError | None] = []
        for each in names:
            prompt, *responses = [next(found) for _ in each]
            known = tuple(span for span in responses if span is not None)
            whole = prompt is not None and len(known) == len(responses)
            results.append(Kept(prompt, known) if prompt is not None and whole else None)
        return results

    def _keep(self, names: list[bytes], encoded: Encoded, known: dict[bytes, Span]) -> Kept:
        """Add what is not among the known spans, to which it is added too."""
        prompt, *responses = names
        if prompt not in known:
            known[prompt] = self._tokens.add(prompt, token_key(encoded.prompt), encoded.prompt)
        for name, ids in zip(responses, encoded.responses, strict=True):
            if name not in known:
                whole = token_key(np.concatenate([encoded.prompt, ids]))
                known[name] = self._tokens.add(name, whole, ids)
        return Kept(known[prompt], tuple(known[name] for name in responses))


def _names(conversation: Conversation) -> list[bytes]:
    """The name of a conversation's prompt, and of each of its responses."""
    prompt, responses = conversation
    name = name_of_prompt(prompt)
    return [name, *(name_of_response(name, response) for response in responses)]


def digest_of_encoder(encoder: ConversationEncoder, settings: BackboneSettings) -> str:
    """16 hexadecimal digits for everything that token ids depend on beside their texts.

    Tokenizer, template, the settings that refuse a text, the libraries, and the code between them, so that no ids are
    read back that would not be written today.
    """
    tokenizer = encoder.tokenizer
    facts = {
        "tokenizer": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "template": tokenizer.chat_template,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "split_special_tokens": bool(getattr(tokenizer, "split_special_tokens", False)),
        "settings": settings.model_dump(include={"max_tokens", "position", "special_tokens_in_text"}),
        "vocabulary": encoder.vocabulary,
        "libraries": {name: version(name) for name in ("jinja2", "tokenizers", "transformers")},
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in _code()],
    }
    return digest_of(facts)[:16]


def _code() -> list[Path]:
    """The source files that make ids of texts."""
    modules = (checks, encoded, pretoken_pattern, pretokens, records, special_tokens, templating)
    return [*(Path(str(module.__file__)) for module in modules), *sorted(Path(division.__file__).parent.glob("*.py"))]
