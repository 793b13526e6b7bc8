"""Rules are tried on the built-in sample before a run: what removes all of it is an error with its line, unless it is meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from filters import sample
from filters.catalog import FILTERS
from pipeline import trial
from pipeline.recipe_file import RecipeError, line_of, loads

ROOT = Path(__file__).resolve().parents[2]


def findings(filters: str, kind: str = "jsonl", more: str = "") -> list[trial.Finding]:
    text = f"sources: [{{name: web, kind: {kind}, paths: [x], filters: chain}}]\nfilters:\n  chain:\n{filters}\n{more}"
    return list(trial.findings(loads(text)))


@pytest.mark.parametrize(
    ("filters", "place", "says"),
    [
        ("    - gopher_quality: {min_stop_words: 500}", ("gopher_quality", "min_stop_words"), "always < 500"),
        ("    - fineweb: {short_line: 900}", ("fineweb", "max_short_lines"), "always > 0.67"),
        ("    - c4: {max_curly_brackets: 0, min_sentences: 900}", ("c4", "min_sentences"), "always < 900"),
        ("    - length: {min_words: 90000}", ("length", "min_words"), "length.words is"),
        ("    - length: {max_words: 10}", ("length", "max_words"), "always > 10"),
        (
            "    - {language: {keep: [zh]}}\n    - gopher_quality",
            ("gopher_quality", "max_mean_word_length"),
            "always > 10",
        ),
    ],
)
def test_what_removes_all_of_the_sample_is_found(filters, place, says):
    [finding] = findings(filters)
    assert finding.place[:2] == ("filters", "chain")
    assert finding.place[3:] == place
    assert says in finding.message
    assert "alarms.intended" in finding.message


@pytest.mark.parametrize(
    "filters",
    [
        "    - gopher_quality\n    - gopher_repetition\n    - c4\n    - fineweb",  # made for English, and English is there
        "    - {language: {keep: [sw]}}\n    - gopher_quality: {min_words: 100000}",  # no such text here: nothing to say
        "    - length: {min_words: 900}",  # only the long document has so many
        "    - {language: {keep: [de]}}\n    - gopher_quality: {stop_words: [der, die, das, und]}",
        "    - datatrove_repetition\n    - datatrove_quality\n    - datatrove_c4\n    - refinedweb\n    - madlad\n    - nemo",
        "    - data_juicer\n    - token_repetition\n    - redpajama",
    ],
)
def test_sensible_chains_raise_no_alarm(filters):
    assert findings(filters) == []


def test_code_is_tried_on_code():
    assert findings("    - code_quality", kind="code") == []
    [finding] = findings("    - code_quality: {max_lines: 3}", kind="code")
    assert finding.place[-1] == "max_lines"
    assert findings("    - code_quality: {max_lines: 3}") != []  # prose has lines too


def test_who_means_it_says_so():
    rule = "    - length: {max_words: 10}"
    assert findings(rule, more="alarms: {intended: [length.too_many_words]}") == []
    assert len(findings(rule, more="alarms: {intended: [length.too_few_words]}")) == 1


@pytest.mark.parametrize(
    ("setting", "what"),
    [("max_duplicate_lines: 1", "can never fire"), ("max_duplicate_lines: -0.1", "removes every document")],
)
def test_a_threshold_outside_the_range_is_an_error(setting, what):
    text = f"sources: [{{name: web, kind: jsonl, paths: [x], filters: chain}}]\nfilters:\n  chain:\n    - gopher_repetition:\n        {setting}"
    with pytest.raises(RecipeError) as error:
        loads(text)
    [problem] = error.value.problems
    assert problem.place == "recipe:5"
    assert what in problem.message
    assert "max_duplicate_lines" in problem.message


def test_the_line_of_a_place(tmp_path):
    (tmp_path / "r.yaml").write_text("name: x\nfilters:\n  web:\n    - c4:\n        min_sentences: 9\n    - fineweb\n")
    path = str(tmp_path / "r.yaml")
    assert line_of(path, ("filters", "web", 0, "c4", "min_sentences")) == 5
    assert line_of(path, ("filters", "web", 0, "c4", "max_curly_brackets")) == 4
    assert line_of(path, ("filters", "web", 1, "fineweb", "short_line")) == 6
    assert line_of(path, ("filters", "reference", 0)) == 2


def test_every_default_chain_keeps_some_of_the_sample():
    texts = sample.prose()
    assert {document.id[:2] for document in texts} >= {"en", "de", "fr", "es", "ru", "zh", "ja"}
    assert len({document.text for document in texts}) == len(texts)
    assert all(FILTERS["code_quality"]().measure(document)["code.lines"] > 10 for document in sample.code())


def test_check_names_the_line(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "r.yaml").write_text(
        f'sources:\n  - {{name: web, kind: jsonl, paths: ["{tmp_path}/in.jsonl"], filters: web}}\n'
        "filters:\n  web:\n    - gopher_repetition\n    - length:\n        max_words: 10\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.command", "check", tmp_path / "r.yaml"],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        f"{tmp_path}/r.yaml:7: filters.web.1.length.max_words: rule length.too_many_words removes every one of"
        in done.stderr
    )
