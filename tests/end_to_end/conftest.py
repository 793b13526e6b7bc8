"""The demo's own input, made once for all end-to-end tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT


@pytest.fixture(scope="session")
def demo_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own input."""
    folder = tmp_path_factory.mktemp("demo-input")
    subprocess.run([sys.executable, "-m", "demo", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder
