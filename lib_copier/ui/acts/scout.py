"""Finding a good origin: a search among the jobs, and taking one of its pictures."""

from __future__ import annotations

import shutil

from lib_copier.errors import InputError
from lib_copier.study.handing import adopt
from lib_copier.study.scout import MOST_PICTURES, picture_of, require_recipe, scout_question
from lib_copier.study.study import Study
from lib_copier.ui.acts import run
from lib_copier.ui.acts.act import Outcome, require_project, the_origin
from lib_copier.ui.page import Page
from lib_copier.ui.request import Details, text_of, values_of
from lib_copier.ui.scouts import folder_of, job_of, scout_of


def search(page: Page, details: Details) -> Outcome:
    """Make a picture of each prompt by each seed, and see how well it is copied; a search before is gone."""
    require_project(page)
    origin, values = the_origin(page), values_of(details)
    prompts = list(dict.fromkeys(filter(None, map(str.strip, text_of(values, "prompts").splitlines()))))
    seeds = text_of(values, "seeds", longest=4).strip()
    if not prompts or not seeds.isdecimal() or not 1 < len(prompts) * int(seeds) <= MOST_PICTURES:
        raise InputError(
            f"A search takes 2 to {MOST_PICTURES} pictures: as many as prompts times seeds.",
            "Change the prompts or the number of seeds.",
        )
    if refused := dict(run.causes(page)).get("engine"):
        return Outcome(refused, is_error=True, cause="engine")
    job = job_of(page)
    if job is not None and job.is_open:
        raise InputError("A search is under way already.", "Wait for it, or stop it.")
    project = page.opened.project
    recipe = project.recipe
    outside = {key: str(recipe.get(key) or "") for key in ("project.checkpoint", "project.vae")}
    whole = {key: str((project.folder / path).resolve()) for key, path in outside.items() if path}
    question = scout_question(recipe.with_settings(whole), origin.name, prompts, int(seeds))
    folder = folder_of(page)
    require_recipe(Study(project.folder, question), project.name)
    shutil.rmtree(folder, ignore_errors=True)
    Study.create(folder, question, project.folder)
    title = page.texts("scout.job", project=project.name)
    page.workshop.queue.submit(str(folder), title, ("-m", "lib_copier.study", str(folder)))
    return Outcome()


def stop(page: Page, details: Details) -> Outcome:
    """End the search; what it has made stays to be looked at."""
    require_project(page)
    job = job_of(page)
    return run.cancel_job(page, {"job": job.id}) if job is not None and job.is_open else Outcome()


def take(page: Page, details: Details) -> Outcome:
    """Make one of the pictures the shown origin; with ``then`` "run" the project is run with it."""
    require_project(page)
    scout, number = scout_of(page), text_of(details, "number", longest=6)
    found = next((one for one in scout.study.variants if str(one.number) == number), None) if scout else None
    made = scout.picture(found).artifact if scout and found else None
    if found is None or made is None:
        raise InputError("That picture is not there yet.", "Wait for it, or choose another one.")
    # First the picture: the origin that asks for it finds it made.
    adopt(made, page.opened.project.store)
    page.opened.project.set({f"origins.{the_origin(page).name}.source": "generate", **picture_of(found)})
    if details.get("then") == "run":
        started = run.run_all(page, details)
        return started if started.is_error else Outcome(page.texts("scout.taken_runs"), view=started.view)
    return Outcome(page.texts("scout.taken"))
