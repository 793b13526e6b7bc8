"""All that a training is between two steps, in one place: what a checkpoint holds, and what a rollback puts back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from training.config import TrainConfig
from training.data.loader import Loader
from training.model import Transformer
from training.optimization.growth import BatchSize
from training.optimization.optimizers import Optimizers
from training.parallel import Parallel, Ranks
from training.precision import LossScaler, MasterWeights


@dataclass(slots=True)
class TrainState:
    """A training between two steps.

    ``tensors()`` and ``numbers()`` together are everything that decides how it goes on. There is no random number generator
    among it: data order and prefixes are functions of positions, and nothing else is drawn after the first parameters.
    """

    config: TrainConfig
    ranks: Ranks
    model: Transformer
    parallel: Parallel
    masters: MasterWeights | None
    optimizers: Optimizers
    scaler: LossScaler
    batch_size: BatchSize
    loader: Loader
    step: int = 0
    """Steps done, those without an update (fp16 overflow) among them."""
    tokens: int = 0
    """Tokens trained on, over all ranks; what learning rate and batch size follow. The loader's position differs from it where
    data was skipped."""
    skipped: list[tuple[int, int]] = field(default_factory=list)
    """Where data is left out after a spike: from and to, as positions in the stream."""
    validation_loss: float | None = None
    """Mean over the validation's tokens, if it was measured after this very step: whoever measures it sets it."""

    def tensors(self) -> dict[str, Tensor]:
        """Parameters (``model.NAME``, fp32) and the optimizers' state (``optimizer.NAME.KEY``): the tensors themselves.

        Under FSDP they are DTensors. Whoever copies values into them calls ``loaded`` afterwards.
        """
        parameters = {f"model.{name}": one.detach() for name, one in self.optimizers.parameters.items()}
        return parameters | {f"optimizer.{name}": one for name, one in self.optimizers.tensors().items()}

    def numbers(self) -> dict[str, Any]:
        """Everything else, as JSON."""
        return {
            "step": self.step,
            "tokens": self.tokens,
            "data": self.loader.state(),
            "skipped": [list(one) for one in self.skipped],
            "scaler": self.scaler.state(),
            "batch_size": self.batch_size.state(),
        }

    def pass_over_skipped(self, tokens: int) -> None:
        """Take the loader behind data that is left out, if the next ``tokens`` would touch it."""
        for start, stop in sorted(self.skipped):
            if self.loader.position < stop and self.loader.position + tokens > start:
                self.loader.seek(stop)

    def loaded(self, numbers: dict[str, Any]) -> None:
        """Go on from these numbers and from the values that were copied into the tensors.

        Raises ValueError if they are of other data.
        """
        self.step, self.tokens = int(numbers["step"]), int(numbers["tokens"])
        self.loader.resume(numbers["data"])
        self.skipped = [(int(start), int(stop)) for start, stop in numbers["skipped"]]
        self.scaler.resume(numbers["scaler"])
        self.batch_size.resume(numbers["batch_size"])
        self.optimizers.zero_grad()
        if self.masters is not None:
            self.masters.write()
