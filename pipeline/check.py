"""Everything that can be known about a recipe before it runs, beyond what loading it already checks."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table

from filters.filter import Judge
from pipeline import files, plan
from pipeline.dedup import benchmarks, reference
from pipeline.models import kenlm_tools
from pipeline.recipe import Recipe
from tokenizer.encode import encoder_of


def problems(recipe: Recipe) -> Iterator[str]:
    """Models that are missing or don't load, sources without files, a tokenizer.json that can't be used."""
    for source in recipe.sources:
        try:
            if not source.find():
                yield f"source {source.name!r}: no file matches {', '.join(source.paths)}"
            besides = source.reads_besides()
            if besides and not any(files.find(pattern) for pattern in besides):
                yield f"source {source.name!r}: no file matches {', '.join(besides)}"
        except OSError as error:
            yield f"source {source.name!r}: {error}"
    if recipe.dedup:
        yield from reference.problems(recipe.dedup)
    for benchmark in recipe.benchmarks:
        try:
            next(iter(benchmarks.items_of(benchmark)), None)
        except (OSError, ValueError) as error:
            yield f"dedup.decontaminate: {error}"
    for name, chain in recipe.chains.items():
        for filter_ in chain:
            if recipe.trains_for(filter_):
                continue
            missing = [path for path in filter_.files() if not files.exists(path)]
            for path in missing:
                yield f"filters.{name}.{filter_.name}: no file {path}"
            if not missing:
                try:
                    Judge(filter_)
                except (OSError, ValueError, RuntimeError) as error:
                    yield f"filters.{name}.{filter_.name}: {error}"
    for name, model in recipe.models.items():
        if model.kind == "perplexity" and (problem := kenlm_tools.missing()):
            yield f"models.{name}: {problem}"
    if recipe.tokenizer and recipe.tokenizer.path:
        try:
            with files.open_read(recipe.tokenizer.path) as stream:
                encoder_of(stream.read())
        except ValueError as error:
            yield f"tokenizer.path: {recipe.tokenizer.path}: {error}"
        except OSError as error:
            yield f"tokenizer.path: {error}"


def summary(recipe: Recipe) -> Group:
    """What the recipe would do: files, bytes, splits and filters of each source."""
    planned = plan.make(recipe)
    table = Table(title=f"{recipe.name}: ready to run", title_justify="left", header_style="bold")
    for name in ("source", "kind", "files", "MB", "splits", "filters"):
        table.add_column(name, justify="right" if name in ("files", "MB", "splits") else "left")
    for source in recipe.sources:
        splits = [split for split in planned.splits if split.source == source.name]
        paths = {part.path for split in splits for part in split.parts}
        size = sum(split.size for split in splits) / 1e6
        chain = " → ".join(filter_.name for filter_ in recipe.chain(source)) or "none"
        table.add_row(source.name, source.kind, f"{len(paths):,}", f"{size:,.1f}", f"{len(splits):,}", chain)
    return Group(table, f"recipe digest {recipe.digest[:16]}")
