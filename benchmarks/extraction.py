"""How well and how fast extractors find the main text of pages with gold text: ours and its peers, in one run.

    python -m benchmarks.extraction [../shared/data/html-gold] [--only corpusmill resiliparse]

Scores are those of the field's tables: F1, precision and recall of bags of lower-cased ``\\w+`` words, page by page, and
their means; over snippets precision, recall and F1 of all snippets together. Milliseconds are CPU time of one process,
parsing and all, from decoded text to text. Pages of ours were also trained on: what holds for pages never seen is the
cross-validated score, which ``benchmarks.train_extraction`` prints.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.gold import GoldPage, read_gold, score
from benchmarks.material import SHARED
from pipeline.extraction.main_content import Extractor, main_content


def _by(extractor: Extractor) -> Callable[[str], str]:
    return lambda html: main_content(html, extractor)


def _without_comments(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=True, alt_texts=False, comments=False))


def _trafilatura_precision(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html, include_comments=False, favor_precision=True) or ""


def _readability(html: str) -> str:
    from readability import Document
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(Document(html).summary()))


PEERS: dict[str, Callable[[str], str]] = {
    "corpusmill": _by("corpusmill"),
    "resiliparse": _without_comments,
    "trafilatura": _by("trafilatura"),
    "trafilatura precision": _trafilatura_precision,
    "justext": _by("justext"),
    "readability": _readability,
    "everything": _by("everything"),
}


def timed(name: str, pages: Sequence[GoldPage]) -> tuple[list[str], list[float], int]:
    """What an extractor finds on each page, its milliseconds on each, and the number of pages that it fails on."""
    extract = PEERS[name]
    extract("<p>What is compiled or imported once, is now.</p>")
    texts, times, failed = [], [], 0
    gc.collect()
    for k, page in enumerate(pages):
        began = time.process_time()
        try:
            text = extract(page.html)
        except Exception:  # noqa: BLE001 - that it fails is the result
            text = ""
            failed += 1
        times.append(1000 * (time.process_time() - began))
        texts.append(text)
        if k % 50 == 0:
            print(f"\r{name}: {k} of {len(pages)}", end="\033[K", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr, flush=True)
    return texts, times, failed


def _groups(pages: Sequence[GoldPage]) -> dict[str, list[int]]:
    """Numbers of the pages of each gold set, page type and language (of ten pages and more)."""
    groups: dict[str, list[int]] = {}
    for k, page in enumerate(pages):
        if page.text is not None:
            for name in (page.source, page.page_type, page.language or "no language"):
                if name:
                    groups.setdefault(name, []).append(k)
    return {name: found for name, found in groups.items() if len(found) >= 10}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "gold", type=Path, nargs="?", default=SHARED / "html-gold", help="folder of pages with gold text"
    )
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="extractors to run")
    given = parser.parse_args()
    pages = read_gold(given.gold)
    groups = _groups(pages)
    print(f"{len(pages)} pages\n{'':22}     P     R    F1   snippets P / R / F1    ms    p99  failed  empty")
    found: dict[str, list[str]] = {}
    for name in given.only:
        if name == "readability" and importlib.util.find_spec("readability") is None:
            print("readability: not installed (pip install readability-lxml)")
            continue
        found[name], times, failed = timed(name, pages)
        result = score(pages, found[name])
        precision, recall, f1 = result.snippets()
        print(
            f"{name:22} {result.precision:.3f} {result.recall:.3f} {result.f1:.3f}   {precision:.3f} {recall:.3f} "
            f"{f1:.3f}        {np.mean(times):6.2f} {np.percentile(times, 99):6.1f} {failed:7} "
            f"{sum(not text for text in found[name]):6}"
        )
    for measure in ("f1", "precision", "recall"):
        print(f"\n{measure:22} {'pages':>6}" + "".join(f"{name[:11]:>13}" for name in found))
        for group, members in groups.items():
            line = [
                getattr(score([pages[k] for k in members], [texts[k] for k in members]), measure)
                for texts in found.values()
            ]
            print(f"{group:22} {len(members):6}" + "".join(f"{one:13.3f}" for one in line))


if __name__ == "__main__":
    main()
