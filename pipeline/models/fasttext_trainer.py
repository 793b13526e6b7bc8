"""Trains supervised fastText models: the loop is ours, the dictionary, the features and the file are fastText's.

Definition: Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification". A text is the mean of the vectors of its
words and of the hashes of its word n-grams; a linear layer and a softmax follow; stochastic gradient descent, a text a step,
with a rate that falls to 0. One thread, and nothing random but a counter-based generator: the same texts give the same bytes.

Why not ``fasttext.train_supervised``: since release 0.9.3 ``DenseMatrix::uniform`` sets only a tenth of the vectors for each
thread, so with one thread nine tenths of them are whatever lay in memory. Whether that yields NaN ("Encountered NaN") or a
model is chance, and with more threads they race. Release 0.9.2 does not build with current compilers and Pythons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

LABEL: Final = "__label__"
_END: Final = "</s>"
"""The word that fastText sees at the end of every line."""
_BLOCK: Final = 1 << 20
EPOCHS: Final = 5
STEPS: Final = 20_000
"""Texts that are learned from at least: with fewer steps the vectors have hardly left where they began."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What fastText calls dim, wordNgrams, bucket, minCount, epoch (None: 5, or as many as make STEPS) and lr."""

    dimensions: int
    ngram: int
    buckets: int
    min_count: int
    epochs: int | None
    rate: float
    seed: int


def tokens_of(text: str) -> list[str]:
    """The words that fastText finds in a text as ``filters.fasttext_models.predict`` gives it; none that looks like a label."""
    return [word for word in text.replace("\0", " ").split() if not word.startswith(LABEL) and word != _END]


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its label (with its prefix); examples are learned from in the order of their ranks."""

    rank: int
    label: str
    text: str


def train(examples: Iterable[Example], labels: Sequence[str], settings: Settings, folder: Path) -> Any:
    """A trained model, as ``fasttext_pybind`` has it, whose ``saveModel`` writes the file that fastText reads.

    ``labels`` are all labels there are. ``folder`` takes what is too large for memory: the texts, and eight bytes a word.
    Raises ValueError where a label has no example, or no word is left to learn from.
    """
    lines, starts, targets, ranks = folder / "lines.txt", [0], [], []
    with lines.open("w", encoding="utf-8", errors="replace") as stream:
        for one in examples:
            words = tokens_of(one.text)
            stream.write(" ".join([one.label, *words]) + "\n")
            starts.append(starts[-1] + len(words) + 1)
            targets.append(one.label)
            ranks.append(one.rank)
    model = _with_dictionary(lines, settings)
    known, _ = model.getVocab("replace")
    found, _ = model.getLabels("replace")
    if sorted(found) != sorted(labels):
        raise ValueError(f"texts for {', '.join(labels)} are needed, there are some for {', '.join(found) or 'none'}")
    ids, hashes = _features(lines, {word: one for one, word in enumerate(known)}, starts[-1], folder)
    epochs = settings.epochs or max(EPOCHS, -(-STEPS // len(ranks)))
    vectors = _uniform(len(known) + settings.buckets, settings.dimensions, settings.seed)
    outputs = np.zeros((len(found), settings.dimensions), np.float32)
    numbers = np.array([found.index(label) for label in targets], np.int64)
    order = np.argsort(np.array(ranks, np.uint64), kind="stable")
    _learn(
        ids, hashes, np.array(starts, np.int64), numbers, order, vectors, outputs,
        len(known), settings.buckets, settings.ngram, epochs, settings.rate,
    )  # fmt: skip
    model.setMatrices(vectors, outputs)
    return model


def _with_dictionary(lines: Path, settings: Settings) -> Any:
    """A model with fastText's own dictionary of these lines, and no training."""
    import fasttext_pybind as native

    arguments = native.args()
    arguments.input = str(lines)
    arguments.model = native.model_name.supervised
    arguments.loss = native.loss_name.softmax
    arguments.dim, arguments.wordNgrams = settings.dimensions, settings.ngram
    arguments.bucket, arguments.minCount = settings.buckets, settings.min_count
    arguments.minn = arguments.maxn = arguments.epoch = arguments.verbose = 0
    arguments.thread, arguments.label, arguments.lr = 1, LABEL, settings.rate
    model = native.fasttext()
    try:
        native.train(model, arguments)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"fastText can't read the words: {error}") from error
    return model


def _features(
    lines: Path, known: dict[str, int], count: int, folder: Path
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Id (-1: not in the dictionary) and hash of every word of every line, its end included, in files that are mapped."""
    ids = np.memmap(folder / "ids.i32", np.int32, "w+", shape=(count,))
    hashes = np.memmap(folder / "hashes.i32", np.int32, "w+", shape=(count,))
    at = 0
    for words in _blocks(lines):
        distinct = list(dict.fromkeys(words))
        place = {word: one for one, word in enumerate(distinct)}
        by_word = np.array([known.get(word, -1) for word in distinct], np.int32)
        spelled = [word.encode() for word in distinct]
        ends = np.cumsum([len(one) for one in spelled], dtype=np.int64)
        hash_by_word = _hashes(np.frombuffer(b"".join(spelled), np.int8), ends)
        places = np.array([place[word] for word in words], np.int64)
        ids[at : at + len(places)] = by_word[places]
        hashes[at : at + len(places)] = hash_by_word[places]
        at += len(places)
    return ids, hashes


def _blocks(lines: Path) -> Iterator[list[str]]:
    """Words of many lines together, an end behind each line's."""
    words: list[str] = []
    with lines.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            words += [*line.removesuffix("\n").split(" ")[1:], _END]
            if len(words) > _BLOCK:
                yield words
                words = []
    yield words


@numba.njit(cache=True)
def _hashes(spelled: NDArray[np.int8], ends: NDArray[np.int64]) -> NDArray[np.int32]:
    """fastText's hash of words: FNV-1a of 32 bits, bytes taken as signed."""
    out = np.empty(len(ends), np.int32)
    start = 0
    for word in range(len(ends)):
        value = np.uint32(2166136261)
        for at in range(start, ends[word]):
            value = np.uint32(value ^ np.uint32(spelled[at])) * np.uint32(16777619)
        out[word] = np.int32(value)
        start = ends[word]
    return out


@numba.njit(cache=True)
def _uniform(rows: int, dimensions: int, seed: int) -> NDArray[np.float32]:
    """Numbers between -1/dimensions and 1/dimensions by SplitMix64 of their place."""
    out = np.empty((rows, dimensions), np.float32)
    for row in range(rows):
        for column in range(dimensions):
            value = np.uint64(seed) + np.uint64(row * dimensions + column + 1) * np.uint64(0x9E3779B97F4A7C15)
            value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            value = value ^ (value >> np.uint64(31))
            share = np.float64(value >> np.uint64(11)) / 9007199254740992.0
            out[row, column] = np.float32((2.0 * share - 1.0) / dimensions)
    return out


@numba.njit(cache=True)
def _collect(
    ids: NDArray[np.int32], hashes: NDArray[np.int32], start: int, stop: int, known: int, buckets: int, ngram: int,
    rows: NDArray[np.int64],
) -> int:  # fmt: skip
    """Write the rows of a text's words and n-grams as fastText numbers them; returns how many there are."""
    count = 0
    for at in range(start, stop):
        if ids[at] >= 0:
            rows[count] = ids[at]
            count += 1
    for at in range(start, stop):
        value = np.uint64(np.int64(hashes[at]))
        for after in range(at + 1, min(at + ngram, stop)):
            value = value * np.uint64(116049371) + np.uint64(np.int64(hashes[after]))
            rows[count] = known + np.int64(value % np.uint64(buckets))
            count += 1
    return count


@numba.njit(cache=True)
def _learn(
    ids: NDArray[np.int32], hashes: NDArray[np.int32], starts: NDArray[np.int64], targets: NDArray[np.int64],
    order: NDArray[np.int64], vectors: NDArray[np.float32], outputs: NDArray[np.float32],
    known: int, buckets: int, ngram: int, epochs: int, rate: float,
) -> None:  # fmt: skip
    """Stochastic gradient descent over all texts, ``epochs`` times; changes ``vectors`` and ``outputs``."""
    labels, dimensions = outputs.shape
    longest = 0
    for text in range(len(starts) - 1):
        longest = max(longest, starts[text + 1] - starts[text])
    rows = np.empty(longest * ngram + 1, np.int64)
    hidden, gradient = np.empty(dimensions, np.float32), np.empty(dimensions, np.float32)
    scores = np.empty(labels, np.float64)
    for step in range(epochs * len(order)):
        text = order[step % len(order)]
        count = _collect(ids, hashes, starts[text], starts[text + 1], known, buckets, ngram, rows)
        if not count:
            continue
        hidden[:] = 0
        for at in range(count):
            for one in range(dimensions):
                hidden[one] += vectors[rows[at], one]
        hidden /= np.float32(count)
        _softmax(outputs, hidden, scores)
        gradient[:] = 0
        falling = rate * (1.0 - step / (epochs * len(order)))
        for label in range(labels):
            wanted = 1.0 if label == targets[text] else 0.0
            alpha = np.float32(falling * (wanted - scores[label]))
            for one in range(dimensions):
                gradient[one] += alpha * outputs[label, one]
                outputs[label, one] += alpha * hidden[one]
        gradient /= np.float32(count)
        for at in range(count):
            for one in range(dimensions):
                vectors[rows[at], one] += gradient[one]


@numba.njit(cache=True)
def _softmax(outputs: NDArray[np.float32], hidden: NDArray[np.float32], scores: NDArray[np.float64]) -> None:
    """Fill in the labels' probabilities for a text's mean vector."""
    highest = -np.inf
    for label in range(len(scores)):
        score = 0.0
        for one in range(len(hidden)):
            score += outputs[label, one] * hidden[one]
        scores[label] = score
        highest = max(highest, score)
    total = 0.0
    for label in range(len(scores)):
        scores[label] = np.exp(scores[label] - highest)
        total += scores[label]
    for label in range(len(scores)):
        scores[label] /= total
