"""Running the command as a user runs it, and digests of what it wrote."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
COMPARED = ("documents", "shards", "duplicates", "filtered", "removed", "failed", "tokenizer", "keys")


def command_line(*arguments: str | Path) -> list[str]:
    """The corpusmill command as an argument list."""
    return [sys.executable, "-m", "pipeline.command", *map(str, arguments)]


def corpusmill(
    *arguments: str | Path, expect: int = 0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; ``env`` adds to the environment, ``expect`` is the exit code."""
    environment = {**os.environ, "COLUMNS": "200", **(env or {})}
    done = subprocess.run(command_line(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file that must be the same whatever way a recipe was run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in COMPARED
        for path in sorted((out / folder).rglob("*"))
        if path.is_file()
    }
