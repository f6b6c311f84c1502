"""Whether a step reads what its key tells of: a disk may turn a bit, a checkpoint may be swapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lib_copier.errors import ChildError
from lib_copier.graph.digest import sha256_of
from lib_copier.graph.status import StepStatus
from lib_copier.graph.store import Artifact, Store


def require_whole_inputs(status: StepStatus, statuses: Mapping[str, StepStatus], store: Store) -> None:
    """Read again what other steps made, before anything is made of it.

    Raises
    ------
    ChildError
        Where a file is not as it was written, though its size and time are; its step is no longer done then.
    """
    for given in status.step.inputs:
        artifact = statuses[given.step].artifact if given.step else None
        if artifact is not None:
            require_whole(artifact, [given.output], store, given.step)


def require_whole(artifact: Artifact, names: list[str], store: Store, step_id: str) -> None:
    """The same for some files of an artifact."""
    for name in names:
        if sha256_of(artifact.file(name)) != artifact.digest(name):
            store.digests.forget(artifact.file(name))
            store.digests.save()
            raise ChildError(f"{name} of {step_id} is not as it was written.", "Run again: it is made anew.")


def require_same_inputs(status: StepStatus, store: Store, project: Path) -> None:
    """Look after the work whether the files from outside are still those that the step's key tells of.

    Raises
    ------
    ChildError
        Where one is another file now: what was made of it must not pass for the work of the first.
    """
    for given, digest in zip(status.step.inputs, status.digests, strict=True):
        if not given.step and store.digests.sha256(project / given.path) != digest:
            raise ChildError(
                f"{given.role} {given.path} changed while {status.id} read it.",
                "Run again: it is made from the file as it is now.",
            )
