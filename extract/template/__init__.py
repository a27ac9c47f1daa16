"""Chat templates: what is written before them, rendering, the end of a message, and the probe."""
