"""Linear heads made of preference pairs alone, in place of ratings."""
