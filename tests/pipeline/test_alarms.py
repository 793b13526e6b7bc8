"""Alarms: what removes nearly everything stops the run, and says by which rule; what is no document raises none."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import alarms
from pipeline.recipe import Recipe
from pipeline.recipe_file import loads


def recipe(settings: str = "{min_documents: 10}") -> Recipe:
    return loads(
        "sources:\n  - {name: web, kind: warc, paths: [x]}\n  - {name: books, kind: books, paths: [x]}\n"
        f"alarms: {settings}\n"
    )


def commit(item: str, kept: int, removed: dict[str, int], failed: int = 0) -> dict[str, Any]:
    source = item.partition("/")[0]
    counts = {
        f"{source}|read": kept + sum(removed.values()) + failed,
        f"{source}|kept": kept,
        f"{source}|failed|read": failed,
    }
    return {"item": item, "counts": counts | {f"{source}|removed|{why}": count for why, count in removed.items()}}


def warnings(settings: str, stage: str, *commits: dict[str, Any]) -> list[str]:
    return list(alarms.check(recipe(settings), stage, {stage: commits}))


WARN = "{min_documents: 10, source_removed: 0.75, dedup_removed: 0.5, action: warn}"


@pytest.mark.parametrize(
    ("stage", "kept", "removed", "raised"),
    [
        ("prepare", 1, {"gopher.too_few_words": 3}, False),  # 4 documents are fewer than 10
        ("prepare", 25, {"gopher.too_few_words": 75}, False),  # 75 of 100 is not more than 0.75
        ("prepare", 24, {"gopher.too_few_words": 75}, True),  # 75 of 99 is
        ("prepare", 0, {"gopher.too_few_words": 10}, True),
        ("prepare", 0, {"gopher.too_few_words": 9}, False),
        ("prepare", 10, {"http.status": 900, "warc.type": 5000}, False),  # no documents, so no sign of a wrong rule
        ("prepare", 0, {"http.status": 900}, False),
        ("prepare", 2, {"http.status": 900, "c4.lorem_ipsum": 8}, True),
        ("prepare", 0, {}, False),
        ("finish", 50, {"dedup.document.near": 50}, False),
        ("finish", 49, {"dedup.document.near": 25, "dedup.dataset.exact": 25}, True),
        ("encode", 0, {"dedup.document.near": 5000}, False),
    ],
)
def test_an_alarm_is_raised_above_the_limit(stage: str, kept: int, removed: dict[str, int], raised: bool) -> None:
    assert bool(warnings(WARN, stage, commit("web/00000", kept, removed))) is raised


def test_the_message_names_source_share_limit_and_the_rule_that_counts() -> None:
    removed = {"http.status": 500, "fineweb.short_lines": 40, "c4.lorem_ipsum": 40, "gopher.long_words": 12}
    (message,) = warnings(WARN, "prepare", commit("web/00000", 8, removed))
    assert message == (
        "source 'web': 92 of 100 documents were removed, more than alarms.source_removed = 0.75; "
        "most of them by c4.lorem_ipsum (40)."
    )


def test_the_splits_of_a_source_are_counted_together_and_sources_apart() -> None:
    splits = [
        commit("web/00000", 0, {"c4.lorem_ipsum": 60}),
        commit("web/00001", 40, {"c4.lorem_ipsum": 20}),
        commit("books/00000", 5, {"c4.lorem_ipsum": 95}, failed=1000),
    ]
    (message,) = warnings(WARN, "prepare", *splits)
    assert message.startswith("source 'books': 95 of 100 documents")


def test_stop_raises_and_says_how_to_go_on() -> None:
    bad = commit("web/00000", 1, {"dedup.document.exact": 99})
    with pytest.raises(alarms.Implausible) as caught:
        warnings("{min_documents: 10}", "finish", bad)
    assert str(caught.value) == (
        "source 'web': 99 of 100 documents were removed, more than alarms.dedup_removed = 0.9; most of them by "
        "dedup.document.exact (99). If this is meant, raise that limit in the recipe, or set alarms.action: warn."
    )


def test_a_limit_of_one_is_no_limit() -> None:
    settings = "{min_documents: 0, source_removed: 1, dedup_removed: 1}"
    for stage in ("prepare", "finish"):
        assert warnings(settings, stage, commit("web/00000", 0, {"c4.lorem_ipsum": 5000})) == []


def test_the_levels_of_dedup_have_limits_of_their_own() -> None:
    settings = "{min_documents: 10, action: warn}"
    for kept, removed, said in (
        (94, {"dedup.benchmark.overlap": 4, "dedup.benchmark.too_little_left": 1, "dedup.document.near": 1}, ""),
        (94, {"dedup.benchmark.overlap": 5, "dedup.benchmark.too_little_left": 1}, "alarms.benchmark_removed = 0.05"),
        (50, {"dedup.sentence.too_little_left": 50}, ""),
        (
            49,
            {"dedup.sentence.too_little_left": 25, "dedup.sentence.too_much_lost": 26},
            "alarms.sentence_removed = 0.5",
        ),
        (9, {"dedup.document.exact": 50, "dedup.reference.near": 41}, "alarms.dedup_removed = 0.9"),
    ):
        found = warnings(settings, "finish", commit("web/00000", kept, removed))
        assert len(found) == bool(said)
        assert all(said in one and "source 'web'" in one for one in found)


@pytest.mark.parametrize(
    ("level", "stage", "limit"),
    [("exact", "dedup-exact", 80), ("url", "dedup-url", 80), ("near", "dedup-decide-near", 70)],
)
def test_whole_documents_are_counted_before_any_text_is_read_again(level: str, stage: str, limit: int) -> None:
    prepared = [commit("web/00000", 60, {"x.y": 500}), commit("web/00001", 40, {}), commit("books/00000", 1000, {})]
    for gone, alarms_ in ((limit, 0), (limit + 1, 1)):
        decided = {"item": "all", "counts": {f"web|{level}": gone, f"books|{level}": 5, level: gone + 5}}
        commits = {"prepare": prepared, stage: [decided]}
        found = list(alarms.check(recipe("{min_documents: 10, action: warn}"), stage, commits))
        assert len(found) == alarms_
        assert all(f"{gone} of 100 documents" in one and f"alarms.{level}_removed" in one for one in found)
    with pytest.raises(alarms.Implausible, match=f"alarms.{level}_removed"):
        list(alarms.check(recipe("{min_documents: 10}"), stage, commits))


def test_text_that_is_cut_away_raises_an_alarm() -> None:
    def cut(characters: int) -> dict[str, Any]:
        made = commit("web/00000", 20, {})
        made["counts"] |= {"web|characters_searched": 1000, "web|characters_cut": characters}
        return made

    assert warnings("{min_documents: 10, action: warn}", "finish", cut(500)) == []
    (said,) = warnings("{min_documents: 10, action: warn}", "finish", cut(501))
    assert "501 of 1000 characters" in said
    assert "alarms.text_cut = 0.5" in said
