"""What people can do on the page: one short function an act, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lib_copier.ui.acts import edit, engine, origin, project, recipe, run, scout, trial
from lib_copier.ui.acts.act import Outcome
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details

Act = Callable[[Page, Details], Outcome]


def go(page: Page, details: Details) -> Outcome:
    """Show another panel, origin or edit; the view that came with the request says which."""
    return Outcome(is_at_top=True)


def poll(page: Page, details: Details) -> Outcome:
    """Ask whether anything changed."""
    return Outcome()


def seen(page: Page, details: Details) -> Outcome:
    """A failure of the host's work was read, and closed."""
    if page.desk is not None:
        page.workshop.tasks.forget(page.desk.queue_key)
    return Outcome()


ACTS: Mapping[str, Act] = {
    "go": go,
    "poll": poll,
    "seen": seen,
    "create_project": project.create,
    "open_project": project.open_project,
    "close_project": project.close,
    "duplicate_project": project.duplicate,
    "rename_project": project.rename,
    "delete_project": project.delete,
    "project_from_lora": project.from_lora,
    "prune": project.prune,
    "refresh_checkpoints": project.refresh_checkpoints,
    "set": recipe.set_value,
    "unset": recipe.unset,
    "add_origin": origin.add,
    "remove_origin": origin.remove,
    "upload_origin": origin.upload,
    "make_picture": origin.make,
    "interrupt": origin.interrupt,
    "caption": origin.caption,
    "scout": scout.search,
    "stop_scout": scout.stop,
    "take_origin": scout.take,
    "add_edit": edit.add,
    "rename_edit": edit.rename,
    "remove_edit": edit.remove,
    "add_effect": edit.add_effect,
    "remove_effect": edit.remove_effect,
    "try_effect": edit.try_effect,
    "set_effect": edit.set_effect,
    "upload_edit": edit.upload,
    "remove_upload": edit.remove_upload,
    "run": run.run,
    "rerun": run.rerun,
    "run_all": run.run_all,
    "stop": run.stop,
    "by_hand": run.by_hand,
    "cancel_job": run.cancel_job,
    "resume_jobs": run.resume_jobs,
    "go_on": run.go_on,
    "refresh_loras": run.refresh_loras,
    "try_prompt": trial.show,
    "try_at": trial.move,
    "stop_try": trial.stop,
    "use_prompt": trial.use,
    "engine": engine.engine,
}
"""Every act by the name that the browser sends."""
