"""Reads a recipe file and finds everything that is wrong with it, with the line and what was probably meant."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarbool import ScalarBoolean

from filters.catalog import FILTERS, load_plugins, settings_of
from filters.filter import Filter
from filters.language_models import language_of
from pipeline import files
from pipeline.dedup.settings import SURVIVOR_FIELDS
from pipeline.models.settings import MODEL_KINDS, AnyModel
from pipeline.recipe import Chain, Recipe
from pipeline.sources.catalog import KINDS
from pipeline.sources.source import Source
from tokenizer.mixture import PUBLISHED


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a recipe, with its place and what to do."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class RecipeError(Exception):
    """The recipe can't be used; ``problems`` names everything that is wrong, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


DEFAULT_CHAINS: dict[str, list[Any]] = {
    "web": [{"language": {"keep": []}}, "gopher_repetition", "gopher_quality", "fineweb"],
    "reference": [{"language": {"keep": []}}, "gopher_repetition"],
    "code": ["code_quality"],
    "none": [],
}
"""The chains that a source gets by its kind where the recipe defines none of that name."""

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 16 << 20
"""A larger file is no recipe, but input or a model that was named in its place."""
MAX_VALUES = 1 << 20
"""Values in a recipe with every alias spelled out; a few lines of nested aliases could make more than memory holds."""


def load(path: str, paths: Mapping[str, Sequence[str]] | None = None) -> Recipe:
    """Read, check and resolve a recipe file. ``paths`` replaces the paths of the sources that it names.

    Raises RecipeError with every problem found, OSError when the file can't be read.
    """
    with files.open_read(path) as stream:
        written = stream.read(MAX_BYTES + 1)
    if len(written) > MAX_BYTES:
        raise RecipeError([Problem(f"{path}:1", f"larger than {MAX_BYTES >> 20} MiB: this is no recipe")])
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise RecipeError([Problem(f"{path}:{line}", "not UTF-8 text: save the recipe as UTF-8")]) from error
    return loads(text, path, paths)


def loads(text: str, name: str = "recipe", paths: Mapping[str, Sequence[str]] | None = None) -> Recipe:
    """``load`` for a recipe given as text; ``name`` is what messages call it."""
    try:
        reader = _Reader(name, YAML(typ="rt").load(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError([Problem(f"{name}:{line}", f"not valid YAML: {error.problem}")]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError([Problem(f"{name}:{line}", f"not valid YAML: {error.reason}")]) from error
    except RecursionError as error:
        raise RecipeError([Problem(f"{name}:1", "nested too deeply, or an alias that contains itself")]) from error
    except ValueError as error:  # what looks like a number or a date, but is none
        raise RecipeError([Problem(f"{name}:1", f"not valid YAML: {error}")]) from error
    return reader.recipe(paths or {})


def line_of(path: str, place: tuple[Any, ...]) -> int:
    """The line of a recipe file that holds a place in it, or the part of the place that is written there.

    For a recipe that ``load`` has read. Raises OSError when the file can't be read any more.
    """
    with files.open_read(path) as stream:
        text = stream.read(MAX_BYTES).decode("utf-8-sig")
    return _Reader(path, YAML(typ="rt").load(text)).line(place)


class _Reader:
    """Turns the YAML tree into a Recipe and collects problems with their lines on the way.

    ``marked`` is the tree as YAML gives it, which knows its lines; ``tree`` holds the same as ordinary values.
    """

    def __init__(self, name: str, marked: Any) -> None:
        self.name = name
        self.marked = marked
        self.problems: list[Problem] = []
        self.values = 0
        self.tree = self._plain(marked, ())

    def recipe(self, paths: Mapping[str, Sequence[str]]) -> Recipe:
        if not self.problems and not isinstance(self.tree, dict):
            self._problem((), "a recipe is a mapping with at least the key 'sources'")
        if self.problems:
            raise RecipeError(sorted(self.problems, key=_by_line))
        known = [*(key for key in Recipe.model_fields if key != "chains"), "filters"]
        for key in self.tree:
            if key not in known:
                self._problem((key,), f"unknown key {key!r}{_nearest(key, known)}")
        self._plugins()
        chains = self._chains()
        sources = self._sources(chains, paths)
        models = self._models(chains)
        sections = {key: self.tree[key] for key in self.tree if key in Recipe.model_fields and key != "sources"}
        sections |= {"models": models}
        used = {one.filters for one in (*sources, *models.values()) if one.filters}
        fields = sections | {"chains": {name: chain for name, chain in chains.items() if name in used}}
        recipe = self._make(Recipe, fields | {"sources": sources or (_PLACEHOLDER,)}, ())
        if recipe is not None:
            self._names(recipe)
        if self.problems or recipe is None:
            raise RecipeError(sorted(self.problems, key=_by_line))
        return recipe

    def _plain(self, node: Any, place: tuple[Any, ...]) -> Any:
        """The node as ordinary dicts, lists and scalars, with every alias spelled out."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise RecipeError([Problem(f"{self.name}:1", f"more than {MAX_VALUES} values, counting every alias")])
        tag = getattr(getattr(node, "tag", None), "value", None)
        if tag is not None:
            self._problem(place, f"the YAML tag {tag} means nothing in a recipe; write the plain value")
            return None
        if isinstance(node, dict):
            for key in node:
                if not isinstance(key, str):
                    self._problem((*place, key), "a key must be text; put it in quotes")
            return {str(key): self._plain(value, (*place, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [self._plain(value, (*place, index)) for index, value in enumerate(node)]
        if isinstance(node, ScalarBoolean):
            return bool(node)
        if isinstance(node, bool) or node is None:
            return node
        if isinstance(node, str):
            try:  # JSON writes characters beyond the first plane as two surrogates, and JSON is YAML
                return node.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError:
                self._problem(place, "holds half a surrogate pair, which is no character")
                return None
        for kind in (int, float):
            if isinstance(node, kind):
                return kind(node)
        self._problem(place, f"YAML reads this as {type(node).__name__}; if it is text, put it in quotes")
        return None

    def _plugins(self) -> None:
        written = self.tree.get("plugins")
        for index, module in enumerate(written if isinstance(written, list) else ()):
            if str(Path.cwd()) not in sys.path:
                sys.path.append(str(Path.cwd()))
            try:
                load_plugins([str(module)])
            except Exception as error:  # noqa: BLE001 - whatever a module raises, it can't be used
                self._problem(
                    ("plugins", index), f"plugin {module!r} can't be imported: {type(error).__name__}: {error}"
                )

    def _chains(self) -> dict[str, Chain]:
        written = self.tree.get("filters")
        if written is False:
            return dict.fromkeys(DEFAULT_CHAINS, ())
        if written is not None and not isinstance(written, dict):
            self._problem(("filters",), "is a mapping from chain names to lists of filters, or false")
            written = None
        chains = {
            name: self._chain(entries, None) for name, entries in DEFAULT_CHAINS.items() if name not in (written or {})
        }
        for name, entries in (written or {}).items():
            if not isinstance(entries, list):
                self._problem(("filters", name), "a chain is a list of filters")
                chains[str(name)] = ()
                continue
            chains[str(name)] = self._chain(entries, ("filters", name))
        return chains

    def _chain(self, entries: Sequence[Any], place: tuple[Any, ...] | None) -> Chain:
        chain = []
        for index, entry in enumerate(entries):
            here = (*place, index) if place else ()
            if isinstance(entry, str):
                name, settings = entry, dict[str, Any]()
            elif isinstance(entry, dict) and len(entry) == 1:
                ((name, settings),) = entry.items()
                here = (*here, name)
            else:
                self._problem(here, "a filter is its name, or a mapping of its name to its settings")
                continue
            if name not in FILTERS:
                self._problem(here, f"unknown filter {name!r}{_nearest(str(name), FILTERS)}")
                continue
            if not isinstance(settings, dict | None):
                self._problem(here, f"expected the filter's settings by name (found {settings!r:.80})")
                continue
            filter_ = self._make(FILTERS[name], settings or {}, here)
            if filter_ is not None:
                self._rules(filter_, here)
                chain.append(filter_)
        return tuple(chain)

    def _rules(self, filter_: Filter, here: tuple[Any, ...]) -> None:
        signals = {signal.name: signal for signal in filter_.signals}
        for rule in filter_.rules():
            if rule.signal not in signals:
                self._problem(here, f"rule {rule.reason}: no signal {rule.signal!r}{_nearest(rule.signal, signals)}")
                continue
            signal = signals[rule.signal]
            if rule.can_fire(signal) and not rule.always_fires(signal):
                continue
            setting = settings_of(filter_).get(rule.reason)
            what = "removes every document" if rule.can_fire(signal) else "can never fire"
            always = "always" if rule.can_fire(signal) else "never"
            self._problem(
                (*here, setting) if setting else here,
                f"rule {rule.reason} {what}: {rule.signal} lies between {signal.low:g} and {signal.high:g}, "
                f"{always} {rule.comparison} {rule.threshold:g}; set it to null to leave the rule out",
            )

    def _sources(self, chains: Mapping[str, Chain], paths: Mapping[str, Sequence[str]]) -> tuple[Source, ...]:
        written = self.tree.get("sources")
        if not isinstance(written, list) or not written:
            self._problem(("sources",), "a recipe needs a list of at least one source")
            return ()
        sources: list[Source] = []
        names = self._source_names()
        for index, entry in enumerate(written):
            here = ("sources", index)
            if not isinstance(entry, dict):
                self._problem(here, "a source is a mapping with name, kind and paths")
                continue
            fields = dict(entry)
            kind = fields.get("kind")
            if not isinstance(kind, str) or kind not in KINDS:
                wrong = f"unknown kind of source {kind!r:.80}" if "kind" in fields else "a source needs a kind"
                self._problem((*here, "kind"), wrong + _nearest(str(kind), KINDS))
                continue
            if isinstance(fields.get("paths"), str):
                fields["paths"] = [fields["paths"]]
            if str(fields.get("name")) in paths:
                fields["paths"] = list(paths[str(fields["name"])])
            if fields.get("filters") is False:
                fields["filters"] = "none"
            fields.setdefault("filters", KINDS[kind].default_chain)
            source = self._make(KINDS[kind], fields, here)
            if source is None:
                continue
            if source.filters and source.filters not in chains:
                self._problem(
                    (*here, "filters"), f"no filter chain {source.filters!r}{_nearest(source.filters, chains)}"
                )
            if source.name in {one.name for one in sources}:
                self._problem((*here, "name"), f"two sources are called {source.name!r}")
            sources.append(source)
        for name in paths:
            if name not in names:
                self._problem(
                    ("sources",), f"paths given for a source {name!r} that is not there{_nearest(name, names)}"
                )
        return tuple(sources)

    def _models(self, chains: Mapping[str, Chain]) -> dict[str, AnyModel]:
        """The models that the run is to train, and whether what they name is there."""
        written = self.tree.get("models")
        if written is not None and not isinstance(written, dict):
            self._problem(("models",), "is a mapping from names of models to their settings")
            return {}
        models: dict[str, AnyModel] = {}
        for name, fields in (written or {}).items():
            here = ("models", name)
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                self._problem(here, "the name of a model is made of letters, digits, - and _")
            kind = fields.get("kind") if isinstance(fields, dict) else None
            if not isinstance(kind, str) or kind not in MODEL_KINDS:
                self._problem(
                    (*here, "kind"), f"a model needs a kind (found {kind!r:.80}){_nearest(str(kind), MODEL_KINDS)}"
                )
                continue
            model = self._make(MODEL_KINDS[kind], fields, here)
            if model is not None:
                self._model_names(model, chains, list(written or {}), here)
                models[name] = model
        return models

    def _model_names(
        self, model: AnyModel, chains: Mapping[str, Chain], models: Sequence[str], here: tuple[Any, ...]
    ) -> None:
        """Whether the sources and the chain that a model names are there."""
        names = self._source_names()
        for key in ("sources", "like", "unlike"):
            for index, source in enumerate(getattr(model, key, ())):
                if source not in names:
                    self._problem((*here, key, index), f"no source {source!r}{_nearest(source, names)}")
        if model.filters is not None and model.filters not in chains:
            self._problem((*here, "filters"), f"no filter chain {model.filters!r}{_nearest(model.filters, chains)}")
        for filter_ in chains.get(model.filters or "", ()):
            if any(language_of(filter_.reads_model() or "", name) is not None for name in models):
                self._problem(
                    (*here, "filters"),
                    f"its filter {filter_.name} needs the model {filter_.reads_model()!r}, which is not there yet",
                )

    def _source_names(self) -> list[str]:
        """The names of the sources as written, whatever else may be wrong with them."""
        written = self.tree.get("sources")
        return [str(one.get("name")) for one in written if isinstance(one, dict)] if isinstance(written, list) else []

    def _names(self, recipe: Recipe) -> None:
        names = self._source_names()
        written = self.tree.get("filters")
        if isinstance(written, dict) and len(recipe.sources) == len(names):
            used = sorted({source.filters for source in recipe.sources if source.filters})
            drawn = {model.filters for model in recipe.models.values()}
            for chain in written:
                if chain not in used and chain not in drawn and chain not in DEFAULT_CHAINS:
                    known = ", ".join(used) or "none"
                    self._problem(("filters", chain), f"no source uses this chain; the sources use {known}")
        for name, chain in recipe.chains.items():
            for index, filter_ in enumerate(chain):
                for model in map(recipe.models.__getitem__, recipe.trains_for(filter_)):
                    if model.kind == filter_.model_kind:
                        continue
                    place = ("filters", name, index, filter_.name, "model")
                    self._problem(
                        place, f"{filter_.reads_model()!r} is a {model.kind} model; {filter_.model_kind} is needed"
                    )
        if recipe.mixture:
            wanted = PUBLISHED[recipe.mixture] if isinstance(recipe.mixture, str) else recipe.mixture
            for name in wanted:
                if name not in names:
                    at = ("mixture",) if isinstance(recipe.mixture, str) else ("mixture", name)
                    self._problem(at, f"no source {name!r}{_nearest(name, names)}")
        if recipe.dedup:
            for index, name in enumerate(recipe.dedup.priority):
                if name not in names:
                    self._problem(("dedup", "priority", index), f"no source {name!r}{_nearest(name, names)}")
            for index, name in enumerate((recipe.dedup.sentence and recipe.dedup.sentence.sources) or ()):
                if name not in names:
                    self._problem(("dedup", "sentence", "sources", index), f"no source {name!r}{_nearest(name, names)}")
            by = recipe.dedup.survivor.by
            if by not in (*SURVIVOR_FIELDS, *recipe.signals):
                self._problem(
                    ("dedup", "survivor", "by"),
                    f"no filter of the recipe measures {by!r}{_nearest(by, (*SURVIVOR_FIELDS, *recipe.signals))}",
                )
        if recipe.shards and not recipe.tokenizer:
            object.__setattr__(recipe, "shards", False)  # nothing to put into shards

    def _make(self, model: type[Model], fields: Mapping[str, Any], here: tuple[Any, ...]) -> Model | None:
        try:
            return model.model_validate(dict(fields))
        except ValidationError as error:
            for place, message in _told(error, model):
                self._problem((*here, *place), message)
            return None

    def _problem(self, place: tuple[Any, ...], message: str) -> None:
        dotted = ".".join(str(part) for part in place)
        self.problems.append(Problem(f"{self.name}:{self.line(place)}", f"{dotted}: {message}" if dotted else message))

    def line(self, place: tuple[Any, ...]) -> int:
        """The line of the deepest part of the place that the file holds."""
        node: Any = self.marked
        line = 1
        for part in place:
            try:
                marks = node.lc.key(part) if hasattr(node, "keys") else node.lc.item(part)
                line = marks[0] + 1
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return line


class _Unset(Source):
    """Stands in for sources that did not validate, so that the other sections are checked all the same."""

    kind: Literal["unset"] = "unset"


_PLACEHOLDER = _Unset(name="unset", paths=("unset",), filters=None)


def _told(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Place and message of what a person needs to hear of pydantic's errors.

    Where a section is settings or false, pydantic tells what speaks against either; only what is nearer to what was
    written is told. An error inside a value makes one about the value as a whole superfluous.
    """
    items = [(_readable(item), item) for item in error.errors(include_url=False)]
    for place, item in items:
        here = [other["type"] for where, other in items if where == place]
        inside = any(where[: len(place)] == place and len(where) > len(place) for where, _ in items)
        either = item["type"] in _CHOICE and len(here) > 1 and (item["type"] != "literal_error" or set(here) - _CHOICE)
        if not inside and not either:
            yield place, _message(item, model)


_CHOICE = {"model_type", "model_attributes_type", "literal_error"}
"""What pydantic says to a section that is neither settings nor false."""


def _readable(item: Mapping[str, Any]) -> tuple[int | str, ...]:
    """The place of a pydantic error without the names of union members and validators."""
    loc = item["loc"]
    kept = tuple(part for part in loc if isinstance(part, int) or re.fullmatch(r"[a-z][a-z0-9_]*", part))
    return kept if item["type"] != "extra_forbidden" or kept[-1:] == loc[-1:] else (*kept, loc[-1])


def _message(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    found = f" (found {item['input']!r:.80})"
    match item["type"]:
        case "extra_forbidden":
            return f"unknown key{_nearest(str(item['loc'][-1]), _section(model, item['loc']).model_fields)}"
        case "missing":
            return "is missing"
        case "tuple_type":
            return "expected a list" + found
        case "model_type" | "model_attributes_type":
            return "expected settings" + found
        case "literal_error" if item["ctx"].get("expected") == "False":
            return "expected settings, or false to leave the stage out" + found
    return str(item["msg"]).removeprefix("Value error, ") + found


def _section(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """The settings that a place lies in."""
    for part in loc[:-1]:
        if part in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
            for kind in (annotation, *getattr(annotation, "__args__", ())):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    model = kind
    return model


def _nearest(word: str, known: Any) -> str:
    """What was probably meant, as the end of a message."""
    names = sorted(str(name) for name in known)
    close = difflib.get_close_matches(word, names, 1, 0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= 30 else ""


def _by_line(problem: Problem) -> tuple[int, str]:
    return int(problem.place.rpartition(":")[2]), problem.message
