"""Extraction by several processes, by way of Ray."""
