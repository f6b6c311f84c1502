"""What tests look at in a project: its steps' states, and the finished file."""

from __future__ import annotations

from lib_copier.steps.project import Project


def states(project: Project) -> dict[str, str]:
    return {status.id: status.state for status in project.status()}


def published(project: Project, edit: str = "outline") -> bytes:
    path = project.file(f"publish/{edit}")
    assert path is not None
    return path.read_bytes()
