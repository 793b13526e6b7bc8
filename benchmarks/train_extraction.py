"""Trains the judge of main text (pipeline/extraction/judge/main_text.npz) and says how good it is on sites it never saw.

    python -m benchmarks.train_extraction ../shared/data/html-gold            # five-fold cross-validation, by site
    python -m benchmarks.train_extraction ../shared/data/html-gold --write    # train on all of it and write the model

Needs lightgbm (``pip install lightgbm``), which nothing else here does.

Training data are pages with gold text. Blocks are labelled with the share of their words that belongs to the gold, by
aligning the words of both in order (runs of words win over strays), and what the gold has in another order by 4-grams;
on pages with snippets only the blocks that hold one are labelled. A block weighs as much as its words do in its page's
F1. The second forest learns from judgements of the first one that were made by folds which had not seen the page's site.

On the gold sets of wcxb, scrapinghub, newspaper and readability (1,000 pages with whole texts) and of trafilatura (341 with
snippets) cross-validated F1 is 0.875 (wcxb 0.869), of snippets 0.943. The same pages' scores after training on all of them
(0.94, 0.99) mean nothing.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.gold import GoldPage, read_gold, score, words
from pipeline.extraction.judge import context, main_text
from pipeline.extraction.judge.forest import Forest
from pipeline.extraction.judge.main_text import MODEL, Page

Array = NDArray[Any]

FOLDS = 5
ROWS = 90_000
"""Blocks that a forest is trained on. Of the others (of little weight) as many stand for all as there is room for."""
ROUNDS = 140
PARAMETERS = {
    "objective": "cross_entropy",
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 2.0,
    "max_bin": 63,
    "force_col_wise": True,
    "deterministic": True,
    "num_threads": 1,
    "seed": 1,
    "verbose": -1,
}
_SNIPPET_WEIGHT = 0.15
_LEAST_GOLD = 30
"""Words of a page's text that are in the gold below which the gold is of another page."""
_LARGEST = 1_200_000_000


@njit(cache=True)
def align(page: Array, begins: Array, gold: Array) -> tuple[Array, Array]:
    """Which words of a page and of its gold belong together: bool[n], bool[m].

    Words are numbers, ``begins`` tells where blocks begin. Both are walked in order; a run of equal words earns one a
    word and costs 0.6 if it begins with a block and 1.8 if not, and the runs that earn most together are taken.
    """
    n, m = len(page), len(gold)
    back = np.zeros((n + 1, m + 1), np.uint8)
    never = np.float32(-1e9)
    best_before, run_before = np.zeros(m + 1, np.float32), np.full(m + 1, never, np.float32)
    best, run = np.zeros(m + 1, np.float32), np.full(m + 1, never, np.float32)
    for i in range(1, n + 1):
        cost = np.float32(0.6) if begins[i - 1] else np.float32(1.8)
        for j in range(1, m + 1):
            goes_on = 0
            run[j] = never
            if gold[j - 1] == page[i - 1]:
                longer, new = run_before[j - 1] + 1, best_before[j - 1] + 1 - cost
                run[j] = max(longer, new)
                goes_on = 4 if longer >= new else 0
            most, step = best_before[j], 1
            if best[j - 1] > most:
                most, step = best[j - 1], 2
            if run[j] >= most:
                most, step = run[j], 3
            best[j] = most
            back[i, j] = step | goes_on
        best_before, best = best, best_before
        run_before, run = run, run_before
    of_page, of_gold = np.zeros(n, np.bool_), np.zeros(m, np.bool_)
    i, j, inside = n, m, False
    while i > 0 and j > 0:
        step = back[i, j] & 3
        if inside or step == 3:
            of_page[i - 1] = of_gold[j - 1] = True
            inside = (back[i, j] & 4) != 0
            i -= 1
            j -= 1
        elif step == 1:
            i -= 1
        else:
            j -= 1
    return of_page, of_gold


def labels(blocks: Sequence[Sequence[str]], gold: Sequence[str]) -> Array:
    """float32[b]: the share of each block's words that belongs to the gold's words."""
    numbers: dict[str, int] = {}
    wanted = np.array([numbers.setdefault(word, len(numbers)) for word in gold], np.int32)
    counts = np.array([len(block) for block in blocks], np.int64)
    found = np.array([numbers.get(word, -1) for block in blocks for word in block], np.int32)
    if not len(found) or not len(wanted):
        return np.zeros(len(blocks), np.float32)
    starts = np.cumsum(counts) - counts
    begins = np.zeros(len(found), np.bool_)
    begins[starts[counts > 0]] = True
    compared = wanted[: max(1, _LARGEST // len(found))]
    of_page, of_gold = align(found, begins, compared)
    share = np.bincount(np.repeat(np.arange(len(blocks)), counts), of_page, len(blocks)) / np.maximum(1, counts)
    left = np.ones(len(wanted), np.bool_)
    left[: len(compared)] = ~of_gold
    grams = Counter(tuple(wanted[j : j + 4]) for j in range(len(wanted) - 3) if left[j : j + 4].all())
    for b in np.flatnonzero((counts >= 6) & (share < 0.3)):
        block = found[starts[b] : starts[b] + counts[b]]
        hits = [k for k in range(len(block) - 3) if grams[tuple(block[k : k + 4])] > 0]
        covered = len({k + step for k in hits for step in range(4)}) / len(block)
        if covered >= 0.6:
            share[b] = max(share[b], covered)
            grams.subtract(tuple(block[k : k + 4]) for k in hits)
    return share.astype(np.float32)


class Data:
    """All pages' blocks, one after another, with labels and weights."""

    def __init__(self, gold: Sequence[GoldPage]) -> None:
        self.gold = gold
        self.pages: list[Page] = []
        targets, weights = [], []
        for k, one in enumerate(gold):
            page = main_text.read(one.html.encode("utf-8", "replace"))
            target, weight = _target(page, one)
            self.pages.append(page)
            targets.append(target)
            weights.append(weight)
            _tell(f"pages read: {k + 1} of {len(gold)}")
        sizes = [len(page.words) for page in self.pages]
        self.starts = np.cumsum([0, *sizes])
        self.features = np.vstack([page.features for page in self.pages])
        self.target = np.concatenate(targets)
        self.weight = np.concatenate(weights)
        folds = [zlib.crc32(one.domain.encode()) % FOLDS for one in gold]
        self.fold = np.repeat(np.array(folds), sizes)

    def surroundings(self, likely: Array) -> Array:
        """What a first judgement of all blocks says about the surroundings of each."""
        return np.vstack(
            [
                main_text.look_around(page, likely[start:stop].astype(np.float32))
                for page, start, stop in zip(self.pages, self.starts, self.starts[1:], strict=False)
            ]
        )

    def texts(self, likely: Array) -> list[str]:
        """The texts that a judgement of all blocks chooses."""
        found = []
        for page, start, stop in zip(self.pages, self.starts, self.starts[1:], strict=False):
            own = likely[start:stop].astype(np.float32)
            found.append(main_text.write(page, own >= context.bar(own, page.words)[0]) if len(own) else "")
        return found


def _target(page: Page, gold: GoldPage) -> tuple[Array, Array]:
    """Labels and weights of a page's blocks."""
    blocks = page.blocks
    data = page.tree.text.tobytes()
    texts = [data[a:b].decode("utf-8", "replace") for a, b in zip(blocks.start, blocks.stop, strict=True)]
    if gold.text is None:
        flat = [" ".join(text.split()) for text in texts]
        target, weight = np.zeros(len(flat), np.float32), np.zeros(len(flat))
        for snippets, label in ((gold.unwanted, 0), (gold.wanted, 1)):
            for snippet in snippets:
                held = [b for b, text in enumerate(flat) if " ".join(snippet.split()) in text]
                target[held], weight[held] = label, _SNIPPET_WEIGHT
        return target, weight
    split = [words(text) for text in texts]
    counts = np.array([len(block) for block in split], np.float64)
    target = labels(split, words(gold.text))
    agreed = float((target * counts).sum())
    if agreed < _LEAST_GOLD:
        return target, np.zeros(len(texts))
    return target, (counts + 1) / (agreed + 0.3 * counts.sum() + 50)


def _sample(weight: Array, rows: int) -> tuple[Array, Array]:
    """Rows to train on, bool[b], and their weights: what is light is there by chance, and then the heavier."""
    low, high = 0.0, 1e12
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if np.minimum(1, weight * middle).sum() > rows else (middle, high)
    chance = np.minimum(1, weight * low)
    drawn = np.random.RandomState(0).rand(len(weight)) < chance
    return drawn, np.where(drawn, weight / np.maximum(chance, 1e-12), 0)


_SHARED: dict[str, Any] = {}


def _fit(fold: int) -> tuple[str, Array]:
    """A forest trained on all folds but one (on all, for -1) and its judgement of that one."""
    data, features = _SHARED["data"], _SHARED["features"]
    drawn, weight = _sample(data.weight, ROWS)
    seen = drawn & (data.fold != fold)
    rows = lightgbm.Dataset(features[seen], data.target[seen], weight=weight[seen] * 1000)
    booster = lightgbm.train(PARAMETERS, rows, ROUNDS)
    return booster.model_to_string(), booster.predict(features[data.fold == fold], num_threads=1)


def cross_judge(data: Data, features: Array) -> Array:
    """A judgement of all blocks, each by a forest that has not seen its site."""
    _SHARED.update(data=data, features=features)
    likely = np.zeros(len(features))
    with get_context("fork").Pool(2) as pool:
        for fold, (_, judged) in enumerate(pool.imap(_fit, range(FOLDS))):
            likely[data.fold == fold] = judged
            _tell(f"folds trained: {fold + 1} of {FOLDS}")
    return likely


def forest_of(model: str) -> Forest:
    """The trees of a model in LightGBM's text format."""
    trees = lightgbm.Booster(model_str=model).dump_model()["tree_info"]
    roots, leaf_roots = [], []
    columns: list[list[float]] = [[], [], [], []]
    values: list[float] = []

    def add(node: dict[str, Any], root: int, leaf_root: int) -> int:
        if "split_index" not in node:
            values.append(node["leaf_value"])
            return -(len(values) - leaf_root)
        at = len(columns[0])
        threshold = np.float32(node["threshold"])
        if threshold > node["threshold"]:
            threshold = np.nextafter(threshold, np.float32(-np.inf))
        for column, value in zip(columns, (node["split_feature"], threshold, 0, 0), strict=True):
            column.append(value)
        columns[2][at] = add(node["left_child"], root, leaf_root)
        columns[3][at] = add(node["right_child"], root, leaf_root)
        return at - root

    for tree in trees:
        roots.append(len(columns[0]))
        leaf_roots.append(len(values))
        add(tree["tree_structure"], roots[-1], leaf_roots[-1])
        assert len(columns[0]) > roots[-1], "a tree without a split"
    return Forest(
        np.array(roots, np.int32),
        np.array(columns[0], np.int16),
        np.array(columns[1], np.float32),
        np.array(columns[2], np.int16),
        np.array(columns[3], np.int16),
        np.array(values, np.float32),
        np.array(leaf_roots, np.int32),
    )


def show(data: Data, texts: Sequence[str]) -> None:
    """F1 per source and page type, and over snippets."""
    for name, kept in (
        ("all", [True] * len(data.gold)),
        *((source, [one.source == source for one in data.gold]) for source in sorted({g.source for g in data.gold})),
        *((kind, [one.page_type == kind for one in data.gold]) for kind in sorted({g.page_type for g in data.gold})),
    ):
        chosen = [(page, text) for page, text, take in zip(data.gold, texts, kept, strict=True) if take]
        result = score(*zip(*chosen, strict=True))  # type: ignore[arg-type]
        precision, recall, f1 = result.snippets()
        print(
            f"{name or 'no type':14} pages {result.pages:4}  P {result.precision:.3f}  R {result.recall:.3f}  F1 "
            f"{result.f1:.4f}  snippets P {precision:.3f} R {recall:.3f} F1 {f1:.4f}"
        )


def _tell(line: str) -> None:
    print(f"\r{line}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Cross-validate; with ``--write`` train on everything and write the model too."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("gold", type=Path, help="folder of gold-*.jsonl.zst and the WARC files they name")
    parser.add_argument("--write", action="store_true", help=f"write {MODEL.name}, trained on all pages")
    given = parser.parse_args()
    data = Data(read_gold(given.gold))
    first = cross_judge(data, data.features)
    both = np.hstack((data.features, data.surroundings(first)))
    second = cross_judge(data, both)
    print("\ncross-validated by site")
    show(data, data.texts((first + second) / 2))
    if given.write:
        stored: dict[str, Array] = {}
        for name, features in (("first", data.features), ("second", both)):
            _SHARED.update(data=data, features=features)
            for field, value in forest_of(_fit(-1)[0])._asdict().items():
                stored[f"{name}_{field}"] = value
        np.savez_compressed(MODEL, **stored)
        print(f"{MODEL}: {MODEL.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
