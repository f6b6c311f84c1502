"""Whole files and JSON with limits, locks, and names that may become part of a path."""
