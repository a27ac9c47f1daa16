"""Extraction by several processes with Ray."""
