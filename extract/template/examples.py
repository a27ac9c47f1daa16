"""The conversations that chat templates are tried on."""

from extract.records import Message, Prompt

QUESTION = 'Can "naïve" be said in <b>two</b> words?\nOr in 1 {word}, at 5 % & less?'
ANSWER = "It's \"without guile\":\n- 'frank' {or} <i>open</i>\n- 98 % & more."
SECOND_QUESTION = "Why is bread brown?\nPlease explain."
SECOND_ANSWER = "Since sugars & proteins react.\nThat takes heat."
SYSTEM = 'Reply in "plain" words.\nNever in <b>bold</b> & {braces}.'
"""Texts with what templates escape, split or format. None spells a token, or holds another."""

CONVERSATION: Prompt = (Message("user", QUESTION), Message("assistant", ANSWER))
SEVERAL: Prompt = (*CONVERSATION, Message("user", SECOND_QUESTION), Message("assistant", SECOND_ANSWER))
EXAMPLE: Prompt = (Message("user", "What is two plus two?"), Message("assistant", "It is four."))
