"""The ablation's section of the report: it is there once, says what it was given, and the manifest knows the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import files, manifest
from pipeline.layout import Layout
from pipeline.report import ablation


def test_the_section_is_there_once_and_the_manifest_is_true(tmp_path: Path) -> None:
    layout = Layout.of(str(tmp_path))
    page = '<main>\n<section id="tokens">é</section>\n<section id="removed"></section></main>'
    files.write_text(layout.report, page)
    row = {"kind": "report", "path": "report/index.html", "bytes": 1, "sha256": "0"}
    other = {"kind": "shard", "path": "shards/x", "bytes": 1, "sha256": "1"}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": manifest.FORMAT, "files": [row, other]}))
    for chart in ("<svg>old</svg>", "<svg>new</svg>"):
        ablation.add(layout, "a < b", chart, "<table></table>")
    text = Path(layout.report).read_text()
    assert "old" not in text and text.count("<svg>new</svg>") == 1 and "a &lt; b" in text
    assert text.index('id="tokens"') < text.index('id="ablation"') < text.index('id="removed"')
    found = manifest.read(layout)["files"]
    assert found[1] == other
    assert (found[0]["bytes"], found[0]["sha256"]) == files.sha256_of(layout.report)
    files.write_text(layout.report, "another page")
    with pytest.raises(ValueError, match="no place for the ablation"):
        ablation.add(layout, "", "", "")
