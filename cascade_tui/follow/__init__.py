"""Reads a run directory as it grows."""
