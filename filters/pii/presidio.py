"""The one door to presidio: imports it without torch and transformers, which no recognizer of patterns needs.

Presidio, and spaCy under it, import both wherever they are installed. That costs every worker seconds and hundreds of
megabytes. A recipe that names a model (``pii.engine``) needs them: then presidio is imported whole before this module is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _as_if_missing(*names: str) -> Iterator[None]:
    """Inside the block these modules can't be imported, unless they have been already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python marks a module as missing
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _as_if_missing("torch", "transformers"):
    from presidio_analyzer import (
        EntityRecognizer,
        Pattern,
        PatternRecognizer,
        RecognizerResult,
        predefined_recognizers,
    )

__all__ = [
    "EntityRecognizer",
    "Pattern",
    "PatternRecognizer",
    "RecognizerResult",
    "predefined_recognizers",
]
