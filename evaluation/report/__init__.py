"""The report of a run: one HTML page that contains everything and loads nothing."""
