"""How often title, author and date of publication are right, beside trafilatura and htmldate, and what each costs.

    python -m benchmarks.page_metadata ../shared/data/html-gold

A date is right if it is the day that the gold has, a title if it has the same words, an author if half of the words are
the same. htmldate is asked for the original date with its extensive search, which is its most accurate setting.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType
from htmldate import find_date
from trafilatura import extract_metadata

from pipeline.extraction.charset import decode
from pipeline.extraction.facts.metadata import page_metadata
from pipeline.extraction.html.html_parser import parse
from pipeline.sources.crawl.warc import iso_date

CORPORA = ("htmldate", "trafilatura", "wcxb", "readability")


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def same_author(found: str, gold: str) -> bool:
    one, other = set(words(found)), set(words(gold))
    return bool(one & other) and 4 * len(one & other) >= len(one) + len(other)


def main(folder: Path) -> None:
    gold: dict[str, dict[str, dict[str, Any]]] = {}
    for corpus in CORPORA:
        data = zstandard.ZstdDecompressor().stream_reader((folder / f"gold-{corpus}.jsonl.zst").read_bytes()).read()
        for row in map(json.loads, data.decode().strip().split("\n")):
            gold.setdefault(row["record_id"].strip("<>"), {})[corpus] = row
    parse(b"")  # compiled before the clock starts
    right: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    seconds: Counter[str] = Counter()
    pages = 0
    for path in sorted(folder.glob("*.warc.gz")):
        for record in ArchiveIterator(path.open("rb"), record_types=WarcRecordType.response):
            rows = gold.get(record.record_id.strip("<>"))
            if not rows:
                continue
            url = next(iter(rows.values()))["url"]
            crawled = iso_date(record.headers.get("WARC-Date", ""))
            html = decode(record.reader.read())[0]
            pages += 1
            began = time.process_time()
            ours = page_metadata(parse(html.encode("utf-8", "replace")), url, crawled)
            seconds["ours, with parsing"] += time.process_time() - began
            began = time.process_time()
            try:
                date = find_date(html, url=url, original_date=True, extensive_search=True) or ""
            except (ValueError, AttributeError, TypeError):  # pages it can't parse
                date = ""
            seconds["htmldate"] += time.process_time() - began
            began = time.process_time()
            theirs = extract_metadata(html, default_url=url)
            seconds["trafilatura"] += time.process_time() - began
            for corpus, row in rows.items():
                if row.get("date"):
                    total[corpus, "date"] += 1
                    right[corpus, "date", "ours"] += ours.published == row["date"][:10]
                    right[corpus, "date", "theirs"] += date == row["date"][:10]
                if row.get("title"):
                    total[corpus, "title"] += 1
                    right[corpus, "title", "ours"] += words(ours.title) == words(row["title"])
                    right[corpus, "title", "theirs"] += words(theirs.title or "") == words(row["title"])
                if isinstance(row.get("author"), str):
                    total[corpus, "author"] += 1
                    right[corpus, "author", "ours"] += same_author(ours.author, row["author"])
                    right[corpus, "author", "theirs"] += same_author(theirs.author or "", row["author"])
    print(f"{'':24}  pages   ours  htmldate (dates), trafilatura")
    for corpus, what in sorted(total):
        shares = [right[corpus, what, who] / total[corpus, what] for who in ("ours", "theirs")]
        print(f"{corpus + ' ' + what:24} {total[corpus, what]:6} {shares[0]:6.1%} {shares[1]:6.1%}")
    for name, spent in seconds.items():
        print(f"{name:24} {1000 * spent / pages:6.2f} ms a page")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
