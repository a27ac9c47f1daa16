"""A process that renders chat templates: one JSON request a line on standard input, one JSON answer a line.

A chat template is a program by somebody else, and jinja2's sandbox bounds neither its time nor its memory. Counting
its steps would not do: one comparison of two nested tuples, or one filter's padding, may take for ever in a single
step. So templates run here, where the system ends what computes too long (`ITIMER_PROF`) and refuses memory
(`RLIMIT_AS`). The process gets no environment, may write no file, and imports nothing of this project.

A request is `{"template", "variables", "conversations", "seconds", "memory_bytes"}`; its answer is a list with
`[true, text]` or `[false, reason]` for each conversation. The environment of a template is the one that transformers
documents for chat templates (https://huggingface.co/docs/transformers/chat_templating_writing).
"""

import json
import resource
import signal
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

READY = b"ready\n"
"""The first line that the process writes."""

FREE_CHARACTERS = 2**20
CHARACTERS_A_CHARACTER = 8
"""A template may write so many characters, and so many more for each character of its conversation as JSON."""

LONGEST_REASON = 1000
"""Characters of an error's message that are passed on."""


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`, with which templates mark responses for training: the text inside."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _PlainDict:
    """The template's `dict`, without the class behind it."""

    def __call__(self, *arguments: Any, **values: Any) -> dict[Any, Any]:
        return dict(*arguments, **values)

    def fromkeys(self, keys: Any, value: Any = None) -> dict[Any, Any]:
        return dict.fromkeys(keys, value)


class _PlainNamespace(Namespace):
    """The template's `namespace`, without names that Python keeps to itself."""

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace takes no name with an underscore in front: {name!r}")
        super().__setitem__(name, value)


def _namespace(*arguments: Any, **values: Any) -> Namespace:
    made = _PlainNamespace()
    for name, value in dict(*arguments, **values).items():
        made[name] = value
    return made


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.exceptions.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _environment() -> jinja2.Environment:
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = _to_json
    made.globals.update(
        raise_exception=_raise_exception, strftime_now=_strftime_now, dict=_PlainDict(), namespace=_namespace
    )
    return made


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    return _environment().from_string(template)


def _rendered(request: dict[str, Any], conversation: list[Any]) -> tuple[bool, str]:
    """The text and True, or the reason why there is none and False."""
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
    try:
        text = _compiled(request["template"]).render(messages=conversation, **request["variables"])
        if len(text) > FREE_CHARACTERS and len(text) > (most := _most_characters(conversation)):
            return False, f"it writes {len(text):,} characters, more than {most:,}"
    except MemoryError:
        return False, f"it takes more than {request['memory_bytes'] >> 20:,} MiB of memory"
    except Exception as error:  # it is a program by somebody else
        return False, str(error)[:LONGEST_REASON] or type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return True, text


def _most_characters(conversation: list[Any]) -> int:
    return FREE_CHARACTERS + CHARACTERS_A_CHARACTER * len(json.dumps(conversation, ensure_ascii=False))


def main() -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"], hard))
        answers = [_rendered(request, conversation) for conversation in request["conversations"]]
        sys.stdout.buffer.write(json.dumps(answers).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
