"""Every kind of source by its name in recipes."""

from __future__ import annotations

from pipeline.sources.book.books import Books
from pipeline.sources.crawl.commoncrawl import CommonCrawl
from pipeline.sources.crawl.warc import Warc, Wet
from pipeline.sources.forum.stackexchange import StackExchange
from pipeline.sources.latex.arxiv import Arxiv
from pipeline.sources.reddit import Reddit
from pipeline.sources.repository.code import Code
from pipeline.sources.source import Source
from pipeline.sources.tables import Arrow, Jsonl, Parquet
from pipeline.sources.wiki.wikipedia import Wikipedia

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
