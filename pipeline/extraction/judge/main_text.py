"""The main text of a page: blocks judged by what they are like, chosen for the best F1 to be expected, and written out.

Two forests of gradient-boosted trees judge, the second with the first one's judgement of what is around a block before it.
They were trained by ``benchmarks/train_extraction.py``, which says on what and how well they do on sites they never saw.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.html_parser import parse
from pipeline.extraction.html.markup import ATTRIBUTES, tag
from pipeline.extraction.html.tree import Tree
from pipeline.extraction.judge import context, features
from pipeline.extraction.judge.blocks import BLOCK_LEVEL, CHARACTER_CLASS, UNSHOWN, WORDS, Blocks, cut
from pipeline.extraction.judge.forest import Forest, log_odds
from pipeline.extraction.judge.render import render

Array = NDArray[Any]

MODEL: Final = Path(__file__).with_name("main_text.npz")
MAX_BLOCKS: Final = 16_384
"""Blocks of a page that are looked at; the largest page in a thousand has three thousand."""

_CLASS: Final = ATTRIBUTES.index("class")
_TITLE: Final = tag("title")
_TITLE_WORDS: Final = 64
_NOSCRIPT: Final = re.compile(rb"<noscript[\s>]", re.IGNORECASE)
_NOSCRIPT_END: Final = re.compile(rb"</noscript", re.IGNORECASE)
_MUCH_NOSCRIPT: Final = 2_000
_BYTES_A_WORD: Final = 8


class Page(NamedTuple):
    """A page ready to be judged; ``b`` is the number of its blocks."""

    tree: Tree
    blocks: Blocks
    words: Array
    """float32[b]"""
    features: Array
    """float32[b, features.COUNT]"""
    groups: Array
    """int32[b]"""


class Model(NamedTuple):
    """The two forests."""

    first: Forest
    second: Forest


def main_text(page: Page) -> str:
    """The main text of a page; empty where it has no text."""
    if not len(page.words):
        return ""
    likely = judge(page)
    limit, _ = context.bar(likely, page.words)
    return write(page, likely >= limit)


def everything(page: Page) -> str:
    """All text that a page shows, navigation and all."""
    return write(page, np.ones(len(page.words), np.bool_))


def read(html: bytes) -> Page:
    """Parse a page in UTF-8, cut it into blocks and describe them. Never raises; time is linear in bytes."""
    tree, blocks = _as_shown(html)
    blocks = Blocks(*(one[:MAX_BLOCKS] for one in blocks))
    source = np.frombuffer(tree.source, np.uint8)
    classes = features.class_hashes(
        len(tree),
        tree.attribute_nodes,
        tree.attribute_names,
        tree.attribute_starts,
        tree.attribute_stops,
        source,
        _CLASS,
    )
    title = np.zeros(_TITLE_WORDS, np.uint64)
    titles = np.flatnonzero(tree.tag == _TITLE)[:1]
    for node in titles:
        title = title[: features.title_words(tree.text, tree.start[node], tree.stop[node], title)]
    if not len(titles):
        title = title[:0]
    described, groups = features.describe(
        tree.tag,
        tree.parent,
        tree.end,
        tree.depth,
        tree.hints,
        tree.text,
        classes,
        title,
        *blocks,
        features.CONTAINER_CODE,
        features.AROUND_CODE,
        features.PAGE_HINTS,
        BLOCK_LEVEL,
    )
    return Page(tree, blocks, np.ascontiguousarray(blocks.counts[:, WORDS]), described, groups)


def _as_shown(html: bytes) -> tuple[Tree, Blocks]:
    """A page as browsers show it; as they do without scripts where that shows much more (forums that draw themselves)."""
    tree = parse(html)
    blocks = _cut(tree)
    shown = blocks.counts[:, WORDS].sum()
    if _noscript_bytes(html) > max(_MUCH_NOSCRIPT, _BYTES_A_WORD * shown):
        unscripted = parse(html, scripting=False)
        other = _cut(unscripted)
        if other.counts[:, WORDS].sum() > 1.5 * shown:
            return unscripted, other
    return tree, blocks


def _noscript_bytes(html: bytes) -> int:
    """How much of a page stands in ``noscript``."""
    size = at = 0
    while found := _NOSCRIPT.search(html, at):
        end = _NOSCRIPT_END.search(html, found.end())
        at = end.end() if end else len(html)
        size += at - found.end()
    return size


def _cut(tree: Tree) -> Blocks:
    return cut(tree.tag, tree.end, tree.start, tree.stop, tree.text, BLOCK_LEVEL, UNSHOWN, CHARACTER_CLASS)


def look_around(page: Page, likely: Array) -> Array:
    """float32[b, context.COUNT]: what a first judgement says about the surroundings of each block."""
    tree = page.tree
    return context.look_around(
        tree.parent, tree.end, BLOCK_LEVEL[tree.tag], page.blocks.first, page.groups, page.words, likely
    )


def judge(page: Page) -> Array:
    """float32[b]: how likely each block is main text, from 0 to 1: the mean of both judgements."""
    model = _model()
    first = probability(log_odds(page.features, model.first))
    second = probability(log_odds(np.hstack((page.features, look_around(page, first))), model.second))
    return (first + second) / np.float32(2)


@njit(cache=True)
def probability(odds: Array) -> Array:
    """float32[b]: log odds, float32[b], as probabilities."""
    likely = np.empty(len(odds), np.float32)
    for b in range(len(odds)):
        likely[b] = 1 / (1 + np.exp(-np.float64(odds[b])))
    return likely


def write(page: Page, kept: Array) -> str:
    """The text of the blocks that are ``kept``, bool[b]."""
    tree, blocks = page.tree, page.blocks
    text = render(
        tree.tag, tree.parent, tree.start, tree.stop, tree.text, blocks.first, blocks.container, blocks.stop, kept
    )
    return text.tobytes().decode("utf-8", "replace")


@cache
def _model() -> Model:
    with np.load(MODEL, allow_pickle=False) as stored:
        return Model(*(Forest(*(stored[f"{stage}_{name}"] for name in Forest._fields)) for stage in Model._fields))
