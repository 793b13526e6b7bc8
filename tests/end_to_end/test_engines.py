"""The same bytes on Flink, Spark and Prism: whole runs, killed workers, guilty records, an interrupted run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engines
import psutil
import pyarrow.parquet as pq
import pytest
from harness import ROOT, SHARED, command_line, corpusmill, digests

pytestmark = pytest.mark.engine

SMALL = """\
name: small
sources:
  - {{name: web, kind: warc, paths: ["{input}/web/demo-00000.warc.gz"], filters: web}}
filters: {{web: [gopher_repetition]}}
dedup: false
pii: false
tokenizer: false
limits: {{split: 100kB, batch_documents: 20}}
"""

REAL = """\
name: real
sources:
  - {{name: web, kind: warc, paths: ["{shared}/neardup/*.warc.gz"], filters: web}}
  - {{name: gutenberg, kind: books, paths: ["{shared}/books/gutenberg-raw.tar.zst"], filters: web}}
filters: {{web: [gopher_repetition]}}
dedup: {{priority: [gutenberg, web]}}
tokenizer: false
"""


@pytest.fixture(scope="module")
def demo(demo_input: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The demo's recipe over a part of its input, and the digests of what the local runner makes of it."""
    folder = tmp_path_factory.mktemp("demo")
    recipe = folder / "demo.yaml"
    written = (ROOT / "recipes" / "demo.yaml").read_text().replace("build/demo/input", str(demo_input))
    recipe.write_text(written.replace("web/*.warc.gz", "web/demo-00000.warc.gz").replace("code/*", "code/*network*"))
    corpusmill("run", recipe, "--output", folder / "out")
    return recipe, digests(folder / "out")


@pytest.mark.parametrize("name", ["flink", "spark", "prism"])
def test_the_demo_gives_the_same_bytes(name: str, demo: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = demo
    corpusmill("run", recipe, "--output", tmp_path / "out", "--workers", "2", *engines.arguments(name))
    assert digests(tmp_path / "out") == expected
    assert {path.split("/")[0] for path in expected} >= {"documents", "shards", "duplicates", "removed", "tokenizer"}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A recipe over real input, and the digests of what the local runner makes of it."""
    if not SHARED.exists():
        pytest.skip("the real data does not lie beside the checkout")
    folder = tmp_path_factory.mktemp("real")
    (folder / "real.yaml").write_text(REAL.format(shared=SHARED))
    corpusmill("run", folder / "real.yaml", "--output", folder / "out", "--workers", "2")
    return folder / "real.yaml", digests(folder / "out")


@pytest.mark.parametrize("name", ["flink", "spark", "prism"])
def test_real_input_gives_the_same_bytes(name: str, real: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = real
    corpusmill("run", recipe, "--output", tmp_path / "out", "--workers", "2", *engines.arguments(name))
    assert digests(tmp_path / "out") == expected != {}


@pytest.fixture(scope="module")
def small(demo_input: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A recipe of one stage that matters, and the digests of an undisturbed local run."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.yaml").write_text(SMALL.format(input=demo_input))
    corpusmill("run", folder / "small.yaml", "--output", folder / "out")
    return folder / "small.yaml", digests(folder / "out")


def workers(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that run our code for an engine: forked from one that forks on request."""
    return [
        worker
        for child in psutil.Process(driver.pid).children()
        if "multiprocessing.forkserver" in " ".join(child.cmdline())
        for worker in child.children()
    ]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 900
    while not condition():
        assert process.poll() is None, "the run was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["flink", "spark"])
def test_killed_workers_cost_a_retry(name: str, small: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = small
    out = tmp_path / "out"
    process = subprocess.Popen(
        command_line("run", recipe, "--output", out, "--workers", "2", *engines.arguments(name)),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: any((out / "filtered").rglob("*.parquet")), process)
    victims = workers(process)
    assert victims
    for victim in victims:
        victim.kill()
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors.decode()
    assert digests(out) == expected


def test_nothing_is_left_behind_by_an_interrupted_run(small: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    recipe, expected = small
    out = tmp_path / "out"
    chosen = engines.arguments("prism")
    command = command_line("run", recipe, "--output", out, "--workers", "2", *chosen)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: any((out / "filtered").rglob("*.parquet")), process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"goes on from here" in errors
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    corpusmill("run", recipe, "--output", out, "--workers", "2", *chosen)
    assert digests(out) == expected


def test_a_document_that_kills_its_worker_costs_itself(tmp_path: Path) -> None:
    lines = [{"text": f"Document number {number}. " + "please exit" * (number == 7)} for number in range(12)]
    (tmp_path / "input.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "hostile.yaml").write_text(
        f"plugins: [hostile_filters]\nsources: [{{name: table, kind: jsonl, paths: ['{tmp_path}/input.jsonl'], filters: hostile}}]\n"
        "filters: {hostile: [hostile]}\ndedup: false\npii: false\ntokenizer: false\n"
    )
    out = tmp_path / "out"
    env = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    said = corpusmill("run", tmp_path / "hostile.yaml", "--output", out, *engines.arguments("flink"), env=env).stdout
    assert "going on without that record" in said
    failed = [row for path in (out / "failed").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert [(row["number"], row["cause"]) for row in failed] == [(7, "worker died with exit code 3")]
    documents = [row for path in (out / "documents").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert len(documents) == 11
