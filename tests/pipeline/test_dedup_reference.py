"""Dedup against earlier runs: what stands in their corpora is removed or cut here, and their settings must fit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_run import Corpus, made, prose

from pipeline import explain, recipe_file
from pipeline.check import problems

PASSAGE = prose(77, 3)


def old_documents() -> list[dict[str, Any]]:
    return [
        {"id": "o0", "text": prose(0)},
        {"id": "o1", "text": prose(1, 40)},
        {"id": "o1near", "text": prose(1, 40).replace(".", ". Indeed", 1)},  # a near copy: the longer one stays
        {"id": "o2", "text": f"{prose(2)} {PASSAGE} {prose(3)}"},
        {"id": "o4", "text": prose(4), "url": "https://example.org/four"},
    ]


def new_documents() -> list[dict[str, Any]]:
    return [
        {"id": "n0", "text": prose(0).replace(" ", "  ")},  # an exact copy of o0
        {"id": "n1", "text": prose(1, 40).replace(".", ". Well", 3)},  # near o1, and longer
        {"id": "n2", "text": f"{prose(12)} {PASSAGE} {prose(13)}"},  # shares a passage with o2
        {"id": "n4", "text": prose(14), "url": "http://www.example.org/four/"},  # at the address of o4
        {"id": "n5", "text": prose(15)},
        {"id": "n6", "text": prose(15)},  # a copy within the new run
    ]


def settings(*references: Path, more: str = "") -> str:
    folders = ", ".join(f"'{one}'" for one in references)
    return f"dedup: {{url: true, reference: [{folders}]{more}}}\nlimits: {{split: 4kB, batch_documents: 2}}"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return made(tmp_path_factory.mktemp("old"), old_documents(), settings())


@pytest.fixture(scope="module")
def new(old: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("moved") / "old"
    shutil.copytree(old.out, folder)
    for kind in ("filtered", "duplicates", "report", "recipe.yaml"):  # the text is not needed, nor what was removed
        path = folder / kind
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return made(tmp_path_factory.mktemp("new"), new_documents(), settings(folder))


def kept_in(old: Corpus, new: Corpus, level: str) -> dict[str, str]:
    """By the new document what the old one is called."""
    assert {row["kept_corpus"] for row in new.evidence(level)} == set(new.manifest["references"])
    return {row["name"]: old.names[row["kept_number"]] for row in new.evidence(level)}


def test_what_the_old_corpus_holds_is_removed_at_every_level(old: Corpus, new: Corpus) -> None:
    assert "o1" not in old.after, "the longer near copy stays"
    assert kept_in(old, new, "reference.exact") == {"n0": "o0"}
    assert kept_in(old, new, "reference.near") == {"n1": "o1near"}, "never for one that is not in the old corpus"
    assert kept_in(old, new, "reference.url") == {"n4": "o4"}
    assert kept_in(old, new, "reference.span") == {"n2": "o2"}
    assert new.after["n2"] == f"{prose(12)} {prose(13)}"
    assert set(new.after) - {"n2"} in ({"n5"}, {"n6"})
    removed = new.manifest["sources"]["docs"]["removed"]
    assert removed == {
        f"dedup.{level}": 1 for level in ("document.exact", "reference.exact", "reference.near", "reference.url")
    }


def test_explain_names_the_document_in_the_old_corpus(old: Corpus, tmp_path: Path) -> None:
    new = made(tmp_path, new_documents()[:1], settings(old.out))
    (found,) = explain.find(str(new.out), str(new.before["n0"]["id"]))
    assert found.reason == "dedup.reference.exact"
    (row,) = found.evidence
    assert row["kept_corpus"] == str(old.out)
    assert row["kept"]["id"] == old.before["o0"]["id"]
    (kept,) = explain.find(str(old.out), str(old.before["o0"]["id"]))
    assert kept.fate == "kept"


def test_references_add_up_and_the_first_is_named_first(old: Corpus, tmp_path: Path) -> None:
    second = made(tmp_path / "b", [{"id": "s0", "text": prose(0)}, {"id": "s5", "text": prose(15)}], settings())
    new = made(tmp_path / "c", new_documents(), settings(old.out, second.out))
    exact = {row["name"]: row["kept_corpus"] for row in new.evidence("reference.exact")}
    assert exact == {"n0": str(old.out), "n5": str(second.out), "n6": str(second.out)}
    assert set(new.after) == {"n2"}


def test_blocks_and_passes_do_not_matter_for_references(old: Corpus, new: Corpus, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.dedup.inputs.DOCUMENTS_PER_BLOCK", 2)
        patch.setattr("pipeline.dedup.find.ROWS_PER_PARTITION", 9)
        patch.setattr("pipeline.dedup.runs.BYTES_PER_ROW", 1 << 40)
        other = made(tmp_path, new_documents(), settings(old.out))

    def evidence(corpus: Corpus) -> list[dict[str, Any]]:
        hidden = ("kept_corpus", "id")  # the path of the reference, and what depends on the name of the input
        return [{name: value for name, value in row.items() if name not in hidden} for row in corpus.evidence()]

    def same(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        twins = {"n5": "twin", "n6": "twin"}
        return [row for row in rows if row["name"] not in twins]

    assert same(evidence(other)) == same(evidence(new))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (", near: {ngram: 4}", "made with dedup.near.ngram = 5, this recipe has 4"),
        (", near: {bands: 20}", "made with dedup.near.permutations = 112, this recipe has 160"),
        (", near: {seed: 2}", "made with dedup.near.seed = 1, this recipe has 2"),
        (", sentence: {unit: lines}", "made with dedup.sentence.unit = sentences, this recipe has lines"),
        (", near: {min_similarity: 0.9, bands: 8, rows: 14}", ""),
        (", near: false, sentence: false", ""),
    ],
)
def test_settings_that_do_not_fit_are_an_error(old: Corpus, change: str, said: str) -> None:
    sources = f"sources: [{{name: a, kind: jsonl, paths: ['{old.out.parent}/*.jsonl'], filters: false}}]\n"
    found = list(problems(recipe_file.loads(f"{sources}{settings(old.out, more=change)}\ntokenizer: false")))
    if said:
        assert said in found[0]
        assert "dedup.reference.0" in found[0]
    else:
        assert found == []


def test_no_finished_run_and_no_keys_are_errors(old: Corpus, tmp_path: Path) -> None:
    without = made(tmp_path, old_documents()[:1], "dedup: false")
    sources = f"sources: [{{name: a, kind: jsonl, paths: ['{old.out.parent}/*.jsonl'], filters: false}}]\n"
    recipe = recipe_file.loads(
        f"{sources}dedup: {{reference: ['{tmp_path}/nothing', '{without.out}', '{old.out}', '{old.out}/']}}\ntokenizer: false"
    )
    first, second, third = problems(recipe)
    assert "holds no finished run" in first
    assert "without dedup" in second
    assert "named twice" in third
