"""What stands in the way of a fastText model is said with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fasttext.FastText import _FastText

from filters import fasttext_models


def test_a_package_that_overwrites_fasttext_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fasttext_models.load.cache_clear()
    monkeypatch.delattr(_FastText, "get_labels")  # fasttext-predict's class of that name has none
    with pytest.raises(ValueError, match="pip uninstall fasttext-predict"):
        fasttext_models.load(fasttext_models.language_model_path())


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=r"model\.bin is not a fastText model"):
        fasttext_models.load(str(tmp_path / "model.bin"))
    with pytest.raises(FileNotFoundError, match="there is no fastText model at"):
        fasttext_models.load(str(tmp_path / "none.bin"))
