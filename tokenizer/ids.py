"""The types of token ids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TokenIds = NDArray[np.uint16] | NDArray[np.uint32]


def id_type(vocabulary: int) -> np.dtype[Any]:
    """The type that holds the ids of a vocabulary of this size: uint16 up to 65,536 ids, then uint32."""
    return np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
