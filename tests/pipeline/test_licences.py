"""Licences by their texts and by SPDX lines, and which of them a recipe allows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from pipeline.sources.repository.licences import allows, is_licence_file, licence_of_line, licence_of_text

TEXTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "neardup" / "licence-texts.jsonl.zst"

MIT = (
    "Copyright (c) 2020 Someone\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy of this "
    "software ...\nThe above copyright notice and this permission notice shall be included"
)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("LICENSE", True),
        ("license.md", True),
        ("LICENCE.txt", True),
        ("LICENSE-MIT", True),
        ("LICENSE-APACHE-2.0.txt", True),
        ("UNLICENSE", True),
        ("COPYING.LESSER", True),
        ("license.py", False),
        ("licenses.json", False),
        ("README.md", False),
    ],
)
def test_names_of_licence_files(name: str, is_one: bool) -> None:
    assert is_licence_file(name) is is_one


def test_relatives_are_told_apart() -> None:
    assert licence_of_text(MIT) == "MIT"
    assert licence_of_text(MIT.upper().replace(" ", "\n * ")) == "MIT"
    assert licence_of_text(MIT + "\nThe Software shall be used for Good, not Evil.") == "JSON"
    assert licence_of_text(MIT + " and more" * 500) == "", "a licence inside another text is not that text's licence"
    assert licence_of_text("All rights reserved.") == ""
    assert licence_of_text("") == ""


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("// SPDX-License-Identifier: GPL-2.0-only\nint x;", "GPL-2.0-only"),
        ("/* SPDX-License-Identifier: (MIT OR Apache-2.0) */", "(MIT OR Apache-2.0)"),
        ("# SPDX-License-Identifier:   BSD-3-Clause  ", "BSD-3-Clause"),
        ("x = 1\n" * 3000 + "# SPDX-License-Identifier: MIT", ""),
        ("SPDX", ""),
    ],
)
def test_spdx_lines(text: str, licence: str) -> None:
    assert licence_of_line(text) == licence


@pytest.mark.parametrize(
    ("expression", "kept", "allowed"),
    [
        ("MIT", {"MIT"}, True),
        ("GPL-2.0-or-later", {"GPL-2.0"}, True),
        ("GPL-2.0+", {"MIT"}, False),
        ("MIT OR GPL-2.0", {"MIT"}, True),
        ("MIT AND GPL-2.0", {"MIT"}, False),
        ("MIT AND GPL-2.0", {"MIT", "GPL-2.0"}, True),
        ("(MIT OR Apache-2.0)", {"Apache-2.0"}, True),
        ("GPL-2.0 WITH Classpath-exception-2.0", {"GPL-2.0"}, True),
        ("", {"MIT"}, False),
    ],
)
def test_what_a_recipe_allows(expression: str, kept: set[str], allowed: bool) -> None:
    assert allows(expression, frozenset(kept)) is allowed


@pytest.mark.skipif(not TEXTS.exists(), reason="the shared data is not here")
def test_real_texts_against_their_labels() -> None:
    """Better no name than a wrong one: what is called MIT or BSD by mistake would be kept by mistake."""
    with TEXTS.open("rb") as packed:
        rows = [json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(packed).read().splitlines()]
    found = Counter((row["label"], licence_of_text(row["text"])) for row in rows)
    named = sum(count for (_, ours), count in found.items() if ours)
    right = sum(count for (label, ours), count in found.items() if ours and label.startswith(ours))
    assert named > 85
    assert right / named > 0.75
    permissive = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0", "0BSD", "Zlib"}
    copyleft = {label: ours for label, ours in found if "GPL" in label and ours in permissive}
    assert copyleft == {}
