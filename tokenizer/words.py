"""Counts the words of texts, all that training needs to know of them, and adds up counts within a bound of memory."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import regex

SCHEMA = pa.schema({"word": pa.binary(), "count": pa.int64()})
"""A table of words: their UTF-8 bytes, each once, and how often they occur. The most frequent first, then by bytes."""

LONGEST_WORD = 256
"""Characters. A longer stretch that no pattern splits counts as words of this length: merges are not lost but for the pair at
each cut, and a megabyte of letters is no megabyte to keep."""


def count_words(texts: Iterable[str], pattern: str) -> Counter[str]:
    """How often each word occurs; words are what ``pattern`` matches (see ``tokenizer.splits``). Time is linear."""
    split = _compiled(pattern)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split.findall(text))
    for word in [word for word in counts if len(word) > LONGEST_WORD]:
        times = counts.pop(word)
        for start in range(0, len(word), LONGEST_WORD):
            counts[word[start : start + LONGEST_WORD]] += times
    return counts


@functools.lru_cache(maxsize=4)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)


def table(counts: Counter[str], limit: int) -> pa.Table:
    """Counted words as a table; the rarest are left out where the words together have more than ``limit`` bytes."""
    words = pa.array([word.encode() for word in counts], pa.binary())
    return most_frequent(pa.table([words, pa.array(counts.values(), pa.int64())], schema=SCHEMA), limit)


def most_frequent(words: pa.Table, limit: int) -> pa.Table:
    """The most frequent words whose bytes come to no more than ``limit``, sorted; of equal counts those first in order of
    their bytes."""
    words = words.sort_by([("count", "descending"), ("word", "ascending")])
    if len(words) == 0:
        return words
    sizes = pc.cumulative_sum(pc.cast(pc.binary_length(words.column("word")), pa.int64()))
    fitting = pc.sum(pc.less_equal(sizes, limit)).as_py()
    return words.slice(0, fitting)


def add_up(tables: Iterable[pa.Table], limit: int) -> pa.Table:
    """One table of all the words of the tables, no more than ``limit`` bytes of them.

    Holds a few times ``limit`` at once, however many tables there are: where more come together, the rarest words
    that were seen until then are left out. So the result depends on the tables and on their order.
    """
    held: list[pa.Table] = []
    size = 0
    for one in tables:
        held.append(one)
        size += one.nbytes
        if size > 4 * limit:
            held = [most_frequent(_sum(held), 2 * limit)]
            size = held[0].nbytes
    return most_frequent(_sum(held), limit)


def _sum(tables: list[pa.Table]) -> pa.Table:
    whole = pa.concat_tables([SCHEMA.empty_table(), *tables])
    summed = whole.group_by("word", use_threads=False).aggregate([("count", "sum")])
    return pa.table([summed.column("word"), summed.column("count_sum")], schema=SCHEMA)
