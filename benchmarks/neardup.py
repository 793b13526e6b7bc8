"""Precision, recall and F1 of near-duplicate detection on labelled pairs, for a grid of settings.

The sets lie beside the checkout (``../shared/data/neardup``): chapters of novels in two transcriptions, second captures of web
pages, licence texts, McCormick's news articles, and NDD (stemmed news). For every length of shingle and every threshold two
detectors are scored on all pairs of a set: the exact Jaccard similarity, and the signature with the bands that are optimal
for the threshold (a pair must share a band and be similar enough); the default settings are scored with the signature and their
own bands. ``docs/dedup.md`` says what follows from the numbers.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import zstandard
from numpy.typing import NDArray

from benchmarks import material
from filters.document import Document, Origin
from pipeline.dedup import bands, minhash
from pipeline.dedup.settings import Near

NEARDUP = material.SHARED / "neardup"
NGRAMS = (1, 2, 3, 5, 8)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
DEFAULT = Near()
PERMUTATIONS = DEFAULT.permutations


@dataclass(frozen=True)
class Labelled:
    """Texts and the pairs of them (places, the smaller first) that are near-duplicates; every other pair is none.

    Of ``undecided`` pairs the labels do not say what they are: they count neither way.
    """

    name: str
    texts: list[str]
    pairs: set[tuple[int, int]]
    undecided: frozenset[tuple[int, int]] = frozenset()


def labelled() -> Iterator[Labelled]:
    """The sets that are there."""
    chapters = _rows("book-chapters")
    yield Labelled("book chapters", _texts(chapters), _listed(chapters, "book-chapters-pairs.tsv"))
    yield _recrawls()
    licences = _rows("licence-texts")
    same = _of_label([row["label"] for row in licences])
    family = _of_label([row["label"].split("-")[0] for row in licences])  # versions and variants: alike, more or less
    yield Labelled("licence texts", _texts(licences), same, frozenset(family - same))
    articles = _rows("mccormick-articles_1000")
    yield Labelled("McCormick", _texts(articles), _listed(articles, "mccormick-articles_1000.truth.tsv"))
    stems = _rows("ndd-r8")
    yield Labelled("NDD R8", _texts(stems), _of_label([row.get("cluster") for row in stems]))


def _rows(name: str) -> list[dict[str, Any]]:
    with (NEARDUP / f"{name}.jsonl.zst").open("rb") as packed:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8")
        return [json.loads(line) for line in text]


def _texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def _listed(rows: list[dict[str, Any]], name: str) -> set[tuple[int, int]]:
    place = {row["id"]: index for index, row in enumerate(rows)}
    found = set()
    for line in (NEARDUP / name).read_text().splitlines():
        first, second = line.split("\t")[:2]
        if first in place:
            found.add((min(place[first], place[second]), max(place[first], place[second])))
    return found


def _of_label(labels: list[str | None]) -> set[tuple[int, int]]:
    places: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        if label:
            places[label].append(index)
    return {pair for same in places.values() for pair in combinations(same, 2)}


def _recrawls() -> Labelled:
    """The captures of one address are a group; the texts are what the main content of the pages is."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding

    groups = _rows("recrawl-groups")
    group_of = {one["record_id"]: row["url"] for row in groups for one in row["captures"]}
    paths = sorted(
        {(material.SHARED / "html-gold" / one["warc"]).resolve() for row in groups for one in row["captures"]}
    )
    texts, labels = [], []
    for path in paths:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                if record.record_id in group_of:
                    html = record.reader.read()
                    page = html.decode(detect_encoding(html) or "utf-8", "replace")
                    texts.append(extract_plain_text(page, main_content=True))
                    labels.append(group_of[record.record_id])
    return Labelled("recrawls", texts, _of_label(labels))


Matrix = NDArray[np.float64]


def similarities(texts: list[str], near: Near) -> tuple[Matrix, NDArray[np.uint32], NDArray[np.bool_]]:
    """Exact Jaccard similarity of every pair (shape (texts, texts)), the signatures, and which texts have one."""
    documents = [Document("", text, "", Origin("", 0, 0)) for text in texts]
    sets = [minhash.shingle_set(document, near) for document in documents]
    sizes = np.array([len(one) for one in sets])
    shingles = np.concatenate(sets)
    owner = np.repeat(np.arange(len(sets)), sizes)
    order = np.argsort(shingles, kind="stable")
    edges = np.flatnonzero(np.diff(shingles[order])) + 1
    common = np.zeros((len(sets), len(sets)))
    for owners in np.split(owner[order], edges):
        if len(owners) > 1:
            common[np.ix_(owners, owners)] += 1
    union = sizes[:, None] + sizes[None, :] - common
    signatures = np.zeros((len(texts), near.permutations), np.uint32)
    for place, document in enumerate(documents):
        if sizes[place]:
            signatures[place] = minhash.signature(document, near)
    return common / np.maximum(union, 1), signatures, sizes > 0


def by_signature(
    signatures: NDArray[np.uint32], there: NDArray[np.bool_], threshold: float, count: int, rows: int
) -> NDArray[np.bool_]:
    """The pairs that share one of so many bands of so many rows, and are similar enough."""
    keys = minhash.band_keys(signatures, count, rows)
    found = np.zeros((len(signatures), len(signatures)), bool)
    for place in range(len(signatures)):
        candidates = (keys == keys[place]).any(axis=1)
        alike = (signatures == signatures[place]).mean(axis=1) >= threshold
        found[place] = candidates & alike & there & there[place]
    return found


def score(found: NDArray[np.bool_], truth: Labelled) -> tuple[float, float, float]:
    """Precision, recall and F1 of the pairs above the diagonal."""
    upper = np.triu(found, 1)
    right = sum(bool(upper[pair]) for pair in truth.pairs)
    claimed = int(upper.sum()) - sum(bool(upper[pair]) for pair in truth.undecided)
    return right / max(claimed, 1), right / max(len(truth.pairs), 1), 2 * right / max(claimed + len(truth.pairs), 1)


def main() -> None:
    """Print a table for every set; the best F1 of each detector is marked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--best", action="store_true", help="print only the best three settings of each detector")
    options = parser.parse_args()
    for one in labelled():
        results = []
        for ngram in NGRAMS:
            near = Near(ngram=ngram, bands=1, rows=PERMUTATIONS)
            exact, signatures, there = similarities(one.texts, near)
            for threshold in THRESHOLDS:
                results.append(("jaccard", ngram, threshold, *score(exact >= threshold, one)))
                results.append(
                    (
                        "signature",
                        ngram,
                        threshold,
                        *score(
                            by_signature(signatures, there, threshold, *bands.optimal(threshold, PERMUTATIONS)), one
                        ),
                    )
                )
            if ngram == DEFAULT.ngram:
                found = by_signature(signatures, there, DEFAULT.min_similarity, DEFAULT.bands, DEFAULT.rows)
                default = score(found, one)
        print(f"{one.name}: {len(one.texts)} texts, {len(one.pairs)} pairs")
        for detector in ("jaccard", "signature"):
            own = [result for result in results if result[0] == detector]
            best = sorted(own, key=lambda result: -result[-1])[:3]
            for result in best if options.best else own:
                _, ngram, threshold, precision, recall, f1 = result
                mark = "  <- best" if result == best[0] else ""
                print(
                    f"  {detector:9} {ngram} words  threshold {threshold:.2f}  "
                    f"precision {precision:.3f}  recall {recall:.3f}  F1 {f1:.3f}{mark}"
                )
        precision, recall, f1 = default
        print(
            f"  the default settings ({DEFAULT.ngram} words, {DEFAULT.bands} x {DEFAULT.rows}, {DEFAULT.min_similarity}): "
            f"precision {precision:.3f}  recall {recall:.3f}  F1 {f1:.3f}"
        )


if __name__ == "__main__":
    main()
