"""Writes the pages of the documentation that follow from the code: the recipe reference and the filter reference.

``python -m docs.generate`` writes them, ``python -m docs.generate --check`` says whether they are up to date (exit code 1
if not). The text of the pages is that of the models: descriptions of fields, docstrings of classes and fields.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, BeforeValidator, ByteSize
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs import anchors
from filters import catalog
from filters.pii import PiiSettings
from pipeline.dedup.settings import Benchmark, Boilerplate, Decontaminate, Dedup, Near, Sentence, Survivor
from pipeline.models.settings import PerplexityModel, QualityModel
from pipeline.recipe import Alarms, Limits, Recipe, Shards
from pipeline.recipe_file import DEFAULT_CHAINS
from pipeline.sizes import parse_size
from pipeline.sources.catalog import KINDS
from pipeline.sources.crawl.selection import Links
from pipeline.sources.source import Source
from tokenizer.bpe import TokenizerSettings

FOLDER = Path(__file__).resolve().parent

MEANINGS: Mapping[str, str] = {
    "Recipe.name": "what the run is called in the terminal and in the report",
    "Recipe.plugins": "modules with filters of your own, imported from the current folder or from what is installed",
    "Recipe.sources": "what is read; see [sources](#sources)",
    "Recipe.filters": "chains of filters by name, or `false` for no filters at all; see [filters](#filters)",
    "Recipe.measure_removed": "whether a document that a filter has removed is still measured by the filters after it, "
    "so that its signals are complete",
    "Recipe.models": "models that the run trains for its filters; see [models](#models)",
    "Recipe.dedup": "which duplicates are removed; see [dedup](#dedup)",
    "Recipe.pii": "which personal data is replaced; see [pii](#pii)",
    "Recipe.tokenizer": "how the tokenizer is trained, or which one is taken; see [tokenizer](#tokenizer)",
    "Recipe.shards": "how the token shards are cut; see [shards](#shards)",
    "Recipe.limits": "what a worker may take; see [limits](#limits)",
    "Recipe.alarms": "how much may vanish before the run stops; see [alarms](#alarms)",
    "Source.kind": "what is read, one of the kinds below",
    "Source.filters": "the chain that its documents go through; without this key it is the default of the kind, "
    "with `null` or `false` there is none",
    "Dedup.exact": "whether documents with the same text (runs of white space count as one space) are removed",
    "Dedup.near": "near duplicates; see [dedup.near](#dedupnear)",
    "Dedup.sentence": "repeated spans of sentences; see [dedup.sentence](#dedupsentence)",
    "Near.bands": "bands of a signature; two documents are compared when one band is equal in both",
    "Near.rows": "values in a band; a signature has `bands` × `rows` values",
    "PerplexityModel.kind": "what is trained",
    "QualityModel.kind": "what is trained",
    "QualityModel.dimensions": "numbers for each word and n-gram",
    "Alarms.action": "`stop`: the run ends with exit code 1; `warn`: it says so and goes on",
    "Warc.extractor": "what takes the main content from HTML; `corpusmill` is ours, `everything` is all visible text",
    "CommonCrawl.extractor": "as for `warc`",
}
"""What the models do not say themselves of a key."""

DEFAULTS: Mapping[str, str] = {"Recipe.filters": "those below", "Source.filters": "by kind"}
"""Defaults that are worked out when a recipe is read."""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` compare them with what is there. Returns the exit code."""
    check = list(arguments) == ["--check"]
    if arguments and not check:
        print("usage: python -m docs.generate [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, text in {"recipe.md": recipe_page(), "filters.md": filters_page()}.items():
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"docs/{name} is not up to date: run python -m docs.generate", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name}")
    return int(check and stale > 0)


def filters_page() -> str:
    """The filter reference."""
    title, said, rest = catalog.documentation().split("\n\n", 2)
    names = ", ".join(f"[{name}](#{name})" for name in sorted(catalog.FILTERS))
    names += "; [values on known texts](#values-on-known-texts)"
    about = (
        f"{said} Written by `python -m docs.generate`. How to use filters in a recipe: "
        "[recipe reference](recipe.md#filters). How to write one: [guide](guide.md#a-filter-of-your-own)."
    )
    return "\n\n".join([title, about, names, rest.rstrip("\n"), anchors.section()])


def recipe_page() -> str:
    """The recipe reference."""
    parts = [
        "# Recipe",
        "Generated from the recipe's models by `python -m docs.generate`. How to write a recipe step by step: "
        "[guide](guide.md#a-recipe-step-by-step).",
        "A recipe is a YAML file. Only `sources` is required. A section that is left out has the defaults below; `dedup`, "
        "`dedup.near`, `dedup.sentence`, `pii`, `tokenizer` and `shards` may be `false`, and then that stage is not run. "
        "An unknown key, filter or source is an error, and so is a rule that can never fire; `corpusmill check` finds them "
        "all before anything runs.",
        "A *size* is a number of bytes or a text such as `512MiB` or `2GB` (kB, MB, GB, TB are powers of 1000; KiB, MiB, "
        "GiB, TiB of 1024).",
        _table(Recipe, rename={"chains": "filters"}),
        "## sources",
        "A list; every entry is one source. The name of a source is the name of its folder in the output.",
        _table(Source),
        *(part for kind in KINDS.values() for part in _kind(kind)),
        *_section("select", Links),
        "## filters",
        _filters(),
        "## models",
        "A mapping of models that the run trains before it filters: a name, and the settings of its `kind`. A filter uses "
        "one by giving its name as `model`. How they are made, and what is stored with them: [models](models.md).",
        *_section("kind: perplexity", PerplexityModel, level=3),
        *_section("kind: quality", QualityModel, level=3),
        *_section("dedup", Dedup),
        *_section("dedup.near", Near, level=3),
        *_section("dedup.sentence", Sentence, level=3),
        *_section("dedup.sentence.boilerplate", Boilerplate, level=4),
        *_section("dedup.survivor", Survivor, level=3),
        *_section("dedup.decontaminate", Decontaminate, level=3),
        *_section("dedup.decontaminate.benchmarks", Benchmark, level=4),
        *_section("pii", PiiSettings),
        *_section("tokenizer", TokenizerSettings),
        *_section("shards", Shards),
        *_section("limits", Limits),
        *_section("alarms", Alarms),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, model: type[BaseModel], level: int = 2) -> list[str]:
    return [f"{'#' * level} {title}", _docstring(model), _table(model)]


def _kind(kind: type[Source]) -> list[str]:
    name = kind.model_fields["kind"].default
    own = {key: field for key, field in kind.model_fields.items() if key not in Source.model_fields}
    parts = [
        f"### kind: {name}",
        f"{_docstring(kind)}\n\nReads {kind.reads}. Default chain: `{kind.default_chain}`.",
    ]
    return [*parts, _rows(kind, own)] if own else parts


def _filters() -> str:
    chains = "\n".join(
        f"  {name}: [{', '.join(entry if isinstance(entry, str) else _yaml(entry) for entry in chain)}]"
        for name, chain in DEFAULT_CHAINS.items()
    )
    return (
        "A mapping of chains: a name, and a list of filters that are applied in that order. A source names its chain in "
        "`filters`. A filter is its name, or its name with settings; what is not set keeps its default, and a threshold set "
        "to `null` is a rule left out. Every filter, its settings, signals and rules: [filters](filters.md).\n\n"
        "These chains are there without being written; a recipe that defines one of the same name replaces it.\n\n"
        f"```yaml\nfilters:\n{chains}\n```"
    )


def _docstring(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").replace("``", "`")


def _table(model: type[BaseModel], rename: Mapping[str, str] | None = None) -> str:
    names = rename or {}
    return _rows(model, {names.get(name, name): field for name, field in model.model_fields.items()})


def _rows(model: type[BaseModel], fields: Mapping[str, FieldInfo]) -> str:
    said = _field_docstrings(model)
    lines = ["| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in fields.items():
        place = f"{model.__name__}.{name}"
        meaning = MEANINGS.get(place) or field.description or said.get(name)
        if not meaning:
            raise LookupError(f"nothing says what {place} means: give the field a description")
        cells = (f"`{name}`", _type(field), DEFAULTS.get(place) or _default(field), _sentence(meaning))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _sentence(text: str) -> str:
    """A meaning as all cells have it: one line, no capital at its beginning, no full stop, no stray emphasis."""
    line = " ".join(text.replace("``", "`").split()).removesuffix(".")
    return line[:1].lower() + (line[1:] if "`" in line else line[1:].replace("*", "\\*"))


def _field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand below fields in the class's source."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            found[field.target.id] = inspect.cleandoc(text)
    return found


def _is_size(field: FieldInfo) -> bool:
    parsed = any(isinstance(one, BeforeValidator) and one.func is parse_size for one in field.metadata)
    return parsed or field.annotation is ByteSize


def _type(field: FieldInfo) -> str:
    if _is_size(field):
        return "size"
    return _name(field.annotation) + _bounds(field.metadata)


def _name(kind: Any) -> str:
    """A type in the words of someone who writes YAML."""
    plain = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", types.NoneType: "`null`"}
    if kind in plain:
        return plain[kind]
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return "section"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _name(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{_yaml(value)}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_name, arguments))
    if origin is tuple:
        inside = arguments[0]
        return "list" if inspect.isclass(inside) and issubclass(inside, BaseModel) else f"list of {_name(inside)}"
    if origin is dict:
        return "mapping"
    raise LookupError(f"no name for the type {kind}")


def _bounds(metadata: Sequence[Any]) -> str:
    low: Any = next((one.ge for one in metadata if isinstance(one, annotated_types.Ge)), None)
    high: Any = next((one.le for one in metadata if isinstance(one, annotated_types.Le)), None)
    above: Any = next((one.gt for one in metadata if isinstance(one, annotated_types.Gt)), None)
    if above is not None:
        return f", above {above:g}"
    if low is not None and high is not None:
        return f", {low:g} to {high:,g}"
    if low is not None:
        return f", {low:g} or more"
    return "" if high is None else f", {high:,.0f} or less"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "the defaults"
    if _is_size(field):
        return f"`{_size(value)}`"
    return f"`{_yaml(value)}`"


def _size(count: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count % (1 << power) == 0:
            return f"{count >> power}{unit}"
    return str(count)


def _yaml(value: Any) -> str:
    """A value in YAML's flow style."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    return f"{value}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
