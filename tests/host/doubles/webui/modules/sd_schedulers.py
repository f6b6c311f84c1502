"""The schedulers of a host that keeps them apart from samplers."""

from types import SimpleNamespace

schedulers = [
    SimpleNamespace(name="automatic", label="Automatic"),
    SimpleNamespace(name="karras", label="Karras"),
]
