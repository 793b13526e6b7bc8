"""The recipe: what a user writes, checked as a whole, with every default filled in and a digest of the result."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarbool import ScalarBoolean

from filters.catalog import FILTERS
from filters.filter import Filter
from filters.pii import PiiSettings
from pipeline import files
from pipeline.sources.catalog import KINDS
from pipeline.sources.source import Source
from tokenizer.bpe import TokenizerSettings

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def parse_size(value: Any) -> Any:
    """Bytes from a number or a text like ``16MiB`` or ``2 GB``. Raises ValueError."""
    if not isinstance(value, str | bool):
        return value
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)\s*", str(value))
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"not a size: {value!r:.80}; write for example 512MiB or 4GiB")
    return int(float(match[1]) * _UNITS[match[2]])


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Near(_Section):
    """Near-duplicate documents by MinHash LSH (Broder 1997; parameters of FineWeb).

    Two documents are candidates when they share a band. P(candidate) at Jaccard s is 1 - (1 - s^rows)^bands: for 14 bands
    of 8 rows .05 at s = .5, .57 at .7, .92 at .8 and .9996 at .9.
    """

    ngram: int = Field(5, ge=1, le=50, description="words in a shingle")
    bands: int = Field(14, ge=1, le=1000)
    rows: int = Field(8, ge=1, le=1000)
    min_similarity: float = Field(
        0.75, ge=0, le=1, description="share of equal signature values that makes a duplicate"
    )
    seed: int = Field(1, ge=0, description="of the permutations, as in datasketch.MinHash(seed=…)")

    @property
    def permutations(self) -> int:
        """Length of a signature."""
        return self.bands * self.rows


class Sentence(_Section):
    """Repeated spans of sentences are cut wherever they occur again (C4 cuts spans of three)."""

    span: int = Field(3, ge=1, le=100, description="sentences in a span")
    min_words: int = Field(50, ge=0, description="a document that lost something and keeps fewer words is removed")
    sources: tuple[str, ...] | None = Field(
        None, description="sources it applies to; null: all that hold prose (not code)"
    )


class Dedup(_Section):
    """Which duplicates are removed, and which of several survives."""

    exact: bool = True
    near: Near | Literal[False] = Near()
    sentence: Sentence | Literal[False] = Sentence()
    priority: tuple[str, ...] = Field((), description="sources, most valued first; unnamed ones follow in recipe order")


class Shards(_Section):
    """How the token shards are cut."""

    validation: float = Field(0.005, ge=0, le=1, description="share of documents held out, by keyed hash of the id")
    size: Size = Field(1 << 28, description="text per shard, about")
    seed: int = Field(0, ge=0, lt=1 << 64, description="of the keyed hash that places and orders documents")


class Limits(_Section):
    """What one worker may take, so that hostile or damaged input costs itself and nothing else."""

    memory: Size = Field(4 << 30, description="for the dedup tables of all workers together")
    split: Size = Field(32 << 20, description="input bytes in one unit of work")
    record: Size = Field(16 << 20, description="unpacked bytes of one record; larger ones fail")
    batch_documents: int = Field(2048, ge=1, description="documents in one batch and one output file")
    batch_text: Size = Field(32 << 20, description="characters in one batch and one output file")
    record_seconds: float = Field(
        60, gt=0, description="time for one record before its worker is stopped (local runner)"
    )
    attempts: int = Field(2, ge=1, description="how often a record may stop its worker before it counts as failed")


class Alarms(_Section):
    """How much may vanish before the run stops: what removes nearly everything is usually a mistake."""

    source_removed: float = Field(
        0.999, ge=0, le=1, description="largest share of a source's documents its filters may remove"
    )
    dedup_removed: float = Field(0.9, ge=0, le=1, description="largest share of documents that dedup may remove")
    min_documents: int = Field(1000, ge=0, description="smaller sources raise no alarm")
    action: Literal["stop", "warn"] = "stop"


Chain = tuple[Filter, ...]


class Recipe(_Section):
    """A whole recipe, resolved. Made by ``load``; ``digest`` identifies it everywhere."""

    name: str = Field("corpus", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    plugins: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    chains: dict[str, Chain] = Field(default_factory=dict)
    measure_removed: bool = False
    dedup: Dedup | Literal[False] = Dedup()
    pii: PiiSettings | Literal[False] = PiiSettings()
    tokenizer: TokenizerSettings | Literal[False] = TokenizerSettings()
    shards: Shards | Literal[False] = Shards()
    limits: Limits = Limits()
    alarms: Alarms = Alarms()

    def chain(self, source: Source) -> Chain:
        """The filters that a source's documents go through."""
        return self.chains[source.filters] if source.filters else ()

    @functools.cached_property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals that any chain measures, sorted: the columns of every document table."""
        names = {signal.name for chain in self.chains.values() for filter_ in chain for signal in filter_.signals}
        return tuple(sorted(names))

    def priority(self, source: str) -> int:
        """Rank of a source where duplicates lie in several: 0 survives first."""
        order = list(self.dedup.priority) if self.dedup else []
        order += [one.name for one in self.sources if one.name not in order]
        return order.index(source)

    def sentence_sources(self) -> frozenset[str]:
        """Names of the sources in which repeated sentence spans are cut."""
        if not self.dedup or not self.dedup.sentence:
            return frozenset()
        if self.dedup.sentence.sources is not None:
            return frozenset(self.dedup.sentence.sources)
        return frozenset(source.name for source in self.sources if source.prose)

    def as_written(self) -> dict[str, Any]:
        """The recipe as a user could have written it, with every default filled in."""
        out = self.model_dump(mode="json", exclude={"sources", "chains"})
        out["sources"] = [source.model_dump(mode="json") for source in self.sources]
        out["filters"] = {
            name: [{filter_.name: filter_.model_dump(mode="json")} for filter_ in chain]
            for name, chain in self.chains.items()
        }
        return out

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the resolved recipe and of the models, lists and plugins that it names (not of its input).

        The alarms are left out: they change no output, and who loosens one goes on where it stopped the run.
        """
        models = {
            path: files.sha256_of(path)[1] for chain in self.chains.values() for one in chain for path in one.files()
        }
        if self.tokenizer and self.tokenizer.path:
            models[self.tokenizer.path] = files.sha256_of(self.tokenizer.path)[1]
        for name in self.plugins:
            module = sys.modules.get(name) or importlib.import_module(name)
            if module.__file__:
                models[name] = files.sha256_of(module.__file__)[1]
        made = {key: value for key, value in self.as_written().items() if key != "alarms"}
        written = json.dumps([made, models], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()


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
        sections = {key: self.tree[key] for key in self.tree if key in Recipe.model_fields and key not in ("sources",)}
        used = {source.filters for source in sources if source.filters}
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
                importlib.import_module(str(module))
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
                self._rules(filter_, settings or {}, here)
                chain.append(filter_)
        return tuple(chain)

    def _rules(self, filter_: Filter, settings: Mapping[str, Any], here: tuple[Any, ...]) -> None:
        signals = {signal.name: signal for signal in filter_.signals}
        for rule in filter_.rules():
            if rule.signal not in signals:
                self._problem(here, f"rule {rule.reason}: no signal {rule.signal!r}{_nearest(rule.signal, signals)}")
            elif not rule.can_fire(signals[rule.signal]):
                signal = signals[rule.signal]
                thresholds = [name for name in settings if getattr(filter_, name) == rule.threshold]
                self._problem(
                    (*here, *thresholds) if len(thresholds) == 1 else here,
                    f"rule {rule.reason} can never fire: {rule.signal} lies between {signal.low:g} and {signal.high:g}, "
                    f"never {rule.comparison} {rule.threshold:g}; set it to null to leave the rule out",
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

    def _source_names(self) -> list[str]:
        """The names of the sources as written, whatever else may be wrong with them."""
        written = self.tree.get("sources")
        return [str(one.get("name")) for one in written if isinstance(one, dict)] if isinstance(written, list) else []

    def _names(self, recipe: Recipe) -> None:
        names = self._source_names()
        written = self.tree.get("filters")
        if isinstance(written, dict) and len(recipe.sources) == len(names):
            used = sorted({source.filters for source in recipe.sources if source.filters})
            for chain in written:
                if chain not in used and chain not in DEFAULT_CHAINS:
                    known = ", ".join(used) or "none"
                    self._problem(("filters", chain), f"no source uses this chain; the sources use {known}")
        if recipe.dedup:
            for index, name in enumerate(recipe.dedup.priority):
                if name not in names:
                    self._problem(("dedup", "priority", index), f"no source {name!r}{_nearest(name, names)}")
            for index, name in enumerate((recipe.dedup.sentence and recipe.dedup.sentence.sources) or ()):
                if name not in names:
                    self._problem(("dedup", "sentence", "sources", index), f"no source {name!r}{_nearest(name, names)}")
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
        self.problems.append(Problem(f"{self.name}:{self._line(place)}", f"{dotted}: {message}" if dotted else message))

    def _line(self, place: tuple[Any, ...]) -> int:
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
