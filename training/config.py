"""What a training is, as a person writes it: one YAML file, checked whole before anything runs.

Counts of tokens may be written as 500k, 2.5B (powers of ten) or 512Ki, 1Mi (powers of two).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


class ConfigError(ValueError):
    """The config can't be used; ``problems`` names everything that is wrong, not only the first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def count(written: Any) -> Any:
    """A count as written (``2.5B``, ``512Ki``, 1000) as an integer; what is no such text is handed back as it is."""
    found = (
        re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*(k|M|B|T|Ki|Mi|Gi)?", written)
        if isinstance(written, str)
        else None
    )
    return round(float(found[1].replace("_", "")) * _UNITS[found[2] or ""]) if found else written


Count = Annotated[int, BeforeValidator(count), Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the config. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 4, "width": 128, "heads": 2, "hidden": 352},
    "124m": {"layers": 12, "width": 768, "heads": 6, "hidden": 2048},
    "350m": {"layers": 24, "width": 1024, "heads": 8, "hidden": 2688},
    "1.3b": {"layers": 24, "width": 2048, "heads": 16, "hidden": 5504},
}
"""Shapes by name: heads of 128, which attention kernels for Hopper like best, but for ``tiny``, which is for tests on a CPU.
Parameters with a vocabulary of 50,257 and tied embeddings: 124M, 350M, 1.32B. ``tiny`` has 0.8M besides its embedding."""


class ModelConfig(Section):
    """The Transformer: a preset, and whatever should differ from it."""

    preset: Literal["tiny", "124m", "350m", "1.3b"] = "124m"
    layers: Count
    width: Count
    heads: Count
    kv_heads: Count
    """Heads of keys and values, each shared by heads / kv_heads queries (grouped-query attention); as many as heads unless said."""
    hidden: Count
    """Width of the feed-forward layer."""
    activation: Literal["swiglu", "geglu"] = "swiglu"
    positions: Literal["rope", "alibi"] = "rope"
    rope_theta: float = Field(default=10_000.0, gt=1)
    tied: bool = True
    """Whether the head is the embedding."""
    objective: Literal["causal", "prefix"] = "causal"
    document_mask: bool = True
    """Whether attention stays within a document. A prefix is drawn for every document then, else for every sequence."""
    norm_eps: float = Field(default=1e-5, gt=0)
    vocabulary: Count | None = None
    """Token ids; what the shards say unless said."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        preset = PRESETS.get(str(written.get("preset", "124m")), PRESETS["124m"])
        fields = {**preset, **written}
        return {"kv_heads": fields["heads"], **fields}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width {self.width} must be an even multiple of heads {self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        return self

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def padded_vocabulary(self) -> int:
        """Rows of the embedding: the vocabulary, up to a multiple of 128, with which matrix kernels are fastest."""
        if self.vocabulary is None:
            raise ValueError("the vocabulary is not known yet: it comes from the shards")
        return -(-self.vocabulary // 128) * 128


class DataConfig(Section):
    """What is read: the shards of a finished run."""

    corpus: str
    """The folder or URL of a run."""
    sequence_length: Count = 1024
    micro_batch: Count = 8
    """Sequences that one rank reads at a time."""
    weights: dict[str, Annotated[float, Field(gt=0)]] | str | None = None
    """Shares of the sources; those of the run's recipe unless said."""
    seed: Annotated[int, Field(ge=0)] = 0
    mask_joins: bool = True
    """Take the first token of a document out of the loss, as nothing before it foretells it."""
    on_damage: Literal["stop", "skip"] = "stop"
    cache: str | None = None
    cache_bytes: Count = 8 << 30


class ScheduledGrowth(Section):
    """The batch grows at given places, counted in tokens trained on."""

    kind: Literal["schedule"]
    at: dict[Annotated[int, BeforeValidator(count), Field(ge=1)], Count]
    """From so many tokens on, batches of so many tokens."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        sizes = [size for _, size in sorted(self.at.items())]
        if not sizes or sizes != sorted(sizes):
            raise ValueError("give at least one size, and no size that is below an earlier one")
        return self


class NoiseGrowth(Section):
    """The batch doubles whenever the measured gradient noise scale says that a larger one costs little."""

    kind: Literal["noise"]
    most: Count
    """The batch never has more tokens."""
    every: Count = 1
    """Steps from measurement to measurement; each costs a norm of the gradient."""
    smoothing: float = Field(default=0.98, gt=0, lt=1)
    """Weight of the past in the running means."""
    factor: float = Field(default=1.0, gt=0)
    """The batch doubles when the doubled batch is at most ``factor`` times the noise scale."""
    least_measurements: Count = 20
    """Measurements before the batch grows, and between two growths."""


Growth = Annotated[ScheduledGrowth | NoiseGrowth, Field(discriminator="kind")]


class OptimizationConfig(Section):
    """How long, how fast and by which rule the parameters change."""

    tokens: Count
    """Tokens to train on."""
    batch_tokens: Count = 1 << 19
    """Tokens of a step, over all ranks and accumulation steps; the first size, if it grows."""
    growth: Growth | None = None
    optimizer: Literal["adamw", "muon"] = "adamw"
    """``muon`` takes the matrices of the layers; embeddings, head and norms stay with AdamW."""
    learning_rate: float = Field(default=6e-4, gt=0)
    betas: tuple[Share, Share] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    """On matrices only."""
    muon_momentum: Share = 0.95
    clip: float | None = Field(default=1.0, gt=0)
    """The largest global norm of a gradient."""
    schedule: Literal["cosine", "wsd"] = "cosine"
    warmup: Share | Count = 0.01
    """Linear warm-up: a share of the tokens if at most 1, else so many tokens."""
    decay: Share = 0.2
    """``wsd``: the share of the tokens at the end over which the rate falls linearly."""
    floor: Share = 0.1
    """The rate at the end, as a share of ``learning_rate``."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the first parameters, and of the prefixes."""

    @property
    def warmup_tokens(self) -> int:
        """Tokens over which the rate rises."""
        return round(self.warmup * self.tokens) if self.warmup <= 1 else round(self.warmup)


class CheckpointConfig(Section):
    """When the training is saved, and what is kept."""

    every: Count = 500
    """Steps from checkpoint to checkpoint."""
    keep: Annotated[int, Field(ge=2)] = 3
    """The newest so many are kept; two at least, as one may turn out to be damaged …"""
    keep_every: Count | None = None
    """… and one every so many steps for good."""
    keep_best: Annotated[int, Field(ge=0)] = 1
    """… and those with the lowest validation loss."""
    asynchronous: bool = True
    """Write while training goes on."""


class RecoveryConfig(Section):
    """What is a loss spike, which data is skipped after one, and how often a training may go back before it stops.

    Nothing is a spike during the warm-up of the learning rate, or while less than half a window of losses is known. A loss or
    gradient that is no number is trouble at any time.
    """

    window: Annotated[int, Field(ge=4)] = 128
    """Steps whose losses a new one is compared with."""
    deviations: float = Field(default=6.0, gt=0)
    """A loss is too high if it is so many standard deviations above the window's median, the deviation estimated by
    1.4826 times the median absolute deviation …"""
    rise: float = Field(default=0.2, ge=0)
    """… and above it by so many nats."""
    patience: Count = 3
    """So many steps in a row that are too high are a spike: one hard batch is none."""
    lookback: Annotated[int, Field(ge=0)] = 100
    """Go back to a checkpoint at least so many steps before the spike, as what caused it came before it …"""
    skip_before: Annotated[int, Field(ge=0)] = 100
    """… and leave out the data of so many steps before it, of the spike itself, …"""
    skip_after: Annotated[int, Field(ge=0)] = 100
    """… and of so many steps after it (PaLM: 200 to 500 batches in all)."""
    tries: Count = 3
    """How often to go back to the same checkpoint before stopping with a report."""


class WatchingConfig(Section):
    """What is reported, where, and how often."""

    every: Count = 10
    """Steps from progress line to progress line."""
    validate_every: Count | None = 250
    """Steps from validation to validation."""
    validation_tokens: Count = 1 << 20
    """Tokens of each source that a validation reads at most."""
    tensorboard: bool = True
    wandb: str | None = None
    """A Weights & Biases project."""
    prompts: tuple[str, ...] = ()
    """Texts that are continued at every validation."""


class ParallelConfig(Section):
    """How ranks share the work. How many there are is torchrun's business."""

    strategy: Literal["ddp", "zero2", "zero3"] = "ddp"
    """``ddp``: every rank has everything. ``zero2`` and ``zero3`` are FSDP2: gradients and optimizer states are sharded; with
    ``zero3`` parameters too, gathered again for the backward pass."""
    compile: bool | None = None
    """Compile the blocks; on a GPU unless said."""


class TrainConfig(Section):
    """A whole training."""

    output: str
    """Folder for checkpoints and logs."""
    data: DataConfig
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    optimization: OptimizationConfig
    precision: Literal["fp32", "bf16", "bf16-master", "fp16"] = "fp32"
    """``bf16``: autocast. ``bf16-master``: bf16 parameters and gradients with fp32 copies that the optimizer changes.
    ``fp16``: autocast with a gradient scaler."""
    parallel: ParallelConfig = ParallelConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    recovery: RecoveryConfig | Literal[False] = RecoveryConfig()
    watching: WatchingConfig = WatchingConfig()


def load(path: str | Path) -> TrainConfig:
    """Read and check a config file. Raises ConfigError with every problem, OSError where the file can't be read."""
    return loads(Path(path).read_text(encoding="utf-8-sig"), str(path))


def loads(text: str, name: str = "config") -> TrainConfig:
    """``load`` for a config given as text; ``name`` is what messages call it."""
    try:
        tree = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([f"{name}: not valid YAML: {error}"]) from error
    if not isinstance(tree, dict):
        raise ConfigError([f"{name}: a config is a mapping with at least output, data and optimization"])
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([f"{name}: {one}" for one in _told(error)]) from error


def _told(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        if item["loc"][-1] == "literal[False]" and isinstance(item["input"], Mapping):
            continue  # settings were meant, and what is wrong with them is told
        place = tuple(part for i, part in enumerate(item["loc"]) if i + 1 == len(item["loc"]) or not _internal(part))
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown key{_nearest(str(place[-1]), _keys(place[:-1]))}"
        elif item["type"] == "missing":
            message = "is missing"
        else:
            message += f" (found {item['input']!r:.80})"
        yield f"{'.'.join(map(str, place))}: {message}"


def _internal(part: int | str) -> bool:
    """Whether a part of a place is pydantic's name for a member of a union, no key."""
    return isinstance(part, str) and (part in ("schedule", "noise") or not part.islower())


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a place knows."""
    sections: list[type[BaseModel]] = [TrainConfig]
    for part in place:
        annotations = [one.model_fields[str(part)].annotation for one in sections if part in one.model_fields]
        sections = [kind for annotation in annotations for kind in _sections(annotation)] or sections
    return sorted({key for section in sections for key in section.model_fields})


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections within a type: itself, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in getattr(annotation, "__args__", ()):
        yield from _sections(member)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
