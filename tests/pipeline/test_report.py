"""The report: its numbers, its charts, and that hostile documents stay text in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from filters.document import Document, Origin
from filters.filter import COMPARE, Rule, Signal
from pipeline import manifest, tables
from pipeline.files import Written
from pipeline.finish import signals
from pipeline.layout import Layout
from pipeline.plan import Plan, Split, document_number
from pipeline.recipe import Recipe
from pipeline.recipe_file import loads
from pipeline.report import charts, distributions, duplicates, examples, facts, page, sample
from pipeline.sources.source import FilePart
from pipeline.stage import output

RECIPE = """
name: little
sources:
  - {name: web, kind: warc, paths: ["web/*.warc.gz"], filters: web}
  - {name: wiki, kind: wikipedia, paths: ["wiki/*.bz2"], filters: reference}
filters:
  web:
    - language: {keep: [en]}
    - gopher_quality: {min_words: 10}
  reference:
    - gopher_repetition
dedup: {priority: [wiki, web]}
pii: {entities: [email]}
"""

HOSTILE = (
    "</title><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</style></pre></blockquote><svg onload=document.title='owned'>",
    "'\" onmouseover=document.title='owned' x=\"",
    "{{ 7 * 7 }} {% for x in y %} ${7*7}",
    "right to left \u202e txet \u202c and \x00\x07 controls \ufeff \u2028",
    "\u0301 alone, and Z" + "\u0336\u0321" * 500,
    "W" * 5000,
    "&lt;script&gt; &amp;amp; ]]> <!-- --> \\u003cscript\\u003e",
)
HOSTILE_URLS = (
    "javascript:document.title='owned'",
    "JaVaScRiPt://example.org/%0adocument.title='owned'",
    "data:text/html,<script>document.title='owned'</script>",
    "https://example.org/\"><script>document.title='owned'</script>",
    "https://example.org/?q='onmouseover=document.title='owned'",
    " https://example.org/leading space",
    "https://example.org/\u202egpj.exe",
    "//example.org/no-scheme",
    "https://" + "a" * 5000 + ".example/",
    "https://example.org/plain?a=1&b=<2>",
    "https://example.org/plain?a=1&b=2",
)


@dataclass
class FakeRun:
    """Writes the tables of a run as the stages would, and makes its manifest from their commits."""

    folder: Path
    recipe: Recipe
    tokens: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layout = Layout(str(self.folder))
        self.splits: list[Split] = []
        self.outputs: dict[str, list[dict[str, Any]]] = {"prepare": [], "finish": []}
        self.commits: dict[str, list[dict[str, Any]]] = {"prepare": [], "finish": []}

    def document(self, source: str, text: str, removed_by: str = "", **fields: Any) -> Document:
        """A document of the split that is added next; ``record`` is its number there."""
        record = fields.pop("record")
        number = document_number(len(self.splits), record)
        place = Origin("a/file.gz", 100 * record, 100)
        name = hashlib.blake2b(f"{source} {number}".encode(), digest_size=16).hexdigest()
        return Document(name, text, source, place, number, removed_by=removed_by, **fields)

    def split(
        self,
        source: str,
        kept: list[Document] = [],  # noqa: B006 - never changed
        removed: list[Document] = [],  # noqa: B006
        repeated: list[tuple[Document, Document, str, float]] = [],  # noqa: B006
        spans: list[tuple[Document, str]] = [],  # noqa: B006
        failed: list[tuple[str, str]] = [],  # noqa: B006
        pii: dict[str, int] | None = None,
    ) -> None:
        """Add a split. ``repeated``: (document, the kept one, level, similarity), removed by dedup."""
        number = sum(split.source == source for split in self.splits)
        split = Split(source, number, len(self.splits), (FilePart("x", "x", 0, 9, 9),))
        self.splits.append(split)
        gone = [one for one, *_ in repeated]
        filtered = sorted([*kept, *gone], key=lambda one: one.number)
        prepared, finished = [], []
        if filtered:
            prepared.append(self._documents("filtered", split, filtered, self.recipe.signals))
        if removed:
            prepared.append(self._documents("removed", split, removed, self.recipe.signals))
        if failed:
            rows = [
                {
                    "number": document_number(split.index, 1000 + place),
                    "source": source,
                    "file": "a/file.gz",
                    "offset": 7 * place,
                }
                | {"length": 70, "url": "", "step": step, "cause": cause}
                for place, (step, cause) in enumerate(failed)
            ]
            prepared.append(self._table("failed", split, pa.Table.from_pylist(rows, tables.FAILED)))
        if kept:
            finished.append(self._documents("documents", split, kept, signals(self.recipe)))
        if repeated or spans:
            rows = [self._evidence(*one, "") for one in repeated]
            rows += [self._evidence(one, one, "sentence.span", 1.0, text) for one, text in spans]
            finished.append(self._table("duplicates", split, pa.Table.from_pylist(rows, tables.DUPLICATES)))
        counts: Counter[str] = Counter({f"{source}|read": len(filtered) + len(removed) + len(failed)})
        counts.update(f"{source}|removed|{one.removed_by}" for one in removed)
        counts.update(f"{source}|failed|{step}" for step, _ in failed)
        later: Counter[str] = Counter({f"{source}|kept": len(kept)})
        later.update(f"{source}|removed|dedup.{level}" for _, _, level, _ in repeated)
        later.update({f"{source}|pii|{entity}": count for entity, count in (pii or {}).items()})
        later[f"{source}|spans_cut"] += len(spans)
        later[f"{source}|text_bytes"] += sum(len(one.text.encode()) for one in kept)
        self.commits["prepare"].append({"item": split.name, "outputs": prepared, "counts": counts})
        self.commits["finish"].append({"item": split.name, "outputs": finished, "counts": later})

    def _documents(self, kind: str, split: Split, documents: list[Document], names: tuple[str, ...]) -> dict[str, Any]:
        schema = tables.documents(names, removed=kind == "removed")
        return self._table(kind, split, tables.of_documents(documents, schema))

    def _table(self, kind: str, split: Split, table: pa.Table) -> dict[str, Any]:
        written = tables.write(self.layout.path(f"{kind}/{split.name}-00.parquet"), table)
        return output(self.layout, kind, written, rows=table.num_rows, source=split.source)

    @staticmethod
    def _evidence(gone: Document, kept: Document, level: str, similarity: float, text: str) -> dict[str, Any]:
        row = {
            "number": gone.number,
            "id": gone.id,
            "level": level,
            "kept_number": kept.number,
            "kept_source": kept.source,
        }
        return row | {"similarity": similarity, "start": 0, "stop": len(gone.text), "text": text}

    def manifest(self) -> dict[str, Any]:
        """The manifest, with a tokenizer and a shard a source where ``tokens`` are given."""
        commits = dict(self.commits)
        if self.tokens:
            tokenizer = Written(self.layout.tokenizer, None, 10, "0" * 64)
            facts_ = {"vocabulary": 4096, "end_of_text": 0, "engine": "tiktoken", "trained": True}
            rows = [output(self.layout, "tokenizer", tokenizer, rows=0, **facts_)]
            for source, count in self.tokens.items():
                shard = Written(self.layout.path(f"shards/train/{source}/00000-of-00001.arrow"), None, 99, "0" * 64)
                rows.append(output(self.layout, "shard", shard, rows=1, source=source, split="train", tokens=count))
            commits["pack"] = [{"item": "all", "outputs": rows, "counts": {}}]
        return manifest.make(self.recipe, Plan(tuple(self.splits), {}, "1" * 64, "2" * 64), self.layout, commits)

    def page(self) -> str:
        """The page, written and read again."""
        made = self.manifest()
        (row,) = page.write(self.recipe, self.layout, made)
        content = Path(self.layout.report).read_bytes()
        assert row == {
            "kind": "report",
            "path": "report/index.html",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        return content.decode()


def little(folder: Path, recipe: str = RECIPE, tokens: bool = True) -> FakeRun:
    """Two sources, three splits, something of everything."""
    run = FakeRun(folder, loads(recipe), {"web": 4000, "wiki": 1000} if tokens else {})
    words = [8.0, 12.0, 200.0, 3000.0]
    kept = [
        run.document(
            "web",
            f"Kept text {n}. " * 20,
            record=n,
            url=f"https://a.example/{n}",
            language="en",
            signals={"gopher.words": 40.0 + n},
        )
        for n in range(6)
    ]
    removed = [
        run.document("web", "", "http.status", record=10, url="https://a.example/404"),
        *(
            run.document(
                "web", f"Short number {n}.", "gopher.too_few_words", record=11 + n, url=f"https://s.example/{n}", language="en",
                signals={"language.kept_score": 0.9, "gopher.words": words[0]},
            )
            for n in range(7)
        ),
        run.document("web", "Bonjour " * 300, "language.not_kept", record=20, language="fr", signals={"language.kept_score": 0.0}),
    ]  # fmt: skip
    twins = [run.document("web", "Kept text 0. " * 20, record=30 + n, url=f"https://b.example/{n}") for n in range(3)]
    run.split(
        "web", kept, removed,
        [(twins[0], kept[0], "document.exact", 1.0), (twins[1], kept[0], "document.near", 0.9), (twins[2], twins[1], "document.exact", 1.0)],
        [(kept[1], "Subscribe to our letter."), (kept[2], "Subscribe to our letter."), (kept[3], "Only once.")],
        [("read", "gzip: bad block at byte 17"), ("read", "gzip: bad block at byte 99"), ("extract", "ValueError: 'x' is odd")],
        {"email": 5},
    )  # fmt: skip
    run.split("web", [run.document("web", "Another one. " * 9, record=0, url="https://c.example/", language="en")])
    run.split(
        "wiki",
        [run.document("wiki", "An article. " * 30, record=0)],
        [run.document("wiki", "", "wikipedia.redirect", record=1)],
    )
    return run


def text_of(content: str) -> str:
    """What a reader sees, white space collapsed."""
    return re.sub(r"\s+", " ", html.fromstring(content).text_content())


def rows_of(content: str, section: str) -> list[list[str]]:
    """The cells of all tables in a section."""
    (found,) = html.fromstring(content).xpath(f"//section[@id='{section}']")
    return [[re.sub(r"\s+", " ", cell.text_content()).strip() for cell in row] for row in found.iter("tr")]


def test_the_funnel_says_what_became_of_every_record(tmp_path: Path) -> None:
    run = little(tmp_path)
    web, wiki = facts.funnels(run.recipe, run.manifest())
    assert [(one.reason, one.stage, one.count, one.before) for one in web.losses] == [
        ("http.status", "source", 1, 22),
        ("language.not_kept", "filter-0", 1, 21),
        ("gopher.too_few_words", "filter-1", 7, 20),
        ("dedup.document.exact", "dedup", 2, 13),
        ("dedup.document.near", "dedup", 1, 11),
        ("failed: read", "failed", 2, 10),
        ("failed: extract", "failed", 1, 8),
    ]
    assert web.losses[-1].after == web.kept == 7
    assert (wiki.read, wiki.kept, wiki.removed) == (2, 1, 1)
    rows = rows_of(run.page(), "funnel")
    # 7 of 22, and of the 20 records that had come so far
    assert ["gopher.too_few_words", "", "7", "31.8%", "35.0%", "13"] in rows
    assert ["all", "", "24", "8", "33.3%", "2.0 kB", "5,000"] in rows


def test_examples_are_drawn_for_every_reason(tmp_path: Path) -> None:
    run = little(tmp_path)
    made = run.manifest()
    reasons = facts.reasons(facts.funnels(run.recipe, made))
    found = {one.name: one for one in examples.removed(run.recipe, reasons, sample.draw(run.recipe, run.layout, made))}
    assert list(found) == [
        "http.status", "wikipedia.redirect", "language.not_kept", "gopher.too_few_words", "dedup.document.exact", "dedup.document.near",
    ]  # fmt: skip
    short = found["gopher.too_few_words"]
    assert (short.count, len(short.examples), short.conditions) == (7, 5, ("gopher.words < 10",))
    everyone = [
        sample.rank(one["id"])
        for one in tables.read(run.layout.path("removed/web/00000-00.parquet"), ["id", "removed_by"]).to_pylist()
        if one["removed_by"] == "gopher.too_few_words"
    ]
    assert [sample.rank(one.place.id) for one in short.examples] == sorted(everyone)[:5]
    (judged,) = short.examples[0].judged
    assert (judged.rule.signal, judged.value, judged.rule.threshold) == ("gopher.words", 8.0, 10)
    (near,) = found["dedup.document.near"].examples
    assert near.kept and near.kept.place.url == "https://a.example/0" and round(near.kept.similarity, 2) == 0.9
    assert near.place.url == "https://b.example/1" and near.text.startswith("Kept text 0.")
    (french,) = found["language.not_kept"].examples
    assert french.characters == 2400 and len(french.text) == sample.READ_TEXT
    content = run.page()
    assert "gopher.words = 8, removed when < 10" in text_of(content)
    assert content.count("Bonjour") <= 600 // len("Bonjour ") + 1


def test_duplicates(tmp_path: Path) -> None:
    run = little(tmp_path)
    made = run.manifest()
    found = duplicates.gather(facts.funnels(run.recipe, made), sample.draw(run.recipe, run.layout, made))
    assert [(one.reason, one.counts) for one in found.levels] == [
        ("dedup.document.exact", (2, 0)),
        ("dedup.document.near", (1, 0)),
    ]
    (cluster,) = found.clusters  # the duplicate of a duplicate belongs to the document that stays
    assert cluster.size == 4 and cluster.kept.place.url == "https://a.example/0"
    assert [(one.level, one.place.url) for one in cluster.members] == [
        ("document.exact", "https://b.example/0"), ("document.near", "https://b.example/1"), ("document.exact", "https://b.example/2"),
    ]  # fmt: skip
    assert found.sizes == (0, 0, 1, 0, 0, 0)
    assert found.similarities.sum() == 1
    assert found.sites == (("b.example", 3),)
    assert found.spans == (("Subscribe to our letter.", 2),)


@given(st.lists(st.integers(0, 30), max_size=30))
def test_chains_of_duplicates_end_at_a_document_that_stays(kept: list[int]) -> None:
    """Document n + 1 was removed for some document before it."""
    gone = np.arange(1, len(kept) + 1, dtype=np.uint64)
    to = np.array([min(one, place) for place, one in enumerate(kept)], np.uint64)
    assert set(duplicates.final(gone, to).tolist()) <= {0}
    shuffled = np.argsort([hashlib.md5(str(one).encode()).digest() for one in range(len(kept))])
    assert set(duplicates.final(gone[shuffled], to[shuffled]).tolist()) <= {0}


def test_failures_are_grouped_by_cause(tmp_path: Path) -> None:
    run = little(tmp_path)
    causes = examples.failed(sample.draw(run.recipe, run.layout, run.manifest()))
    assert [(one.step, one.text, one.count) for one in causes] == [
        ("read", "gzip: bad block at byte N", 2),
        ("extract", "ValueError: '…' is odd", 1),
    ]
    assert {(one.file, one.offset, one.cause[-2:]) for one in causes[0].examples} == {
        ("a/file.gz", 0, "17"),
        ("a/file.gz", 7, "99"),
    }


@pytest.mark.parametrize(
    ("cause", "group"),
    [
        ("no such file: 'a b.gz'", "no such file: '…'"),
        ("can't read byte 0x1F at 12,345", "can't read byte N at N"),
        ("https://a.example/x: 404", "URL N"),
        ('said "hello" 3 times', "said '…' N times"),
    ],
)
def test_causes_that_differ_in_details_are_one(cause: str, group: str) -> None:
    assert examples.normalised(cause) == group


def test_distributions(tmp_path: Path) -> None:
    run = little(tmp_path)
    found = distributions.gather(run.recipe, sample.draw(run.recipe, run.layout, run.manifest()))
    assert [(one.name, one.kept, one.removed) for one in found.languages] == [("en", 7, 7), ("", 1, 2), ("fr", 0, 1)]
    lengths = found.lengths["kept"]
    assert (lengths.documents, lengths.characters) == (8, 6 * 20 * len("Kept text 0. ") + 9 * 13 + 30 * 12)
    assert 200 < lengths.median < 320
    assert found.lengths["removed"].documents == 8  # neither the 404 nor the redirect has a text
    web, reference = found.chains
    assert (web.sources, reference.sources) == (("web",), ("wiki",))
    words = next(one for one in web.signals if one.signal.name == "gopher.words")
    assert words.documents == {"kept": 6, "removed": 7}
    shortest = next(one for one in words.rules if one.rule.comparison == "<")
    assert (shortest.wrong["kept"], shortest.wrong["removed"]) == (0, 7)
    assert words.bins["removed"].sum() == 7
    assert all(one.axis is None and not one.documents.total() for one in reference.signals)  # never measured


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.lists(st.tuples(st.sampled_from(["<", "<=", ">", ">="]), st.floats(0, 1000)), min_size=1, max_size=1),
    st.sampled_from([1e6, float("inf")]),
)
def test_bins_never_mix_the_two_sides_of_a_threshold(
    values: list[float], rules: list[tuple[Any, float]], high: float
) -> None:
    """Counting the bins on the wrong side of the line counts the documents that the rule removes."""
    ((comparison, threshold),) = rules
    rule = Rule("s", comparison, threshold, "r")
    numbers = np.array([*values, threshold])
    axis = distributions.axis(numbers, [rule], Signal("s", 0, high, ""))
    assert axis is not None and (np.diff(axis.edges) > 0).all() and len(axis.edges) < 5 * distributions.BINS
    bins = axis.bins_of(numbers)
    assert bins.sum() == len(numbers)
    (at,) = np.flatnonzero(axis.edges == threshold)
    if 0 < at < len(bins):  # else there is nothing on one of the sides
        wrong = bins[:at] if comparison[0] == "<" else bins[at:]
        assert wrong.sum() == np.count_nonzero(COMPARE[comparison](numbers, threshold))  # type: ignore[arg-type]
    places = [axis.place(edge) for edge in axis.edges]
    assert places == sorted(places) and places[0] == 0 and places[-1] == 1
    labels = [place for place, _ in charts.ticks(axis)]
    assert labels == sorted(labels) and len(labels) < 12


def test_two_thresholds_are_both_edges() -> None:
    rules = [Rule("s", "<", 3, "short"), Rule("s", ">", 10, "long")]
    axis = distributions.axis(np.array([2.0, 4.0, 5.0, 11.0]), rules, Signal("s", 1, np.inf, ""))
    assert axis is not None and {3.0, 10.0} <= set(axis.edges.tolist()) and axis.edges[0] >= 1


def test_lengths() -> None:
    lengths = distributions.Lengths()
    lengths.add(np.array([0, 10, 10, 10, 99_999, 10**12]))
    assert (lengths.documents, lengths.characters) == (5, 10**12 + 100_029)
    assert lengths.bins[8] == 3 and lengths.bins[39] == 1 and lengths.bins[-1] == 1
    assert 10 <= lengths.median < 10 * 10 ** (1 / 8)
    assert distributions.Lengths().median == 0


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (1, "100%"), (0.5, "50.0%"), (0.9999, "99.99%"), (0.00004, "<0.01%"), (0.0004, "0.04%")],
)
def test_percentages(share: float, shown: str) -> None:
    assert charts.percent(share) == shown


def test_bars_fill_their_width() -> None:
    segments = [charts.Segment(0.25, "kept", "a <b>"), charts.Segment(0.75, "dedup", "c")]
    (first, second) = html.fromstring(str(charts.stacked(segments, "all"))).iter("rect")
    assert (first.get("x"), first.get("width"), first[0].text) == ("0.0", "250.0", "a <b>")
    assert (second.get("x"), second.get("width")) == ("250.0", "750.0")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first = little(tmp_path / "here").page()
    assert little(tmp_path / "some/other/place").page() == first
    assert str(tmp_path) not in first
    run = little(tmp_path / "again")
    shuffled = json.loads(json.dumps(run.manifest(), sort_keys=True))  # as it is read from manifest.json
    shuffled["files"].reverse()
    shuffled["versions"] = dict(reversed(shuffled["versions"].items()))
    assert page.render(run.recipe, run.layout, shuffled) == first


def test_personal_data_is_not_shown(tmp_path: Path) -> None:
    run = FakeRun(tmp_path, loads(RECIPE))
    kept = run.document("web", "Write to jane.roe@firma-muster.de today.", record=0)
    gone = run.document("web", "Or to john.doe@firma-muster.de " * 99, record=1)
    removed = [run.document("web", "x" * 590 + " richard.miles@firma-muster.de", "gopher.too_few_words", record=2)]
    run.split(
        "web", [kept], removed, [(gone, kept, "document.near", 0.8)], [(kept, "Ask mary.major@firma-muster.de")] * 2
    )
    content = run.page()
    assert "@firma-muster.de" not in content
    assert "&lt;EMAIL&gt;" in content
    assert "@firma-muster.de" in little_with_false(tmp_path / "as-it-is", run).page()


def little_with_false(folder: Path, like: FakeRun) -> FakeRun:
    """The same tables under a recipe that does not ask to remove personal data."""
    shutil.copytree(like.folder, folder)
    run = FakeRun(folder, loads(RECIPE.replace("pii: {entities: [email]}", "pii: false")))
    run.splits, run.commits = like.splits, like.commits
    return run


@pytest.mark.parametrize("off", ["dedup", "pii", "tokenizer"])
def test_stages_that_were_not_run(tmp_path: Path, off: str) -> None:
    lines = [line for line in RECIPE.splitlines() if not line.startswith(off)]
    run = FakeRun(tmp_path, loads("\n".join([*lines, f"{off}: false"])))
    run.split("web", [run.document("web", "Some text.", record=0)])
    run.split("wiki", [], [run.document("wiki", "", "wikipedia.redirect", record=0)])  # keeps nothing
    says = {"dedup": "asks for no dedup", "pii": "does not ask to remove", "tokenizer": "asks for no tokenizer"}
    shown = text_of(run.page())
    assert says[off] in shown
    assert all(text not in shown for name, text in says.items() if name not in (off, "tokenizer"))


@pytest.mark.parametrize("splits", [0, 1])
def test_a_run_that_read_nothing(tmp_path: Path, splits: int) -> None:
    run = FakeRun(tmp_path, loads(RECIPE))
    for _ in range(splits):
        run.split("web")
    shown = text_of(run.page())
    assert "Of 0 records in 2 sources, 0 (0%) became the corpus" in shown
    assert "No document was removed." in shown and "No record failed." in shown


def test_a_large_run_is_sampled_from_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_FILES", 8)
    run = FakeRun(tmp_path, loads(RECIPE))
    first = run.document("web", "The one that stays.", record=0)
    run.split("web", [first])
    for _ in range(20):
        twin = run.document("web", "The one that goes.", record=0, url="https://twin.example/")
        run.split("web", [], [], [(twin, first, "document.exact", 1.0)])
    run.split("wiki", [run.document("wiki", "Alone.", record=0)])
    made = run.manifest()
    drawn = sample.draw(run.recipe, run.layout, made)
    assert not drawn.whole and drawn.names[-1] == "wiki/00000" and 3 <= len(drawn.names) < 6
    assert sum(len(drawn.paths(name, kind)) for name in drawn.names for kind in sample.KINDS) <= 8
    content = run.page()
    assert f"sample of {len(drawn.names)} of its 22 splits" in text_of(content)
    found = duplicates.gather(facts.funnels(run.recipe, made), drawn)
    assert found.clusters[0].text == "The one that stays."  # looked up, wherever it lies
    assert found.levels[0].total == 20  # counts are those of the whole run


def hostile(folder: Path) -> FakeRun:
    """A run whose texts, URLs, languages, sites, causes and metadata all try to break out."""
    run = FakeRun(folder, loads(RECIPE), {"web": 10})
    kept = [run.document("web", one, record=n, url=one, language=one[:40]) for n, one in enumerate(HOSTILE)]
    removed = [
        run.document(
            "web", text, f"hostile.{n}", record=20 + n, url=url, metadata={text[:99]: text}, language=text[:40]
        )
        for n, (text, url) in enumerate(zip(HOSTILE * 2, HOSTILE_URLS, strict=False))
    ]
    removed += [
        run.document("web", text, "<b>reason</b>", record=40 + n, metadata={text[:99]: text})
        for n, text in enumerate(HOSTILE)
    ]
    gone = [
        run.document("web", text, record=60 + n, url=f"https://<script>document.title='owned'<{n}>.example/")
        for n, text in enumerate(HOSTILE)
    ]
    repeated = [(one, kept[0], "document.near", 0.8) for one in gone]
    run.split(
        "web", kept, removed, repeated, [(kept[0], text) for text in HOSTILE * 2], [("read", text) for text in HOSTILE]
    )
    return run


def test_hostile_documents_stay_text(tmp_path: Path) -> None:
    content = hostile(tmp_path).page()
    tree = html.fromstring(content)
    assert not list(tree.iter("script", "img", "iframe", "object", "link", "form", "base"))
    assert not [name for element in tree.iter() for name in element.attrib if name.lower().startswith("on")]
    assert len(list(tree.iter("title"))) >= 1 and tree.findtext("head/title") == "little · corpusmill report"
    targets = [link.get("href") for link in tree.iter("a")]
    assert all(target.startswith(("#", "https://")) for target in targets)
    outside = [link for link in tree.iter("a") if not link.get("href").startswith("#")]
    assert outside and all({"noreferrer", "nofollow"} <= set(link.get("rel").split()) for link in outside)
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    shown = text_of(content)
    assert "<img src=x onerror=" in shown and "{{ 7 * 7 }}" in shown and "<b>reason</b>" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", content)
    assert "W" * 1000 not in content


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b[31m\x7f", "\u2400\u241b[31m\u2421"),
        ("abc\u202edef", "abc\u27e8U+202E\u27e9def"),
        ("\u0301x", "\u25cc\u0301x"),
        ("e\u0301", "e\u0301"),
        ("x" + "\u0336" * 99, "x" + "\u0336" * page.MAX_MARKS),
        ("नमस्ते 👩‍🚀 می‌خواهم", "नमस्ते 👩‍🚀 می‌خواهم"),
        ("line\r\nline", "line\nline"),
    ],
)
def test_invisible_characters_are_spelled_out(text: str, shown: str) -> None:
    assert page.visible(text) == shown


@pytest.mark.parametrize("url", ["https://a.example/x?y=z#t", "HTTP://a.example", "https://例え.example/ü"])
def test_web_addresses_are_links(url: str) -> None:
    assert page.link(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://a.example",
        "https://a.example/\n",
        "https://",
        "ftp://a",
        "https:\\\\a",
        'https://a"b',
    ],
)
def test_anything_else_is_none(url: str) -> None:
    assert page.link(url) == ""


BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the page in")
def test_nothing_runs_in_a_browser(tmp_path: Path) -> None:
    run = hostile(tmp_path / "run")
    run.page()
    screenshot = tmp_path / "page.png"
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,3000",
    ]  # fmt: skip
    target = Path(run.layout.report).as_uri()
    dom = subprocess.run(
        [*command, "--dump-dom", target], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    tree = html.fromstring(dom)
    assert tree.findtext("head/title") == "little · corpusmill report"
    assert not list(tree.iter("script")) and "<script" not in dom
    sections = [section.get("id") for section in tree.iter("section")]
    assert sections == [
        "funnel",
        "distributions",
        "duplicates",
        "personal-data",
        "tokens",
        "removed",
        "failed",
        "files",
    ]
    subprocess.run([*command, f"--screenshot={screenshot}", target], capture_output=True, timeout=60, check=True)
    assert screenshot.read_bytes().startswith(b"\x89PNG") and screenshot.stat().st_size > 20_000
