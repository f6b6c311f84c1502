"""Forge's backend."""
