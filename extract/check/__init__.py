"""The check before a run: every repository, file, scale and licence of a recipe, from a few rows of each file."""
