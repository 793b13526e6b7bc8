"""``corpusmill check``: everything that is wrong is said before a run, with what to do; a good recipe is summed up."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import corpusmill

GOOD = """\
name: good
sources:
  - {{name: web, kind: warc, paths: ["{input}/crawl/*.warc.gz"], filters: web}}
  - {{name: books, kind: books, paths: ["{input}/books"], filters: null}}
filters:
  web: [gopher_repetition, {{gopher_quality: {{min_words: 30}}}}]
limits: {{split: 1MB}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in {"crawl/a.warc.gz": 2_500_000, "crawl/b.warc.gz": 10, "books/x/one [1].txt": 1234}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"\0" * size)
    return tmp_path


def check(folder: Path, text: str, *arguments: str, expect: int) -> tuple[str, list[str]]:
    """What is printed, and the lines on the error stream without the path of the recipe."""
    path = folder / "r.yaml"
    path.write_text(text.format(input=folder))
    done = corpusmill("check", path, *arguments, expect=expect)
    return done.stdout, [line.replace(str(path), "r.yaml") for line in done.stderr.splitlines()]


def test_a_good_recipe_is_summed_up(folder: Path) -> None:
    said, errors = check(folder, GOOD, expect=0)
    assert errors == []
    lines = [line.replace("│", " ").split() for line in said.splitlines()]
    assert ["web", "warc", "2", "2.5", "3", "gopher_repetition", "→", "gopher_quality"] in lines
    assert ["books", "books", "1", "0.0", "1", "none"] in lines
    assert "good: ready to run" in said
    assert "recipe digest " in said


def test_all_problems_are_printed_and_nothing_else(folder: Path) -> None:
    text = """\
sources:
  - {{name: web, kind: wrac, paths: [x]}}
  - {{name: books, kind: books, paths: [x], filters: refrence}}
filters: {{web: [{{gopher_quality: {{min_wrods: 3}}}}]}}
dedup: {{priority: [boks]}}
"""
    said, errors = check(folder, text, expect=1)
    assert said.strip() == ""
    assert errors == [
        "✗ r.yaml:2: sources.0.kind: unknown kind of source 'wrac'; did you mean 'warc'?",
        "✗ r.yaml:3: sources.1.filters: no filter chain 'refrence'; did you mean 'reference'?",
        "✗ r.yaml:4: filters.web.0.gopher_quality.min_wrods: unknown key; did you mean 'min_words'?",
        "✗ r.yaml:5: dedup.priority.0: no source 'boks'; did you mean 'books'?",
    ]


def test_missing_input_models_and_tokenizers_are_all_told(folder: Path) -> None:
    (folder / "garbage.bin").write_bytes(b"this is no model\n" * 100)
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    text = """\
sources:
  - {{name: web, kind: warc, paths: ["{input}/crwal/*.gz", "{input}/nothing"], filters: missing}}
  - {{name: books, kind: books, paths: ["{input}/books"], filters: damaged}}
filters:
  missing: [{{perplexity: {{model: "{input}/en.binary", max: 1500}}}}]
  damaged: [{{perplexity: {{model: "{input}/garbage.bin", max: 1500}}}}, {{url: {{word_lists: ["{input}/words.txt"]}}}}]
tokenizer: {{path: "{input}/tokenizer.json"}}
"""
    said, errors = check(folder, text, expect=1)
    assert said.strip() == ""
    assert len(errors) == 5, errors
    assert errors[0] == f"✗ r.yaml: source 'web': no file matches {folder}/crwal/*.gz, {folder}/nothing"
    assert errors[1] == f"✗ r.yaml: filters.missing.perplexity: no file {folder}/en.binary"
    assert errors[2].startswith("✗ r.yaml: filters.damaged.perplexity: ")
    assert "garbage.bin" in errors[2]
    assert errors[3] == f"✗ r.yaml: filters.damaged.url: no file {folder}/words.txt"
    assert errors[4].startswith(f"✗ r.yaml: tokenizer.path: {folder}/tokenizer.json: not a tokenizer.json")


def test_input_from_the_command_line_is_what_is_checked(folder: Path) -> None:
    said, _ = check(folder, GOOD, "--input", f"web={folder}/crawl/b*", "--input", f"web={folder}/books", expect=0)
    assert ["web", "warc", "2", "0.0"] in [line.replace("│", " ").split()[:4] for line in said.splitlines()]
    _, errors = check(folder, GOOD, "--input", f"web={folder}/none*", expect=1)
    assert errors == [f"✗ r.yaml: source 'web': no file matches {folder}/none*"]
    _, errors = check(folder, GOOD, "--input", "wbe=x", expect=1)
    assert errors == ["✗ r.yaml:2: sources: paths given for a source 'wbe' that is not there; did you mean 'web'?"]
    _, errors = check(folder, GOOD, "--input", "web", expect=1)
    assert errors == ["✗ --input web: write SOURCE=GLOB, for example --input 'web=crawl/*.warc.gz'"]


@pytest.mark.parametrize("name", ["missing.yaml", "folder"])
def test_a_recipe_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    said = corpusmill("check", tmp_path / name, expect=1).stderr
    assert said.startswith("✗ the recipe can't be read: ")
    assert name in said


def test_markup_in_a_message_is_shown_as_it_is(folder: Path) -> None:
    _, errors = check(folder, GOOD + "'[red]x[/]': 1\n", expect=1)
    assert errors[0].startswith("✗ r.yaml:8: [red]x[/]: unknown key '[red]x[/]'")
