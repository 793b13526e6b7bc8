"""One step: the gradient of a batch over passes and ranks, its norm, and the update."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from training.objective import make_task
from training.optimization.schedule import learning_rate
from training.precision import autocast, squared_norm
from training.state import TrainState


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient that lies in the parameters, alike on all ranks: divide it by ``divisor`` to have the mean over targets."""

    loss: float
    valid: int
    norm: float
    """Of the mean gradient."""
    divisor: float
    start: int
    stop: int
    waited: float

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def compute_gradient(state: TrainState) -> Gradient:
    """Read the batch of this step and add up its gradient, pass by pass.

    The loss is summed over targets and divided by how many of them there are on all ranks and in all passes, which is known
    only at the end; until then it is divided by the size of the batch, to keep fp16 in range. There is one wait for the device,
    at the end.
    """
    passes = state.batch_size.passes(state.tokens)
    ranks, model = state.ranks, state.model
    nominal = float(passes * state.loader.tokens_per_batch)
    measures = state.batch_size.measures(state.step) and passes > 1
    state.pass_over_skipped(passes * state.loader.tokens_per_batch)
    start, waited = state.loader.position, 0.0
    total, slopes = torch.zeros(2, dtype=torch.float64, device=ranks.device), model.slopes()
    small = torch.zeros(2, dtype=torch.float64, device=ranks.device)
    for number in range(passes):
        before = time.perf_counter()
        batch = next(state.loader)
        waited += time.perf_counter() - before
        task = make_task(batch, model.config, slopes, ranks.device, state.config.optimization.seed)
        with autocast(state.config.precision, ranks.device):
            loss = state.parallel(task.inputs, task.targets, task.plan)
        with state.parallel.accumulating(last=number == passes - 1):
            (loss * (state.scaler.scale / nominal)).backward()  # type: ignore[no-untyped-call]
        if state.masters is not None:
            state.masters.collect()
        total[0] += loss.detach() / ranks.size
        total[1] += task.valid
        if number == 0 and measures:
            small[0], small[1] = squared_norm(state.optimizers.gradients()), task.valid
    norm = squared_norm(state.optimizers.gradients()).double()
    numbers = torch.cat([ranks.sum(total), ranks.sum(small), ranks.from_first(norm.reshape(1).to(ranks.device))])
    loss_sum, valid, small_square, small_valid, square = numbers.tolist()
    divisor = state.scaler.scale * max(1.0, valid) / nominal
    if measures and math.isfinite(square):
        _measure(state, small_square, small_valid, square / divisor**2, valid, nominal)
    return Gradient(
        loss_sum / max(1.0, valid), int(valid), math.sqrt(square) / divisor, divisor, start, state.loader.position, waited
    )  # fmt: skip


def _measure(
    state: TrainState, small_square: float, small_valid: float, large: float, valid: float, nominal: float
) -> None:
    """Give the noise scale its two norms: of the first pass, and of all.

    ``small_square`` and ``small_valid`` are sums over ranks. Where ranks had not yet added up their gradients it is the mean of
    their squared norms that counts, each over one rank's part; these hold that part times the number of ranks (see
    `training.parallel`). Otherwise all ranks have the same.
    """
    size = state.ranks.size
    count = small_valid / size if state.parallel.local_passes else small_valid
    factor = nominal / (state.scaler.scale * max(1.0, count) * (size if state.parallel.local_passes else 1))
    state.batch_size.measured(count, small_square / size * factor**2, valid, large)


@torch.no_grad()
def update(state: TrainState, gradient: Gradient) -> float:
    """Clip the gradient, change the parameters, drop the gradient. The learning rate that was used."""
    rate = learning_rate(state.config.optimization, state.tokens)
    clip = state.config.optimization.clip
    factor = 1.0 if clip is None else min(1.0, clip / (gradient.norm + 1e-6))
    torch._foreach_mul_(state.optimizers.gradients(), factor / gradient.divisor)
    state.optimizers.step(rate)
    if state.masters is not None:
        state.masters.write()
    state.optimizers.zero_grad()
    return rate
