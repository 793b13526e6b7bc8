"""A trained model as its run left it: a checkpoint, and a copy of the tokenizer in the run's folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tokenizer.encode import encoder_of
from training.checkpoint import files
from training.checkpoint.files import Checkpoint
from training.config import TrainConfig
from training.data.corpus import Corpus
from training.model import Transformer
from training.state import TrainState

if TYPE_CHECKING:
    from tokenizer.encode import Encoder
    from tokenizer.sentencepiece_model import SentencePieceEncoder

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with its parameters (fp32), the config of its training, and where the run's files are."""

    model: Transformer
    config: TrainConfig
    run: Path
    step: int

    def encoder(self) -> Encoder | SentencePieceEncoder:
        """The run's copy of its tokenizer. Raises FileNotFoundError where the corpus named none."""
        return encoder_of_run(self.run)


def encoder_of_run(run: Path) -> Encoder | SentencePieceEncoder:
    """The run's copy of its tokenizer. Raises FileNotFoundError where the corpus named none."""
    found = tokenizer_file(run)
    if found is None:
        raise FileNotFoundError(f"{run} holds no tokenizer: its corpus had none")
    return encoder_of(found.read_bytes())


def keep_tokenizer(state: TrainState) -> None:
    """Copy the corpus's tokenizer, if it has one, into the folder of a training that begins."""
    run, data = Path(state.config.output), state.config.data
    found = Corpus(data.corpus, cache=data.cache).tokenizer_bytes()
    if found is not None:
        run.mkdir(parents=True, exist_ok=True)
        path = run / ("tokenizer.json" if found.lstrip()[:1] == b"{" else "tokenizer.model")
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(found)
        part.replace(path)


def tokenizer_file(run: Path) -> Path | None:
    """The run's copy of its tokenizer, if it has one."""
    return next((path for name in ("tokenizer.json", "tokenizer.model") if (path := run / name).is_file()), None)


def load(place: str | Path, device: str = "cpu") -> Trained:
    """A checkpoint, or the newest whole one of a run's folder.

    Raises FileNotFoundError where there is none, DamagedCheckpoint where none is what was written.
    """
    path = Path(place)
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is no folder: give a run's folder, or one of its checkpoints")
    if (path / CHECKPOINTS).is_dir():
        found = files.listed(path / CHECKPOINTS)
        if not found:
            raise FileNotFoundError(f"{path} has no checkpoint yet")
        checkpoint = _newest_whole([found[step] for step in sorted(found, reverse=True)])
        path = checkpoint.path
    else:
        checkpoint = files.read(path)
    config = TrainConfig.model_validate(checkpoint.state["config"])
    model = Transformer(config.model)
    tensors = checkpoint.tensors("model")
    if config.model.tied:
        tensors["head.weight"] = tensors["embedding.weight"]
    model.load_state_dict(tensors)
    return Trained(model.float().to(torch.device(device)).eval(), config, path.resolve().parent.parent, checkpoint.step)


def _newest_whole(newest_first: Sequence[Path]) -> Checkpoint:
    """The first that is whole; those before it are named in a warning. Raises DamagedCheckpoint where none is."""
    damage = None
    for path in newest_first:
        try:
            return files.read(path)
        except files.DamagedCheckpoint as error:
            warnings.warn(f"passed over a damaged checkpoint: {error}", stacklevel=3)
            damage = damage or error
    assert damage
    raise damage
