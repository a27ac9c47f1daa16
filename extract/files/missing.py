"""The error for a data set that cannot be found."""

from cache.errors import UserError


class MissingDatasetError(UserError):
    """A data set, or the files of it that the recipe names, cannot be found."""
