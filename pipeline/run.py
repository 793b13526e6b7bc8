"""Runs a recipe: the stages in order, each skipped where its marker says that it is done, then manifest and report."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from pipeline import alarms, files, links, manifest, plan
from pipeline.dedup import inputs
from pipeline.dedup.decide import Decide
from pipeline.dedup.find import FindRepeats
from pipeline.dedup.index_benchmarks import IndexBenchmarks
from pipeline.dedup.key_table import Level
from pipeline.dedup.settings import KEYS_VERSION, Dedup
from pipeline.dedup.verify import Verify
from pipeline.finish import Finish
from pipeline.layout import STATE, Layout
from pipeline.models.draw import DrawSamples
from pipeline.models.train import TrainModels
from pipeline.plan import Plan
from pipeline.prepare import Prepare
from pipeline.recipe import Recipe
from pipeline.runners.runner import Runner, Watcher
from pipeline.stage import Stage, commits_of
from pipeline.tokens.count import CountWords
from pipeline.tokens.encode import Encode
from pipeline.tokens.pack import Pack
from pipeline.tokens.train import Train
from tokenizer import mixture

Commits = dict[str, list[dict[str, Any]]]


class OtherRun(Exception):  # noqa: N818
    """The output folder holds something that this run must not mix with."""


class Display(Protocol):
    """Shows a run as it goes."""

    def stage(self, stage: Stage, items: int, done: int) -> contextlib.AbstractContextManager[Watcher]:
        """A stage begins, with so many items in all and so many done in an earlier run."""

    def note(self, message: str) -> None:
        """Something a user should know."""


def run(recipe: Recipe, out: str, runner: Runner, display: Display, fresh: bool = False) -> dict[str, Any]:
    """Run a recipe into an output folder, or go on where an earlier run was stopped. Returns the manifest.

    Raises OtherRun when the folder holds another recipe's or another input's run (``fresh`` deletes that first),
    NoInput, StageFailed, alarms.Implausible.
    """
    layout = Layout.of(out)
    if any(Path(layout.out).resolve() == Path(Layout.of(one).out).resolve() for one in recipe.references):
        raise OtherRun(f"{layout.out} is a reference of the recipe; a run can't be its own. Use another --output.")
    with _locked(layout):
        if fresh and files.exists(layout.run):
            _clear(layout)
        planned = plan.make(recipe)
        _begin(recipe, planned, layout)
        _sweep(layout)
        plan.save(planned, layout)
        if files.exists(layout.manifest):
            display.note("nothing to do: this run is already finished")
            return manifest.read(layout)
        commits: Commits = {}
        before = hashlib.sha256(f"{recipe.digest} {planned.digest}".encode()).hexdigest()
        for make in _stages(recipe, layout):
            stage = make(commits)
            commits[stage.name], before = do(stage, layout, runner, display, before)
            for warning in alarms.check(recipe, stage.name, commits):
                display.note(warning)
        _sweep(layout)
        made = manifest.make(recipe, planned, layout, commits)
        from pipeline.report import page

        written = page.write(recipe, layout, made)
        made["files"] = sorted([*made["files"], *written], key=lambda one: one["path"])
        files.write_json(layout.manifest, made)
        files.remove(layout.work(""))
        return made


def _stages(recipe: Recipe, layout: Layout) -> Iterator[Callable[[Commits], Stage]]:
    """The stages of a recipe, in order. Each is made from the commits of those before it."""
    if links.selecting(recipe):
        yield lambda _: links.ReadLinks(recipe, layout)
        yield lambda _: links.MergeLinks(recipe, layout)
    if recipe.models:
        yield lambda _: DrawSamples(recipe, layout)
        yield lambda _: TrainModels(recipe, layout)
    dedup = recipe.dedup
    if dedup and dedup.decontaminate:
        benchmarks = dedup.decontaminate
        yield lambda _: IndexBenchmarks(benchmarks, layout)
    yield lambda _: Prepare(recipe, layout)
    if dedup:
        yield from _dedup_stages(recipe, dedup, layout)
    yield lambda commits: _finish(recipe, layout, commits)
    if recipe.tokenizer and not recipe.tokenizer.path:
        yield lambda _: CountWords(recipe, layout)
    if recipe.tokenizer:
        yield lambda _: Train(recipe, layout)
    if recipe.tokenizer and recipe.shards:
        yield lambda commits: Encode(recipe, layout, _texts(commits))
        yield lambda commits: Pack(recipe, layout, _texts(commits))


def _dedup_stages(recipe: Recipe, dedup: Dedup, layout: Layout) -> Iterator[Callable[[Commits], Stage]]:
    """The levels one after the other: each sees what those before it left."""
    levels: list[Level] = []
    levels += ["exact"] if dedup.exact else []
    levels += ["url"] if dedup.url else []
    levels += ["near"] if dedup.near else []
    levels += ["spans"] if dedup.sentence else []
    levels += ["boilerplate"] if dedup.boilerplate else []
    for level in levels:
        yield functools.partial(_find, recipe, dedup, layout, level)
        if level == "near":
            yield lambda _: Verify(recipe, layout, "pairs")
            yield lambda _: Decide(layout, "claims")
            yield lambda _: Verify(recipe, layout, "claims")
            yield lambda _: Decide(layout, "near")


def _finish(recipe: Recipe, layout: Layout, commits: Commits) -> Finish:
    if recipe.dedup:  # all levels may be off, and benchmarks looked for
        inputs.save(inputs.make(layout, recipe.dedup, commits["prepare"]), layout)
    return Finish(recipe, layout, _sample_rates(recipe, commits))


def _find(recipe: Recipe, dedup: Dedup, layout: Layout, level: Level, commits: Commits) -> FindRepeats:
    inputs.save(inputs.make(layout, dedup, commits["prepare"]), layout)
    return FindRepeats(recipe, layout, level)


def _sample_rates(recipe: Recipe, commits: Commits) -> dict[str, float]:
    """The share of each source's documents that the tokenizer is trained on: by the mixture, within the sample's bound."""
    if not recipe.tokenizer or recipe.tokenizer.path:
        return {}
    texts: Counter[str] = Counter()
    for commit in commits["prepare"]:
        texts[commit["item"].rpartition("/")[0]] += sum(one.get("text", 0) for one in commit["outputs"])
    texts += Counter()  # a source of which nothing is left is not drawn from
    wanted: Mapping[str, float] | str | None = recipe.mixture
    if wanted is not None:
        wanted = mixture.PUBLISHED[wanted] if isinstance(wanted, str) else wanted
        wanted = {name: weight for name, weight in wanted.items() if name in texts}
    if not texts or wanted == {}:
        return {}
    weights = mixture.weights(texts, wanted)
    return {name: min(1.0, float(weight) * recipe.tokenizer.sample / texts[name]) for name, weight in weights.items()}


def _texts(commits: Commits) -> dict[str, int]:
    """Bytes of text by source: what the number of shards is planned from."""
    found: dict[str, int] = {}
    for commit in commits["finish"]:
        for one in commit["outputs"]:
            if one["kind"] == "documents":
                found[one["source"]] = found.get(one["source"], 0) + one["text"]
    return found


def do(stage: Stage, layout: Layout, runner: Runner, display: Display, before: str) -> tuple[list[dict[str, Any]], str]:
    """Do what is left of a stage. Returns its commits, in item order, and the digest that the next stage starts from.

    ``before`` is the digest that the stage before it ended with. Raises StageFailed.
    """
    marker = layout.marker(stage.name)
    if files.exists(marker):
        done = files.read_json(marker)
        if done["inputs"] == before:
            return done["commits"], done["outputs"]
    items = stage.items()
    done_before = commits_of(layout, stage.name, items)
    waiting = [item for item, commit in zip(items, done_before, strict=True) if commit is None]
    with display.stage(stage, len(items), len(items) - len(waiting)) as watcher:
        if waiting:
            runner.run(stage, waiting, layout, watcher)
    commits = []
    for item, commit in zip(items, commits_of(layout, stage.name, items), strict=True):
        if commit is None:
            raise RuntimeError(f"stage {stage.name}: {item.name} left no commit behind")
        commits.append(commit)
    outputs = hashlib.sha256((before + json.dumps(commits, sort_keys=True)).encode()).hexdigest()
    files.write_json(marker, {"inputs": before, "outputs": outputs, "commits": commits})
    return commits, outputs


def _begin(recipe: Recipe, planned: Plan, layout: Layout) -> None:
    """Make sure that the folder is empty or holds this very run, and write down what the run is."""
    versions = manifest.versions() | {"dedup keys": str(KEYS_VERSION)}  # these change between releases too
    now = {"recipe": recipe.digest, "input": planned.stamp, "versions": versions}
    if files.exists(layout.run):
        then = files.read_json(layout.run)
        what = {
            "recipe": "another recipe, or this one with other settings or models",
            "input": "other input files, or some have changed since",
            "versions": _changed_versions(then.get("versions", {}), versions),
        }
        for key, difference in what.items():
            if then.get(key) != now[key]:
                raise OtherRun(
                    f"{layout.out} holds a run of {difference}. Add --fresh to start over, or use another --output."
                )
        return
    if _has_strangers(layout):
        raise OtherRun(f"{layout.out} is not empty and holds no run of corpusmill. Use another --output.")
    with files.replacing(layout.recipe) as written:
        written.stream.write(f"# resolved by corpusmill; digest {recipe.digest}\n".encode())
        YAML().dump(recipe.as_written(), written.stream)
    files.write_json(layout.run, now)


def _has_strangers(layout: Layout) -> bool:
    """Whether anything but our own state lies in the folder."""
    if files.is_remote(layout.out):
        return bool(files.find(layout.out))
    return any(path.name != STATE for path in Path(layout.out).iterdir())


def _changed_versions(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    changed = [f"{name} {then.get(name, '?')} (now {now[name]})" for name in now if then.get(name) != now[name]]
    return "other versions: " + ", ".join(changed)


def _sweep(layout: Layout) -> None:
    """Delete what a killed run or worker left half written."""
    if not files.is_remote(layout.out):
        for path in Path(layout.out).rglob(f".*{files.UNFINISHED}"):
            path.unlink()


def _clear(layout: Layout) -> None:
    """Delete a run. What lies in the folder besides stays."""
    ours: Sequence[str] = (
        "filtered", "removed", "failed", "keys", "duplicates", "documents", "models", "tokenizer", "shards", "report",
        "recipe.yaml", "manifest.json", f"{STATE}/commits", f"{STATE}/stages", f"{STATE}/work", f"{STATE}/run.json",
    )  # fmt: skip
    for name in ours:
        files.remove(layout.path(name))


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """Hold the folder's lock, so that two runs can't write into it at once (local folders only)."""
    if files.is_remote(layout.out):
        yield
        return
    Path(layout.lock).parent.mkdir(parents=True, exist_ok=True)
    with Path(layout.lock).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OtherRun(f"another corpusmill is running into {layout.out}: wait for it, or stop it") from error
        yield
