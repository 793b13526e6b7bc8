"""Our trainer of fastText models: what it writes is read by fastText, means the same to it, and is the same every time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from filters import fasttext_models
from pipeline.models import fasttext_trainer
from pipeline.models.fasttext_trainer import Example, Settings, train
from tokenizer.draws import keyed_hash

LABELS = ("__label__hq", "__label__cc")
SETTINGS = Settings(dimensions=8, ngram=3, buckets=1000, min_count=1, epochs=5, rate=0.5, seed=7)
GOOD = [f"the theory of number {number} was proved by induction over all primes" for number in range(60)]
RAW = [f"buy {number} cheap pills now click here to subscribe für große Rabatte" for number in range(60)]


def examples(good: Sequence[str] = GOOD, raw: Sequence[str] = RAW) -> list[Example]:
    pairs = [(label, text) for label, texts in zip(LABELS, (good, raw), strict=True) for text in texts]
    return [Example(keyed_hash(f"{at}", 0, b"test"), label, text) for at, (label, text) in enumerate(pairs)]


def made(folder: Path, given: Sequence[Example], settings: Settings = SETTINGS) -> Path:
    folder.mkdir()
    model = train(given, LABELS, settings, folder)
    model.saveModel(str(folder / "model.bin"))
    return folder / "model.bin"


def score(path: Path, text: str) -> float:
    return dict(fasttext_models.predict(fasttext_models.load(str(path)), text, 2))[LABELS[0]]


def test_it_tells_the_kinds_apart(tmp_path: Path) -> None:
    path = made(tmp_path / "a", examples())
    assert all(score(path, text) > 0.9 for text in GOOD)
    assert all(score(path, text) < 0.1 for text in RAW)


def test_no_number_is_left_as_it_lay_in_memory(tmp_path: Path) -> None:
    """fastText 0.9.3 sets a tenth of the vectors with one thread; here every one of them is drawn, and finite."""
    model = fasttext_models.load(str(made(tmp_path / "a", examples(), Settings(8, 3, 1000, 1, 1, 1e-12, 7))))
    vectors = np.array(model.f.getInputMatrix())
    assert np.isfinite(vectors).all()
    assert 0 < np.abs(vectors).max() <= 1 / 8
    tenths = np.array_split(vectors.ravel(), 10)
    assert all(abs(part.std() - 1 / 8 / math.sqrt(3)) < 0.01 for part in tenths)


def test_the_same_texts_make_the_same_bytes(tmp_path: Path) -> None:
    digests = {hashlib.sha256(made(tmp_path / name, examples()).read_bytes()).digest() for name in "ab"}
    assert len(digests) == 1
    other = made(tmp_path / "c", examples(), Settings(8, 3, 1000, 1, 5, 0.5, 8)).read_bytes()
    assert hashlib.sha256(other).digest() not in digests


def test_the_features_are_those_of_fasttext(tmp_path: Path) -> None:
    """The mean of the rows that we number, through softmax, is what fastText itself says of the text."""
    path = made(tmp_path / "a", examples())
    native = fasttext_models.load(str(path)).f
    words, _ = native.getVocab("replace")
    labels, _ = native.getLabels("replace")
    vectors, outputs = np.array(native.getInputMatrix()), np.array(native.getOutputMatrix())
    for text in [GOOD[3], RAW[5], "", "unknown Größe 中文 words", "the the the"]:
        tokens = fasttext_trainer.tokens_of(text)
        line = tmp_path / "line.txt"
        line.write_text(" ".join([LABELS[0], *tokens]) + "\n", encoding="utf-8")
        known = {word: at for at, word in enumerate(words)}
        ids, hashes = fasttext_trainer._features(line, known, len(tokens) + 1, tmp_path)
        rows = np.empty(3 * len(ids), np.int64)
        count = fasttext_trainer._collect(ids, hashes, 0, len(ids), len(words), 1000, 3, rows)
        logits = outputs @ vectors[rows[:count]].mean(0)
        share = np.exp(logits - logits.max())
        expected = (share / share.sum())[labels.index(LABELS[0])]
        assert score(path, text) == pytest.approx(expected, abs=3e-5)  # it adds 1e-5 to what it takes the logarithm of


def test_texts_can_not_name_labels(tmp_path: Path) -> None:
    hostile = [f"{text} __label__hq __label__new </s> \0" for text in RAW]
    path = made(tmp_path / "a", examples(raw=hostile))
    assert sorted(fasttext_models.load(str(path)).get_labels()) == sorted(LABELS)
    assert all(score(path, text) < 0.1 for text in hostile)


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="texts for __label__hq, __label__cc are needed, there are some for __label__hq"
    ):
        made(tmp_path / "a", examples(raw=()))
