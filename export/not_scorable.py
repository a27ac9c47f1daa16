"""The error of a conversation that has no score."""


class NotScorableError(Exception):
    """This conversation has no score; the message is the reason, without a remedy."""
