"""A tagger that always says the same."""

from types import SimpleNamespace

model = SimpleNamespace(tag=lambda image: "lines, flat color")
