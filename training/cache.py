"""The keys and values of the tokens so far, so that a text can be continued without computing them again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Layer:
    """Of one layer: (sequences, heads of keys, length, head width) each, None before the first tokens."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, the new ones among them, which are kept."""
        self.keys = keys if self.keys is None else torch.cat((self.keys, keys), dim=2)
        self.values = values if self.values is None else torch.cat((self.values, values), dim=2)
        return self.keys, self.values


class Cache:
    """Of all layers of a model. It grows by what the model is given together with it."""

    def __init__(self, layers: int) -> None:
        self.layers = [Layer() for _ in range(layers)]

    @property
    def length(self) -> int:
        """Tokens it holds."""
        keys = self.layers[0].keys
        return 0 if keys is None else keys.shape[2]
