"""Every kind of source by its name in recipes."""

from __future__ import annotations

from pipeline.sources.books import Books
from pipeline.sources.code import Code
from pipeline.sources.commoncrawl import CommonCrawl
from pipeline.sources.source import Source
from pipeline.sources.tables import Jsonl, Parquet
from pipeline.sources.warc import Warc, Wet
from pipeline.sources.wikipedia import Wikipedia

KINDS: dict[str, type[Source]] = {
    "warc": Warc,
    "wet": Wet,
    "commoncrawl": CommonCrawl,
    "wikipedia": Wikipedia,
    "books": Books,
    "code": Code,
    "jsonl": Jsonl,
    "parquet": Parquet,
}
