"""Jinja lines in front of a chat template, so that plain text and any day give the tokens that it was made for.

A template may ask for today's date, and then the same row has other tokens every day; or it may take a message's
content only as a list of parts, and then plain text is dropped; or it may know no system turns, and then rows with one
are lost. The lines in front of it fix the date, make parts of text, and fold system turns where the recipe asks for it.
They are part of the template from then on: the fingerprint, the run and an exported folder hold them, so every reader
of that folder gets the same tokens. Other templates stay as they are, to the last character.
"""

import datetime
import re

DATE = datetime.date(2024, 7, 26)
"""The date that every template is given. Llama 3.2's own template writes this one where there is no clock."""

_DIRECTIVES = "aAbBcdDeFfHIjmMpSTuUVwWxXyYZ"
_UNPADDED = "dHIjmMSy"


def _date_prelude(date: datetime.date) -> str:
    """A macro in place of transformers' `strftime_now`: midnight of a fixed date, whatever the clock says."""
    moment = datetime.datetime.combine(date, datetime.time())
    codes = [f"%-{code}" for code in _UNPADDED] + [f"%{code}" for code in _DIRECTIVES]
    replacements = "".join(f" | replace('{code}', '{moment.strftime(code)}')" for code in codes)
    # %% is set aside first, so that '%%d' stays '%d'. The newline at the end belongs to this block: transformers trims
    # it (trim_blocks), and the template begins as it would alone.
    return (
        f"{{#- the date is always {date.isoformat()}, so that a conversation has the same tokens on every day #}}\n"
        "{%- macro strftime_now(format) -%}"
        f"{{{{ format | replace('%%', '\\0'){replacements} | replace('\\0', '%') }}}}"
        "{%- endmacro %}\n"
    )


_PARTS_PRELUDE = """\
{#- content that is text becomes a list of one part, which is what the rest of this template takes #}
{%- set in_parts = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- if message['content'] is string -%}
{%- set part = dict(type='text', text=message['content']) -%}
{%- set in_parts.messages = in_parts.messages + [dict(message, content=[part])] -%}
{%- else -%}
{%- set in_parts.messages = in_parts.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = in_parts.messages %}
"""

_FOLD_PRELUDE = """\
{#- a system turn's text comes before that of the user turn that follows: the rest of this template takes none #}
{%- set folding = namespace(messages=[], texts=[]) -%}
{%- for message in messages -%}
{%- if message['role'] in ['system', 'developer'] -%}
{%- set folding.texts = folding.texts + [message['content']] -%}
{%- elif not folding.texts -%}
{%- set folding.messages = folding.messages + [message] -%}
{%- elif message['role'] != 'user' -%}
{{- raise_exception('a system turn is folded into the user turn that follows, and none follows') -}}
{%- else -%}
{%- set texts = folding.texts + [message['content']] -%}
{%- if texts | select('string') | list | length == texts | length -%}
{%- set content = texts | join('\\n\\n') -%}
{%- else -%}
{%- set joined = namespace(parts=[]) -%}
{%- for text in texts -%}
{%- set parts = [dict(type='text', text=text)] if text is string else text | list -%}
{%- set blank = [] if loop.first else [dict(type='text', text='\\n\\n')] -%}
{%- set joined.parts = joined.parts + blank + parts -%}
{%- endfor -%}
{%- set content = joined.parts -%}
{%- endif -%}
{%- set folding.messages = folding.messages + [dict(message, content=content)] -%}
{%- set folding.texts = [] -%}
{%- endif -%}
{%- endfor -%}
{%- if folding.texts -%}
{{- raise_exception('a system turn is folded into the user turn that follows, and none follows') -}}
{%- endif -%}
{%- set messages = folding.messages %}
"""


def with_fixed_date(template: str) -> str:
    """The template with `DATE` for the clock, if it asks for the clock at all; else unchanged."""
    if fixed_date(template) is not None or not re.search(r"\bstrftime_now\b", template):
        return template
    return _date_prelude(DATE) + template


def fixed_date(template: str) -> str | None:
    """The date, year-month-day, that a template from `with_fixed_date` is given; None for any other."""
    found = re.search(r"\{#- the date is always (\d{4}-\d\d-\d\d), so that ", template)
    return found and found[1]


def with_parts(template: str) -> str:
    """The template with lines that turn text into a list of one part, `[{"type": "text", "text": ...}]`."""
    date = _date_prelude(DATE) if fixed_date(template) is not None else ""
    return date + _PARTS_PRELUDE + template.removeprefix(date)


def takes_parts(template: str) -> bool:
    """Whether the template is one from `with_parts`."""
    return _PARTS_PRELUDE in template


def with_folded_system_turns(template: str) -> str:
    """The template with lines that fold a system's or developer's turn into the user turn that follows."""
    return _FOLD_PRELUDE + template


def folds_system_turns(template: str) -> bool:
    """Whether the template is one from `with_folded_system_turns`."""
    return _FOLD_PRELUDE in template
