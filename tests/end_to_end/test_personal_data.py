"""Personal data in a whole run: replaced, counted, and a document with too much of it removed; no value is written but before dedup."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from harness import corpusmill

RECIPE = """
name: personal
sources: [{{name: web, kind: jsonl, paths: ["{folder}/web.jsonl"], filters: none}}]
filters: {{none: []}}
dedup: false
pii: {{entities: [email], drop_above: {{email: 2}}}}
tokenizer: false
"""
TEXTS = {
    "one": "Write to anna.schmidt@firma-beispiel.de for the minutes of the meeting.",
    "list": "Members: " + ", ".join(f"person{n}@verein-beispiel.de" for n in range(5)),
    "none": "Nobody is named here, and nothing is to be replaced.",
}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("personal")
    rows = [{"text": text, "url": f"https://e.example/{name}"} for name, text in TEXTS.items()]
    (folder / "web.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder))
    corpusmill("run", folder / "recipe.yaml", "--output", folder / "out", "--runner", "direct")
    return folder / "out"


def rows(out: Path, kind: str) -> list[dict]:
    return [row for path in sorted((out / kind / "web").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_what_is_found_is_replaced_and_counted(out):
    kept = {row["url"].rpartition("/")[2]: row for row in rows(out, "documents")}
    assert kept["one"]["text"] == "Write to <EMAIL> for the minutes of the meeting."
    assert kept["one"]["signals"]["pii.email"] == 1
    assert kept["none"]["text"] == TEXTS["none"]


def test_a_document_with_too_much_is_removed(out):
    (gone,) = rows(out, "removed")
    assert gone["removed_by"] == "pii.many_email"
    assert gone["signals"]["pii.email"] == 5
    assert "@" not in gone["text"]
    web = json.loads((out / "manifest.json").read_text())["sources"]["web"]
    assert (web["read"], web["kept"], web["removed"], web["failed"]) == (3, 2, {"pii.many_email": 1}, {})
    corpusmill("verify", out)
    assert "removed pii.many_email" in " ".join(corpusmill("explain", out, "https://e.example/list").stdout.split())


def test_no_value_reaches_the_report(out):
    shown = (out / "report/index.html").read_text()
    assert "pii.many_email" in shown
    assert "verein-beispiel" not in shown
    assert "firma-beispiel" not in shown
