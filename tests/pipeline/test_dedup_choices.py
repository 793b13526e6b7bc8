"""Dedup by address, by line and by site, and the recipe's choice of who survives."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import made, prose

from pipeline import recipe_file
from pipeline.dedup import addresses


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://www.Example.org/a/", "https://example.org/a"),
        ("https://example.org:443/a#part", "https://example.org/a"),
        ("https://example.org/a?utm_source=x&id=3&fbclid=abc", "https://example.org/a?id=3"),
        ("https://example.org/%7Euser/%c3%a9", "https://example.org/~user/%C3%A9"),
        ("https://example.org", "http://example.org/"),
        ("https://me@example.org./a", "https://example.org/a"),
    ],
)
def test_addresses_of_one_page_are_equal(one: str, other: str) -> None:
    assert addresses.normalized(one) == addresses.normalized(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/a?id=1", "https://example.org/a?id=2"),
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org:8080/", "https://example.org/"),
        ("https://example.org/#!/one", "https://example.org/#!/two"),
        ("https://a.example.org/", "https://example.org/"),
        ("https://example.org/a?utm=1", "https://example.org/a"),
    ],
)
def test_addresses_of_different_pages_differ(one: str, other: str) -> None:
    assert addresses.normalized(one) != addresses.normalized(other)


@pytest.mark.parametrize("url", ["", "  ", "http://[::1", "http://x:99999999/", "\x00", "a" * 10_000])
def test_no_address_is_too_odd(url: str) -> None:
    assert isinstance(addresses.normalized(url), str)
    assert isinstance(addresses.site(url), str)


def captures() -> list[dict[str, str]]:
    dates = {"old": "2021-01-01", "new": "2024-06-01", "mid": "2023-01-01"}
    urls = {
        "old": "http://www.example.org/page/",
        "new": "https://example.org/page?utm_source=mail",
        "mid": "https://example.org/page",
    }
    sizes = {"old": 14, "new": 10, "mid": 20}
    found = [
        {"id": name, "text": prose(seed, sizes[name]), "url": urls[name], "date": dates[name]}
        for seed, name in enumerate(dates)
    ]
    return [*found, *({"id": f"none{seed}", "text": prose(50 + seed), "url": ""} for seed in range(2))]


@pytest.mark.parametrize(
    ("survivor", "stays"),
    [
        ("{by: date}", "new"),
        ("{by: date, order: ascending}", "old"),
        ("{by: length}", "mid"),
        ("{by: length, order: ascending}", "new"),
    ],
)
def test_of_one_address_the_chosen_capture_stays(tmp_path: Path, survivor: str, stays: str) -> None:
    corpus = made(tmp_path, captures(), f"dedup: {{url: true, survivor: {survivor}}}")
    assert corpus.kept_for("document.url") == dict.fromkeys({"old", "new", "mid"} - {stays}, stays)
    assert set(corpus.after) == {stays, "none0", "none1"}
    assert {row["similarity"] for row in corpus.evidence("document.url")} == {None}
    if survivor == "{by: date}":
        assert set(made(tmp_path, captures(), "dedup: {}", name="off").after) == {"old", "new", "mid", "none0", "none1"}


def test_of_equal_texts_that_with_the_best_signal_stays(tmp_path: Path) -> None:
    text = prose(1)
    documents = [{"id": "plain", "text": text}, {"id": "spaced", "text": text.replace(". ", ".\n\n\n")}]
    for order, stays in (("ascending", "plain"), ("descending", "spaced")):
        given = tmp_path / f"{order}.jsonl"
        sources = (
            "filters: {web: [fineweb: {max_newlines_per_word: null, max_short_lines: null}]}\n"
            f"sources: [{{name: docs, kind: jsonl, id: id, paths: ['{given}'], filters: web}}]"
        )
        survivor = f"dedup: {{survivor: {{by: fineweb.newlines_per_word, order: {order}}}}}"
        corpus = made(tmp_path, documents, survivor, order, sources)
        assert corpus.kept_for("document.exact") == {({"plain", "spaced"} - {stays}).pop(): stays}


def test_a_signal_that_nobody_measures_is_an_error_with_its_line() -> None:
    with pytest.raises(
        recipe_file.RecipeError, match=r"recipe:3: dedup.survivor.by: no filter of the recipe measures 'quality'"
    ):
        recipe_file.loads("sources: [{name: a, kind: books, paths: [x]}]\ndedup:\n  survivor: {by: quality}\n")


NOTICE = "Read on in our newsletter, every Friday morning."


def test_lines_that_stand_in_another_document_are_cut(tmp_path: Path) -> None:
    bodies = [prose(seed, 10).replace(". ", ".\n") for seed in range(3)]
    documents = [
        {"id": "a", "text": f"{bodies[0]}\n{NOTICE}\nMore\n---"},
        {"id": "b", "text": f"{NOTICE}\n\n{bodies[1]}\nMore\n---"},
        {"id": "c", "text": f"{bodies[2]}\n\n{NOTICE.upper()}\n\nThe end."},
    ]
    corpus = made(tmp_path, documents, "dedup: {near: false, sentence: {unit: lines}}")
    left = [name for name, text in corpus.after.items() if NOTICE.lower() in text.lower()]
    assert len(left) == 1
    for row in corpus.evidence("sentence.span"):
        before = corpus.before[row["name"]]["text"]
        assert before[row["start"] : row["stop"]].lower() == NOTICE.lower() == row["text"].lower()
        assert row["kept"] == left[0]
    after = corpus.after
    if left != ["b"]:
        assert after["b"] == f"{bodies[1]}\nMore\n---", "short lines and lines without words stay"
    if left != ["c"]:
        assert after["c"] == f"{bodies[2]}\n\nThe end."


def test_what_loses_too_large_a_share_is_removed(tmp_path: Path) -> None:
    shared = prose(7, 20)
    documents = [
        {"id": "whole", "text": shared + " " + prose(8, 30)},
        {"id": "part", "text": shared + " " + prose(9, 10)},
    ]
    settings = "dedup: {near: false, sentence: {min_words: 0, max_lost: 0.5}}"
    corpus = made(tmp_path, documents, settings)
    assert corpus.kept_for("sentence.too_much_lost") == {"part": "whole"}
    assert set(corpus.after) == {"whole"}
    assert corpus.manifest["sources"]["docs"]["removed"] == {"dedup.sentence.too_much_lost": 1}
    assert set(made(tmp_path, documents, settings.replace("0.5", "0.7"), name="more").after) == {"whole", "part"}


def test_boilerplate_of_a_site_is_cut_from_every_page_and_elsewhere_stays(tmp_path: Path) -> None:
    menu, footer = "Home | News | Contact", "© Example Press, all rights reserved."
    documents = [
        {
            "id": f"p{at}",
            "url": f"https://{'www.' * (at % 2)}press.example/{at}",
            "text": f"{menu}\n{prose(at, 12)}\n{footer}",
        }
        for at in range(5)
    ]
    documents += [
        {
            "id": f"q{at}",
            "url": f"https://other.example/{at}",
            "text": f"{menu}\n{prose(20 + at, 12)}\n{footer}\n{footer}",
        }
        for at in range(3)
    ]
    documents.append({"id": "loose", "text": f"{menu}\n{prose(40, 12)}"})
    corpus = made(tmp_path, documents, "dedup: {near: false, sentence: {boilerplate: {min_pages: 4}}}")
    for at in range(5):
        assert corpus.after[f"p{at}"] == prose(at, 12)
    for at in range(3):
        assert corpus.after[f"q{at}"].startswith(menu), "three pages are too few, however often a line stands on one"
    assert menu in corpus.after["loose"], "without an address there is no site"
    rows = corpus.evidence("sentence.boilerplate")
    assert len(rows) == 10
    assert {row["pages"] for row in rows} == {5}
    assert {corpus.before[row["name"]]["text"][row["start"] : row["stop"]] for row in rows} == {menu, footer}
