"""Compiles what the workers of a run need, or finds it compiled, before they start: once, and while no record is waiting.

A kernel that is compiled in the middle of a record can take so long on a busy machine that the record looks as if it hung.
"""

from __future__ import annotations

import numpy as np

from filters.document import Document, Origin
from pipeline.dedup import candidates, keys, runs
from pipeline.dedup.settings import Boilerplate, Dedup, Sentence
from pipeline.recipe import Recipe

_PAGE = """<!doctype html><html><head><title>A page</title><meta charset="utf-8"></head><body><nav><a href="/">Home</a></nav>
<h1>A page</h1><p>This is a paragraph of a page, with two sentences. It is long enough to be taken for text.</p>
<ul><li>One</li><li>Two</li></ul><table><tr><td>1</td><td>2</td></tr></table><footer>The end</footer></body></html>"""


def warm_up(recipe: Recipe) -> None:
    """Run every kernel of extraction and dedup that this recipe uses; those of its filters have run on the built-in sample."""
    if any(hasattr(source, "extractor") for source in recipe.sources):
        from pipeline.extraction.main_content import main_content

        main_content(_PAGE.encode(), notes={}, url="https://site.example/page", crawled="2024-01-01")
    if recipe.dedup:
        text = "One two three four five. Six seven! Eight."
        document = Document("0", text, "warm-up", Origin("", 0, 0), url="https://site.example/")
        keys.of_documents([document], Dedup(sentence=Sentence(boilerplate=Boilerplate())), True)
        same = np.frombuffer(bytes(2 * 8 * 4), np.uint32).reshape(2, 8)  # read-only, as what is read from a file is
        _, found, sketch = candidates.bands_within(same, np.ones(2, bool), 1, 8, 0, 1 << 32)
        candidates.links(runs.rows(found, sketch, np.zeros(2, np.uint64), np.arange(2, dtype=np.uint64)), 0)
