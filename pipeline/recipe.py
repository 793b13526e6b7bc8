"""The recipe as a value: its sections with their defaults, and the digest that identifies it everywhere."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from filters.filter import Filter
from filters.language_models import language_of
from filters.pii import PiiSettings
from pipeline import files
from pipeline.dedup.settings import Benchmark, Dedup
from pipeline.layout import Layout
from pipeline.models.settings import AnyModel
from pipeline.sizes import Size
from pipeline.sources.source import Source
from tokenizer.bpe import TokenizerSettings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
        60, gt=0, description="time for one record before its worker is stopped (workers on this machine)"
    )
    attempts: int = Field(2, ge=1, description="how often a record may stop its worker before it counts as failed")


class Alarms(_Section):
    """How much may vanish before the run stops: what removes nearly everything is usually a mistake."""

    source_removed: float = Field(
        0.999,
        ge=0,
        le=1,
        description="largest share of a source's documents its filters may remove; as all below, by source",
    )
    dedup_removed: float = Field(0.9, ge=0, le=1, description="largest share of documents that dedup may remove in all")
    exact_removed: float = Field(0.8, ge=0, le=1, description="largest share that are exact duplicates")
    url_removed: float = Field(0.8, ge=0, le=1, description="largest share that have the address of another")
    near_removed: float = Field(0.7, ge=0, le=1, description="largest share that are near-duplicates")
    sentence_removed: float = Field(
        0.5, ge=0, le=1, description="largest share that are removed because too little of them is left"
    )
    text_cut: float = Field(
        0.5, ge=0, le=1, description="largest share of the text of documents that may be cut as repeated or boilerplate"
    )
    benchmark_removed: float = Field(0.05, ge=0, le=1, description="largest share that hold benchmark items")
    min_documents: int = Field(1000, ge=0, description="smaller sources raise no alarm")
    intended: tuple[str, ...] = Field(
        (),
        description="reasons of rules that may remove every good document of the built-in sample, on which rules are tried",
    )
    action: Literal["stop", "warn"] = "stop"


Chain = tuple[Filter, ...]

MODEL_ENDINGS = {"perplexity": ".arpa.bin", "quality": ".bin"}
"""How the file ends that a filter is given of a trained model, by its kind."""


class Recipe(_Section):
    """A whole recipe, resolved. Made by ``load``; ``digest`` identifies it everywhere."""

    name: str = Field("corpus", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    plugins: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(min_length=1)
    chains: dict[str, Chain] = Field(default_factory=dict)
    measure_removed: bool = False
    models: dict[str, AnyModel] = Field(default_factory=dict)
    dedup: Dedup | Literal[False] = Dedup()
    pii: PiiSettings | Literal[False] = PiiSettings()
    mixture: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | Literal["llama", "palm", "gpt3"] | None = (
        Field(
            None,
            description="how much of each source a model is to read: weights by source, or a published table where the sources "
            "have its names; the tokenizer's sample is drawn so, and the loader mixes so unless told otherwise. null: by size",
        )
    )
    tokenizer: TokenizerSettings | Literal[False] = TokenizerSettings()
    shards: Shards | Literal[False] = Shards()
    limits: Limits = Limits()
    alarms: Alarms = Alarms()

    def chain(self, source: Source) -> Chain:
        """The filters that a source's documents go through."""
        return self.chains[source.filters] if source.filters else ()

    def chain_at_work(self, source: Source, layout: Layout) -> Chain:
        """The same, each filter reading its model where the run has trained that."""
        places = {name: layout.model(name, MODEL_ENDINGS[one.kind]) for name, one in self.models.items()}
        return tuple(filter_.with_models(places) for filter_ in self.chain(source))

    def trains_for(self, filter_: Filter) -> tuple[str, ...]:
        """The names of the models that the run trains for a filter: several where it names one for each language."""
        wanted = filter_.reads_model() or ""
        return tuple(name for name in self.models if language_of(wanted, name) is not None)

    @functools.cached_property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals that any source's chain measures, sorted: the columns of every document table."""
        chains = [
            self.chains.get(source.filters or "", ()) for source in self.sources
        ]  # a wrong name is told elsewhere
        names = {signal.name for chain in chains for filter_ in chain for signal in filter_.signals}
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

    @property
    def benchmarks(self) -> tuple[Benchmark, ...]:
        """The test sets that the corpus must not contain."""
        return self.dedup.decontaminate.benchmarks if self.dedup and self.dedup.decontaminate else ()

    @functools.cached_property
    def references(self) -> dict[str, str]:
        """The runs that this one is deduplicated against, each with the SHA-256 of its manifest."""
        folders = self.dedup.reference if self.dedup else ()
        return {out: files.sha256_of(Layout.of(out).manifest)[1] for out in folders}

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
        """SHA-256 of the resolved recipe and of the models, lists, benchmarks, references and plugins that it names (not of its input).

        The alarms are left out: they change no output, and who loosens one goes on where it stopped the run.
        """
        given = [one for chain in self.chains.values() for one in chain if not self.trains_for(one)]
        models = {path: files.sha256_of(path)[1] for one in given for path in one.files()}
        if self.tokenizer and self.tokenizer.path:
            models[self.tokenizer.path] = files.sha256_of(self.tokenizer.path)[1]
        for pattern in [path for one in self.benchmarks for path in one.paths]:
            models |= {one.path: files.sha256_of(one.path)[1] for one in files.find(pattern)}
        models |= self.references
        for name in self.plugins:
            module = sys.modules.get(name) or importlib.import_module(name)
            if module.__file__:
                models[name] = files.sha256_of(module.__file__)[1]
        made = {key: value for key, value in self.as_written().items() if key != "alarms"}
        written = json.dumps([made, models], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()
