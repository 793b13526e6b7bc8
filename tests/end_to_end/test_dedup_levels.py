"""Dedup end to end on made documents: who stays at each level, what is cut, and the evidence, to the character."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from harness import corpusmill

SYLLABLES = ["al", "bro", "ce", "fro", "gro", "jet", "kno", "lar", "ma", "nor", "os", "qui", "tul", "ver", "wil", "yar"]


def prose(seed: int, sentences: int = 12) -> str:
    """Made sentences that no other seed has."""
    source = random.Random(seed)
    made = (" ".join(source.choice(SYLLABLES) + source.choice(SYLLABLES) for _ in range(9)) for _ in range(sentences))
    return " ".join(sentence.capitalize() + "." for sentence in made)


SHARED = "Nobody reads this notice twice. It stands below every page here. Three sentences make a span of text."
REPEATING = "Round and round it goes again. Up the hill and down the dale. Nobody knows where it stops."
BASE = prose(3, 40)
TEXTS: dict[str, list[str]] = {
    "gold": [prose(1), BASE],
    "web": [
        prose(1).replace(" ", "  "),  # 0: an exact copy of gold 0 but for white space
        BASE.replace(BASE.split()[40], "changed", 1),  # 1: nearly gold 1
        prose(5),  # 2: stays
        prose(5),  # 3: a copy of 2, same length: the id decides which stays
        prose(8) + " " + SHARED + " " + prose(9, 8),  # 4: one of 4 and 5 loses the notice
        prose(11, 20) + "\n" + SHARED + "\n" + prose(12, 9),  # 5
        prose(14) + " " + REPEATING + " " + prose(15, 3) + " " + REPEATING,  # 6: repeats itself
        "Too short.",  # 7: fewer words than a shingle
        "Too short!",  # 8: differs from 7, must not cluster
        prose(17, 2) + " " + SHARED,  # 9: what is left is too little
    ],
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("levels")
    for name, texts in TEXTS.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    recipe = folder / "levels.yaml"
    sources = "".join(
        f"  - {{name: {name}, kind: jsonl, paths: ['{folder}/{name}.jsonl'], filters: false}}\n"
        for name in ("web", "gold")
    )
    recipe.write_text(f"sources:\n{sources}dedup: {{priority: [gold]}}\npii: false\ntokenizer: false\n")
    corpusmill("run", recipe, "--output", folder / "out", "--runner", "direct")
    corpusmill("verify", folder / "out")
    return folder / "out"


def table(out: Path, kind: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / kind).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def names(out: Path) -> dict[int, str]:
    """Names like ``web4`` by document number."""
    ordered: dict[str, list[int]] = {}
    for row in sorted(table(out, "filtered"), key=lambda row: row["number"]):
        ordered.setdefault(row["source"], []).append(row["number"])
    return {number: f"{source}{place}" for source, numbers in ordered.items() for place, number in enumerate(numbers)}


def evidence(out: Path, names: dict[int, str], level: str) -> list[tuple[str, str]]:
    return sorted(
        (names[row["number"]], names[row["kept_number"]]) for row in table(out, "duplicates") if row["level"] == level
    )


def test_copies_between_sources_stay_where_priority_says(out: Path, names: dict[int, str]) -> None:
    assert evidence(out, names, "dataset.exact") == [("web0", "gold0")]
    assert evidence(out, names, "dataset.near") == [("web1", "gold1")]
    (near,) = [row for row in table(out, "duplicates") if row["level"] == "dataset.near"]
    assert 0.75 <= near["similarity"] < 1
    assert near["kept_source"] == "gold"


def test_one_of_two_copies_stays(out: Path, names: dict[int, str]) -> None:
    ((gone, kept),) = evidence(out, names, "document.exact")
    assert {gone, kept} == {"web2", "web3"}
    assert evidence(out, names, "document.near") == []


def test_short_texts_never_cluster(out: Path, names: dict[int, str]) -> None:
    kept = {names[row["number"]] for row in table(out, "documents")}
    assert {"web7", "web8"} <= kept


def test_every_other_document_stays(out: Path, names: dict[int, str]) -> None:
    (exact,) = evidence(out, names, "document.exact")
    gone = {"web0", "web1", "web9", exact[0]}
    assert {names[row["number"]] for row in table(out, "documents")} == set(names.values()) - gone


def test_a_repeated_span_is_cut_to_the_character(out: Path, names: dict[int, str]) -> None:
    before = {names[row["number"]]: row["text"] for row in table(out, "filtered")}
    after = {names[row["number"]]: row["text"] for row in table(out, "documents")}
    spans = [row for row in table(out, "duplicates") if row["level"] == "sentence.span"]
    for row in spans:
        cut = before[names[row["number"]]][row["start"] : row["stop"]]
        assert cut.startswith(row["text"])
        assert cut.split() == SHARED.split() or cut == REPEATING
    assert sum(SHARED.split(". ")[0] in text for text in after.values()) == 1, "the notice stays once"
    assert after["web6"].count(REPEATING) == 1
    assert after["web6"] == before["web6"][: before["web6"].rindex(REPEATING)].rstrip()


def test_what_is_left_too_short_is_removed_and_says_so(out: Path, names: dict[int, str]) -> None:
    assert [gone for gone, _ in evidence(out, names, "sentence.too_little_left")] == ["web9"]
    made = json.loads((out / "manifest.json").read_text())
    assert made["sources"]["web"]["removed"]["dedup.sentence.too_little_left"] == 1


def test_evidence_quotes_no_personal_data(tmp_path: Path) -> None:
    notice = "Write to jane.roe@posteo.net today. She answers every letter. Her office is open on Mondays."
    lines = [json.dumps({"text": f"{prose(seed)} {notice}"}) + "\n" for seed in (31, 32)]
    (tmp_path / "docs.jsonl").write_text("".join(lines))
    recipe = tmp_path / "evidence.yaml"
    recipe.write_text(
        f"sources: [{{name: docs, kind: jsonl, paths: ['{tmp_path}/docs.jsonl'], filters: false}}]\ntokenizer: false\n"
    )
    corpusmill("run", recipe, "--output", tmp_path / "out", "--runner", "direct")
    (span,) = table(tmp_path / "out", "duplicates")
    assert span["level"] == "sentence.span"
    assert "She answers every letter" in span["text"]
    kept = "".join(row["text"] for row in table(tmp_path / "out", "documents"))
    assert "jane.roe" not in span["text"] + kept
    assert kept.count("She answers every letter") == 1
