"""Heads of other kinds, fitted on the same features."""
