"""Decontamination: every hit is by words, in every script; what is too short or common is counted, not guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import Corpus, made, prose

from filters.document import Document, Origin
from pipeline import recipe_file
from pipeline.check import problems
from pipeline.dedup import benchmarks
from pipeline.dedup.settings import Benchmark, Decontaminate

QUESTION = "A farmer keeps 17 sheep in the north field and sells all but nine of them on Friday. How many are left?"
CHINESE = "小明有十二个苹果，他给了妹妹五个，又从树上摘了三个，请问他现在一共有多少个苹果？"
ITEMS: list[dict[str, Any]] = [
    {"question": QUESTION, "answer": "nine"},
    {"question": CHINESE, "answer": "十"},
    {"question": "What is the capital of France?", "answer": "Paris"},
    {
        "question": "Name the largest planet of the solar system please.",
        "choices": [{"text": prose(5, 2)}, {"text": "Mars"}],
    },
]


def written(folder: Path, items: list[dict[str, Any]], name: str = "quiz") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def setting(path: Path, **more: Any) -> Decontaminate:
    fields = ("question", "answer", "choices.text")
    return Decontaminate(benchmarks=(Benchmark(name="quiz", paths=(str(path),), fields=fields),), **more)


def hits(text: str, given: Decontaminate) -> list[tuple[int, str, int, float]]:
    """Item, the characters that stand in it, how many n-grams, and what share."""
    index, _ = benchmarks.built(given)
    found = benchmarks.hits(Document("", text, "", Origin("", 0, 0)), index, given)
    return [
        (int(row["item"]), text[row["start"] : row["stop"]], int(row["hits"]), round(float(row["share"]), 3))
        for row in found
    ]


def test_passages_are_found_whatever_their_typography(tmp_path: Path) -> None:
    given = setting(written(tmp_path, ITEMS))
    words = len(QUESTION.split())
    assert hits(f"Before. {QUESTION.upper()} After.", given) == [(0, QUESTION.upper()[:-1], words - 12, 1.0)]
    part = " ".join(QUESTION.split()[3:17])
    assert hits(f"so: {part}", given) == [(0, part, 2, round(2 / (words - 12), 3))]
    assert hits(" ".join(QUESTION.split()[:12]) + " and so on", given) == []
    assert hits(f"前面的话。{CHINESE}后面的话。", given)[0][:2] == (1, CHINESE[:-1])
    assert hits(QUESTION.replace("sells", "gives"), given) == []
    planet = ITEMS[3]["question"]
    assert hits(f"We ask: {planet}", given) == [(3, planet[:-1], 1, round(1 / (1 + 18 - 12), 3))], (
        "nine words, found as a whole"
    )
    assert hits("What is the capital of France? Paris, as everyone knows, since a long time ago already.", given) == []


def test_what_is_too_short_or_common_is_counted(tmp_path: Path) -> None:
    prompt = "Read the following passage with care and answer the question that stands below it"
    items = [{"question": f"{prompt} {prose(at, 2)}"} for at in range(4)] + [
        {"question": prompt},
        {"question": "Too short?"},
    ]
    index, of_items = benchmarks.built(setting(written(tmp_path, items), max_items=4))
    assert of_items == ["quiz"] * 6
    assert (index.grams_of > 0).tolist() == [True] * 4 + [False, False]
    assert hits(prompt, setting(tmp_path / "quiz.jsonl", max_items=4)) == []
    assert len(hits(prompt, setting(tmp_path / "quiz.jsonl", max_items=5))) == 5


def test_equal_hashes_are_not_enough(tmp_path: Path) -> None:
    given = setting(written(tmp_path, ITEMS[:1]))
    index, _ = benchmarks.built(given)
    other = index._replace(points=np.where(index.points == ord("s"), ord("t"), index.points).astype(np.uint32))
    document = Document("", QUESTION, "", Origin("", 0, 0))
    assert len(benchmarks.hits(document, index, given)) == 1
    unverified = benchmarks.hits(document, other, given)
    assert all("s" not in QUESTION[row["start"] : row["stop"]] for row in unverified)


WORDS = ["river", "stone", "Мост", "gate", "河", "мост", "four"]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=30),
    st.lists(st.sampled_from(WORDS), max_size=40),
    st.integers(2, 5),
)
def test_hits_are_those_of_a_plain_search(tmp_path_factory: Any, item: list[str], text: list[str], ngram: int) -> None:
    path = written(tmp_path_factory.getbasetemp(), [{"question": " ".join(item)}], "plain")
    given = setting(path, ngram=ngram, min_passage_words=1, max_items=99)
    length = min(ngram, len(item))
    fold = [[word.lower() for word in words] for words in (item, text)]
    grams = [tuple(fold[0][at : at + length]) for at in range(len(item) - length + 1)]
    there = {tuple(fold[1][at : at + length]) for at in range(len(text) - length + 1)}
    covered = {
        at + k
        for at in range(len(text) - length + 1)
        if tuple(fold[1][at : at + length]) in grams
        for k in range(length)
    }
    found = hits(" ".join(text), given)
    assert sum(len(stretch.split()) for _, stretch, _, _ in found) == len(covered)
    if found:
        count = sum(gram in there for gram in grams)
        assert found[0][2:] == (count, round(float(np.float32(count / len(grams))), 3))


def documents() -> list[dict[str, str]]:
    return [
        {"id": "clean", "text": prose(21)},
        {"id": "holds", "text": f"{prose(22)} {QUESTION} {prose(23)}"},
        {"id": "copy", "text": f"{prose(22)} {QUESTION} {prose(23)}"},
        {"id": "both", "text": f"{prose(24)}\n{CHINESE}\n{prose(25)}\n{QUESTION}"},
        {"id": "only", "text": f"{QUESTION} That is all."},
    ]


def corpus(folder: Path, action: str) -> Corpus:
    path = written(folder, ITEMS)
    return made(
        folder,
        documents(),
        "dedup:\n  decontaminate:\n    benchmarks: [{name: quiz, paths: ['"
        f"{path}'], fields: [question, answer]}}]\n    action: {action}\nlimits: {{batch_documents: 2}}\n",
    )


def test_contaminated_documents_are_removed_with_every_hit(tmp_path: Path) -> None:
    found = corpus(tmp_path, "remove")
    assert set(found.after) == {"clean"}
    rows = found.evidence("benchmark.overlap")
    assert sorted((row["name"], row["kept_id"]) for row in rows) == [
        ("both", "quiz.jsonl:1"), ("both", "quiz.jsonl:2"), ("copy", "quiz.jsonl:1"), ("holds", "quiz.jsonl:1"), ("only", "quiz.jsonl:1"),
    ]  # fmt: skip
    assert {row["kept_corpus"] for row in rows} == {"quiz"}
    for row in rows:
        before = found.before[row["name"]]["text"]
        assert before[row["start"] : row["stop"]].startswith(row["text"])
        assert before[row["start"] : row["stop"]] in (QUESTION[:-1], CHINESE[:-1])
    assert found.manifest["sources"]["docs"]["removed"] == {"dedup.benchmark.overlap": 4}, "a copy is not counted twice"
    assert found.manifest["benchmarks"] == {"quiz": {"items": 4, "not_looked_for": 1}}
    lines = [json.loads(line) for line in (found.out / "report/benchmarks.jsonl").read_text().splitlines()]
    assert [(line["item"], line["documents"], line["share"]) for line in lines] == [
        ("quiz.jsonl:1", 4, 1.0),
        ("quiz.jsonl:2", 1, 1.0),
    ]
    assert "quiz.jsonl:1" in (found.out / "report/index.html").read_text()


def test_passages_are_cut_and_what_is_left_too_short_goes(tmp_path: Path) -> None:
    found = corpus(tmp_path, "cut")
    assert found.after["both"] == f"{prose(24)}\n？\n{prose(25)}\n?"
    assert set(found.after) & {"holds", "copy"}, "one of the copies stays, without the question"
    assert all("17 sheep" not in text for text in found.after.values())
    assert found.manifest["sources"]["docs"]["removed"]["dedup.benchmark.too_little_left"] == 1
    assert "only" not in found.after
    assert {row["kept_id"] for row in found.evidence("benchmark.too_little_left")} == {"quiz.jsonl:1"}


def test_benchmarks_are_looked_for_where_all_else_is_off(tmp_path: Path) -> None:
    path = written(tmp_path, ITEMS)
    levels = "exact: false, near: false, sentence: false"
    benchmark = f"{{name: quiz, paths: ['{path}'], fields: [question]}}"
    found = made(tmp_path, documents(), f"dedup: {{{levels}, decontaminate: {{benchmarks: [{benchmark}]}}}}")
    assert set(found.after) == {"clean"}


def test_reported_documents_stay_as_they_are(tmp_path: Path) -> None:
    found = corpus(tmp_path, "report")
    assert {"clean", "both", "only"} <= set(found.after)
    assert found.after["both"] == found.before["both"]["text"]
    assert {row["level"] for row in found.evidence()} == {"document.exact", "benchmark.reported"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"other": 1, "text": "x"}', "no text in question; there are other, text"),
        ("[1]", "expected a JSON object"),
        ("{", "not a line of JSON"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_an_error_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(f"\n{line}\n")
    given = Decontaminate(benchmarks=(Benchmark(name="odd", paths=(str(path),), fields=("question",)),))
    with pytest.raises(ValueError, match=r"odd\.jsonl:2: ") as error:
        benchmarks.built(given)
    assert said in str(error.value)
    recipe = recipe_file.loads(
        f"sources: [{{name: a, kind: jsonl, paths: ['{path}']}}]\ntokenizer: false\n"
        f"dedup: {{decontaminate: {{benchmarks: [{{name: odd, paths: ['{path}'], fields: [question]}}]}}}}"
    )
    assert any(said in one for one in problems(recipe))


def test_another_benchmark_file_is_another_recipe(tmp_path: Path) -> None:
    path = written(tmp_path, ITEMS)
    text = (
        "sources: [{name: a, kind: jsonl, paths: [x]}]\n"
        f"dedup: {{decontaminate: {{benchmarks: [{{name: quiz, paths: ['{path}'], fields: [question]}}]}}}}"
    )
    before = recipe_file.loads(text).digest
    written(tmp_path, ITEMS[:2])
    assert recipe_file.loads(text).digest != before
