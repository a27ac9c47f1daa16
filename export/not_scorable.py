"""The errors of a conversation that has no score."""


class NotScorableError(Exception):
    """This conversation has no score; the message is the reason, without a remedy."""


class NotFiniteError(NotScorableError):
    """The model gave a number that is not finite: a fault of the model or its dtype, not of the conversation."""
