"""Every kind of source by its name in recipes."""

from __future__ import annotations

from pipeline.sources.arxiv import Arxiv
from pipeline.sources.books import Books
from pipeline.sources.code import Code
from pipeline.sources.commoncrawl import CommonCrawl
from pipeline.sources.reddit import Reddit
from pipeline.sources.source import Source
from pipeline.sources.stackexchange import StackExchange
from pipeline.sources.tables import Arrow, Jsonl, Parquet
from pipeline.sources.warc import Warc, Wet
from pipeline.sources.wikipedia import Wikipedia

KINDS: dict[str, type[Source]] = {
    "warc": Warc,
    "wet": Wet,
    "commoncrawl": CommonCrawl,
    "wikipedia": Wikipedia,
    "books": Books,
    "arxiv": Arxiv,
    "code": Code,
    "stackexchange": StackExchange,
    "reddit": Reddit,
    "jsonl": Jsonl,
    "parquet": Parquet,
    "arrow": Arrow,
}
