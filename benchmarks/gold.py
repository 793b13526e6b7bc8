"""Pages whose main text people have written down, and the yardstick: F1 of bags of words, and snippets found or avoided."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lxml.html
import zstandard
from warcio.archiveiterator import ArchiveIterator

from pipeline.extraction.charset import charset_of, decode

SOURCES = ("wcxb", "scrapinghub", "newspaper", "newspaper4k", "readability", "trafilatura")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class GoldPage:
    """A page and what is right: its whole text, or snippets that belong to it and that don't."""

    html: str
    source: str
    domain: str
    url: str
    page_type: str = ""
    language: str = ""
    text: str | None = None
    wanted: Sequence[str] = ()
    unwanted: Sequence[str] = ()


def read_gold(folder: Path) -> list[GoldPage]:
    """The pages of a folder with ``gold-<source>.jsonl.zst`` and the WARC files that these name, in order.

    Rows hold ``record_id``, ``warc``, ``source``, ``domain``, ``url`` and ``text``, ``html`` (of the article) or
    ``with`` and ``without`` (snippets). Rows whose page is in none of the files are left out.
    """
    rows = [row for source in SOURCES for row in _rows(folder / f"gold-{source}.jsonl.zst")]
    html: dict[str, str] = {}
    for warc in sorted({row["warc"] for row in rows}):
        path = folder / Path(warc).name
        if path.exists():
            html.update(_pages(path))
    return [_gold_page(row, html[row["record_id"]]) for row in rows if row["record_id"] in html]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open("rb") as file:
            yield from map(json.loads, io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"))


def _pages(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                content_type = record.http_headers.get_header("Content-Type") or ""
                body = record.content_stream().read()
                yield record.rec_headers.get_header("WARC-Record-ID"), decode(body, charset_of(content_type))[0]


def _gold_page(row: dict[str, str], html: str) -> GoldPage:
    text = row.get("text")
    if "html" in row:
        text = " ".join(" ".join(lxml.html.fromstring(row["html"]).itertext()).split())
    language = re.search(r"<html[^>]{0,500}?\slang\s*=\s*[\"']?([a-zA-Z]{2})", html[:20_000])
    return GoldPage(
        html,
        row["source"],
        row["domain"],
        row["url"],
        row.get("page_type", ""),
        language[1].lower() if language else "",
        text,
        row.get("with") or (),
        row.get("without") or (),
    )


def words(text: str) -> list[str]:
    """The words that are compared: runs of letters, digits and underscores, lower-case."""
    return _WORD.findall(text.lower())


@dataclass
class Score:
    """Means over pages with whole texts, and counts over snippets."""

    pages: int = 0
    precision: float = 0.0
    recall: float = 0.0
    f1: float = 0.0
    wanted: Counter[bool] = field(default_factory=Counter)
    unwanted: Counter[bool] = field(default_factory=Counter)

    def snippets(self) -> tuple[float, float, float]:
        """Precision, recall and F1 over all snippets; what is found of those not wanted is wrong."""
        hits = self.wanted[True]
        precision = hits / max(1, hits + self.unwanted[True])
        recall = hits / max(1, self.wanted.total())
        return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def compare(found: str, gold: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of the words found, as bags. Of nothing and nothing, all are 1."""
    have, want = Counter(words(found)), Counter(words(gold))
    if not have and not want:
        return 1.0, 1.0, 1.0
    common = (have & want).total()
    return (
        common / max(1, have.total()),
        common / max(1, want.total()),
        2 * common / max(1, have.total() + want.total()),
    )


def score(pages: Iterable[GoldPage], texts: Iterable[str]) -> Score:
    """How good texts are for pages: means over those with a whole text; snippets of all others, white space as one space."""
    result = Score()
    sums = [0.0, 0.0, 0.0]
    for page, text in zip(pages, texts, strict=True):
        if page.text is not None:
            result.pages += 1
            sums = [total + one for total, one in zip(sums, compare(text, page.text), strict=True)]
        else:
            flat = " ".join(text.split())
            result.wanted.update(" ".join(one.split()) in flat for one in page.wanted)
            result.unwanted.update(" ".join(one.split()) in flat for one in page.unwanted)
    result.precision, result.recall, result.f1 = (total / max(1, result.pages) for total in sums)
    return result
