"""``corpusmill explain``: what became of a document and why, without letting its text at the terminal."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import corpusmill
from rich.console import Console

from pipeline import tables
from pipeline.display import explanation, visible
from pipeline.explain import find

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
HOSTILE_URL = "https://[red]evil[/red].example/\x1b]0;owned\x07\x1b[2J/\u202egpj.exe?[bold]&[/]"
HOSTILE_TEXT = (
    "[red]not red[/red] [/] [link=file:///etc/passwd]x[/link] \x1b]0;owned\x07 \x1b[31m \x9b2J \u202etxet\u202c\\"
)


def word(number: int) -> str:
    """A made-up word; different numbers below 4900 make different words."""
    first, second = divmod(number % 4900, 70)
    return "".join(CONSONANTS[part // 5] + VOWELS[part % 5] for part in (first, second))


def sentence(number: int) -> str:
    words = [word(number * 389 + place * 1009) for place in range(10)]
    return " ".join(words).capitalize() + "."


def text(start: int, count: int = 20) -> str:
    return " ".join(sentence(number) for number in range(start, start + count))


ORIGINAL = text(0)
LINES = {
    "original": ORIGINAL,
    "copy": ORIGINAL.replace(" ", "\n", 3),
    "near": ORIGINAL.replace(sentence(19), sentence(999)),
    "short": "Too short to stay.",
    "broken": 5,
    "spans": f"{text(100, 12)} {sentence(5)} {sentence(6)} {sentence(7)} {text(120, 3)}",
    "little": f"{sentence(5)} {sentence(6)} {sentence(7)} {sentence(200)}",
    "mail": f"{text(300)} Write to someone@somewhere.org.",
    "book": text(400),
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a dozen documents of which each met another fate."""
    folder = tmp_path_factory.mktemp("explain")
    rows = [{"url": f"https://a.example/{name}", "text": value} for name, value in LINES.items()]
    rows += [{"url": HOSTILE_URL, "text": f"{HOSTILE_TEXT} {text(500)}"}]
    rows += [{"url": "https://a.example/hostile-copy", "text": f"{HOSTILE_TEXT} {text(500)}"}]
    rows += [{"url": "https://a.example/hostile-span", "text": f"{text(600, 8)} {' '.join(HOSTILE_SENTENCES)}"}]
    rows += [{"url": "https://a.example/hostile-span-2", "text": f"{text(700, 8)} {' '.join(HOSTILE_SENTENCES)}"}]
    rows += [{"url": "https://a.example/twice", "text": text(start)} for start in (800, 900)]
    (folder / "web.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(
        pa.table({"text": ["Short.", text(400)], "url": ["", "https://rows.example/book"]}), folder / "rows.parquet"
    )
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"""\
name: explained
sources:
  - {{name: web, kind: jsonl, paths: ["{folder}/web.jsonl"], filters: words}}
  - {{name: rows, kind: parquet, paths: ["{folder}/rows.parquet"], filters: words}}
filters: {{words: [{{length: {{min_words: 20}}}}]}}
dedup: {{priority: [rows, web]}}
tokenizer: false
"""
    )
    corpusmill("run", recipe, "--output", folder / "out", "--runner", "direct")
    return folder / "out"


HOSTILE_SENTENCES = [f"{sentence(number)[:-1]} [/red] [bold]x[/bold] \x1b[1mloud." for number in (650, 651, 652, 653)]


def explain(out: Path, wanted: str, terminal: bool = False) -> str:
    """What is shown, as one line with the frame taken off."""
    stream = io.StringIO()
    console = Console(file=stream, width=400, force_terminal=terminal, color_system="truecolor" if terminal else None)
    for one in find(str(out), wanted):
        console.print(explanation(one))
    return joined(stream.getvalue())


def joined(said: str) -> str:
    return " ".join(said.replace("│", " ").split())


def rows(out: Path, folder: str) -> list[dict[str, Any]]:
    return [row for path in sorted((out / folder).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def document(out: Path, name: str) -> dict[str, Any]:
    return next(row for row in rows(out, "filtered") if row["url"] == f"https://a.example/{name}")


def removals(out: Path, level: str) -> list[tuple[dict[str, Any], dict[str, Any], float]]:
    """What went or was cut at a level, what stayed for it, and how similar they are."""
    by_number = {row["number"]: row for row in rows(out, "filtered")}
    return [
        (by_number[row["number"]], by_number[row["kept_number"]], row["similarity"])
        for row in rows(out, "duplicates")
        if row["level"] == level
    ]


def test_a_kept_document(out: Path) -> None:
    said = explain(out, "https://a.example/mail")
    row = document(out, "mail")
    assert "fate kept" in said
    assert f"id {row['id']}" in said
    start, stop = row["origin"]["offset"], row["origin"]["offset"] + row["origin"]["length"]
    assert f"read from {out.parent}/web.jsonl, bytes {start} to {stop}" in said
    line = (out.parent / "web.jsonl").read_bytes()[start:stop]
    assert json.loads(line)["url"] == "https://a.example/mail"
    assert sentence(300) in said
    assert joined(corpusmill("explain", out, row["url"], env={"COLUMNS": "400"}).stdout) == said


def test_a_filtered_document_names_the_rule_its_value_and_its_threshold(out: Path) -> None:
    said = explain(out, "https://a.example/short")
    assert "fate removed length.too_few_words" in said
    assert "length.words 4 < 20" in said
    assert "length.characters 18 < 1" in said
    assert "Too short to stay." in said


def test_a_record_that_could_not_be_read(out: Path) -> None:
    said = explain(out, "https://a.example/broken")
    assert "fate failed read: column 'text' holds int, not text" in said
    assert f"read from {out.parent}/web.jsonl, bytes " in said


@pytest.mark.parametrize(("level", "pairs"), [("document.exact", 2), ("document.near", 1), ("dataset.exact", 1)])
def test_a_duplicate_names_what_stays_and_the_other_way_round(out: Path, level: str, pairs: int) -> None:
    found = removals(out, level)
    assert len(found) == pairs
    for gone, kept, similarity in found:
        assert (similarity == 1) is level.endswith("exact")
        said = explain(out, gone["id"])
        assert f"fate removed dedup.{level}" in said
        assert f"{level}, similarity {similarity:.2f} stays in {kept['id']} {visible(kept['url'])}" in said
        said = explain(out, kept["id"])
        assert "fate kept" in said
        assert "removals because this one stays" in said
        assert f"{level} {similarity:.2f} {gone['id']} {visible(gone['url'])}" in said


def test_a_row_of_a_table_is_placed_by_its_number(out: Path) -> None:
    said = explain(out, "https://rows.example/book")
    assert "fate kept" in said
    assert f"read from {out.parent}/rows.parquet, row 1 (the first is 0)" in said


def test_cut_spans(out: Path) -> None:
    said = explain(out, "https://a.example/spans")
    assert "fate kept" in said
    begun = len(text(100, 12)) + 1
    ended = begun + len(" ".join(map(sentence, (5, 6, 7))))
    kept = next(kept for cut, kept, _ in removals(out, "sentence.span") if cut["url"].endswith("/spans"))
    assert f"sentence.span, similarity 1.00, characters {begun} to {ended}: '{sentence(5)}" in said
    assert f"stays in {kept['id']} {kept['url']}" in said
    said = explain(out, "https://a.example/little")
    assert "fate removed dedup.sentence.too_little_left" in said


def test_it_is_found_by_id_beginning_of_id_and_number_as_well(out: Path) -> None:
    row = document(out, "mail")
    by_url = explain(out, "https://a.example/mail")
    assert by_url.count("fate kept") == 1
    assert explain(out, row["id"]) == explain(out, row["id"][:10]) == explain(out, str(row["number"])) == by_url


def test_all_documents_of_a_url_are_shown(out: Path) -> None:
    said = explain(out, "https://a.example/twice")
    assert said.count("fate kept") == 2
    assert sentence(800) in said
    assert sentence(900) in said


@pytest.mark.parametrize(
    "wanted", ["f" * 20, "f" * 33, "99999999999", str(1 << 64), "9" * 5000, "٣", "[red]", "no\nsuch"]
)
def test_what_is_not_there_is_not_found(out: Path, wanted: str) -> None:
    assert find(str(out), wanted) == []


def test_an_unknown_url_exits_with_an_error(out: Path) -> None:
    done = corpusmill("explain", out, "https://a.example/[red]\x1b[2J", expect=1)
    assert "no record with the URL, id or number 'https://a.example/[red]\\x1b[2J'" in done.stderr
    assert done.stdout.strip() == ""


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_a_hostile_document_is_shown_harmlessly(out: Path, terminal: bool) -> None:
    gone, kept, _ = next(one for one in removals(out, "document.exact") if "evil" in one[0]["url"] + one[1]["url"])
    cut, stays, _ = next(one for one in removals(out, "sentence.span") if "hostile" in one[0]["url"])
    for row in (gone, kept, cut, stays):
        said = explain(out, row["id"], terminal)
        assert "\x1b[1mloud" not in said
        assert not CONTROL.search(re.sub(r"\x1b\[[0-9;]*m", "", said) if terminal else said)
    if not terminal:
        assert "[/red] [bold]x[/bold] \\x1b[1mloud." in explain(out, cut["id"])
        for said in (explain(out, HOSTILE_URL), explain(out, "https://a.example/hostile-copy")):
            assert "https://[red]evil[/red].example/\\u001b]0;owned\\u0007\\u001b[2J/\\u202egpj.exe?[bold]&[/]" in said
            assert "[red]not red[/red] [/] [link=file:///etc/passwd]x[/link] \\u001b]0;owned\\u0007" in said


def test_nothing_hostile_reaches_the_terminal_of_the_command(out: Path) -> None:
    done = corpusmill("explain", out, HOSTILE_URL, env={"FORCE_COLOR": "1", "TERM": "xterm-256color"})
    for sequence in ("\x1b]0", "\x07", "\x1b[2J", "\x9b", "\u202e"):
        assert sequence not in done.stdout
    assert "fate" in done.stdout


def test_right_to_left_text_itself_is_left_alone() -> None:
    assert visible("שלום عربى\tok\n") == "שלום عربى\tok\n"
    assert visible("a\u202eb\r\x7f\x85\u2028") == "a\\u202eb\\u000d\\u007f\\u0085\\u2028"


def test_a_folder_without_a_finished_run_says_what_to_do(tmp_path: Path) -> None:
    said = corpusmill("explain", tmp_path / "missing", "https://a.example/", expect=1).stderr
    assert "holds no finished run (no manifest.json): run the recipe again to finish it" in said
    with pytest.raises(FileNotFoundError, match="run the recipe again"):
        find(str(tmp_path), "https://a.example/")


def test_a_damaged_table_is_named(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "copy")
    victim = next((tmp_path / "copy" / "filtered").rglob("*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"{victim.name}: not a whole Parquet file"):
        find(str(tmp_path / "copy"), "https://a.example/mail")


def test_what_failed_after_dedup_is_one_document_with_all_that_is_known(out: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(out, tmp_path / "copy")
    row = document(out, "mail")
    failed = {
        **row["origin"],
        **{name: row[name] for name in ("number", "source", "url")},
        "step": "pii",
        "cause": "X: y",
    }
    pq.write_table(pa.Table.from_pylist([failed], tables.FAILED), copy / "failed" / "web" / "late.parquet")
    made = json.loads((copy / "manifest.json").read_text())
    made["files"].append({"kind": "failed", "path": "failed/web/late.parquet"})
    (copy / "manifest.json").write_text(json.dumps(made))
    said = explain(copy, row["url"])
    assert said.count("fate ") == 1
    assert "fate failed pii: X: y" in said
    assert "length.words" in said
