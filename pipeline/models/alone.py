"""Trains one model of a recipe without running the recipe: what `corpusmill models` does."""

from __future__ import annotations

import difflib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import files, links, plan
from pipeline.layout import Layout
from pipeline.models.draw import DrawSamples
from pipeline.models.settings import MODEL_KINDS
from pipeline.models.train import TrainModels
from pipeline.recipe import Recipe
from pipeline.run import Display, do
from pipeline.runners.runner import Runner
from pipeline.stage import Stage


class OnlyModel(Exception):  # noqa: N818
    """The model can't be trained as it was asked for; the message says what to change."""


def only(recipe: Recipe, kind: str, name: str, given: dict[str, Any]) -> Recipe:
    """The recipe with this one model, with the settings of that name in the recipe where it has one, changed by ``given``.

    Raises OnlyModel.
    """
    known = recipe.models.get(name)
    if known is not None and known.kind != kind:
        raise OnlyModel(f"the recipe's model {name!r} is a {known.kind} model; choose another --name")
    settings = (known.model_dump() if known else {}) | given
    fields = MODEL_KINDS[kind].model_fields
    for key in settings:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise OnlyModel(f"no setting {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    try:
        model = MODEL_KINDS[kind].model_validate(settings)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise OnlyModel(f"the model's settings: {told}") from error
    sources = {one.name for one in recipe.sources}
    asked = [*model.good, *(getattr(model, "unlike", ()))]
    for one in asked:
        if one not in sources:
            raise OnlyModel(f"the recipe has no source {one!r}; it has {', '.join(sorted(sources))}")
    if model.filters and model.filters not in recipe.chains:
        raise OnlyModel(f"no source of the recipe uses a chain {model.filters!r}; there are {', '.join(recipe.chains)}")
    return recipe.model_copy(update={"models": {name: model}})


def train(recipe: Recipe, layout: Layout, runner: Runner, display: Display) -> list[dict[str, Any]]:
    """Draw and train the recipe's models in a folder of their own, going on where an earlier call was stopped.

    Returns the rows of the files made. Raises NoInput, StageFailed.
    """
    planned = plan.make(recipe)
    written = json.dumps([recipe.as_written(), planned.stamp], sort_keys=True)
    before = hashlib.sha256(written.encode()).hexdigest()
    begun = layout.path("begun.json")
    if files.exists(begun) and files.read_json(begun) != before:
        shutil.rmtree(layout.out)
    Path(layout.out).mkdir(parents=True, exist_ok=True)
    files.write_json(begun, before)
    plan.save(planned, layout)
    stages: list[Callable[[], Stage]] = []
    if links.selecting(recipe):
        stages += [lambda: links.ReadLinks(recipe, layout), lambda: links.MergeLinks(recipe, layout)]
    stages += [lambda: DrawSamples(recipe, layout), lambda: TrainModels(recipe, layout)]
    commits: list[dict[str, Any]] = []
    for make in stages:
        commits, before = do(make(), layout, runner, display, before)
    return [one for commit in commits for one in commit["outputs"]]
