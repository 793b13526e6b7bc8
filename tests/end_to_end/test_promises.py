"""The promises of the design: the same bytes however a recipe is run, nothing vanishes, a bad document costs itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from harness import ROOT, command_line, corpusmill, digests

RECIPE = """\
name: promises
sources:
  - {{name: web, kind: warc, paths: ["{input}/web/demo-00000.warc.gz", "{input}/web/demo-00001.warc.gz"]}}
  - {{name: wikipedia, kind: wikipedia, paths: ["{input}/wikipedia/*"]}}
  - {{name: books, kind: books, paths: ["{input}/books/*"]}}
filters:
  web: [{{language: {{keep: []}}}}, gopher_repetition, keywords]
dedup: {{priority: [wikipedia, books, web]}}
tokenizer: {{vocab_size: 2000}}
shards: {{size: 200kB, validation: 0.1}}
limits: {{split: 400kB, batch_documents: 50}}
"""


@pytest.fixture(scope="module")
def recipe(demo_input: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "promises.yaml"
    path.write_text(RECIPE.format(input=demo_input))
    return path


@pytest.fixture(scope="module")
def reference(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run with one worker."""
    out = tmp_path_factory.mktemp("reference") / "out"
    subprocess.run(
        command_line("run", recipe, "--output", out, "--workers", "1"), cwd=ROOT, check=True, capture_output=True
    )
    return out


def test_the_reference_has_something_of_everything(reference: Path) -> None:
    found = digests(reference)
    assert {path.split("/")[0] for path in found} >= {
        "documents",
        "shards",
        "duplicates",
        "removed",
        "failed",
        "tokenizer",
    }
    made = json.loads((reference / "manifest.json").read_text())
    reasons = {reason for fates in made["sources"].values() for reason in fates["removed"]}
    assert {"dedup.document.exact", "dedup.document.near"} <= reasons
    levels = {
        level
        for path in (reference / "duplicates").rglob("*.parquet")
        for level in pq.read_table(path)["level"].to_pylist()
    }
    assert {"document.exact", "document.near", "sentence.span"} <= levels
    assert any(level.startswith("dataset.") for level in levels)
    assert sum(1 for path in found if path.startswith("shards/train/web/")) > 1


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--workers", "2"), {"PYTHONHASHSEED": "1"}),
        (("--runner", "direct"), {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"}),
    ],
    ids=["two workers", "direct"],
)
def test_same_bytes(
    recipe: Path, reference: Path, tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    corpusmill("run", recipe, "--output", tmp_path / "out", *arguments, env=env)
    assert digests(tmp_path / "out") == digests(reference)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the run was over before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("stage", "commits"), [("prepare", 2), ("finish", 1)])
def test_same_bytes_after_everything_was_killed(
    recipe: Path, reference: Path, tmp_path: Path, stage: str, commits: int
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command_line("run", recipe, "--output", out, "--workers", "2"),
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(list((out / ".corpusmill" / "commits" / stage).rglob("*.json"))) >= commits, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "killed too late to show anything"
    corpusmill("run", recipe, "--output", out, "--workers", "2")
    assert digests(out) == digests(reference)


def test_same_bytes_after_the_workers_were_killed(recipe: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = disturbed(recipe, out)
    workers = [one for one in psutil.Process(process.pid).children(recursive=True) if is_worker(one)]
    assert len(workers) == 2
    for worker in workers:
        worker.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert digests(out) == digests(reference)
    assert not any(worker.is_running() for worker in workers)


def disturbed(recipe: Path, out: Path) -> subprocess.Popen[bytes]:
    """A run with two workers, of which one has committed something."""
    process = subprocess.Popen(
        command_line("run", recipe, "--output", out, "--workers", "2"),
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: any((out / ".corpusmill" / "commits" / "prepare").rglob("*.json")), process)
    return process


def is_worker(process: psutil.Process) -> bool:
    """Whether a process was started by multiprocessing and starts no others itself."""
    line = " ".join(process.cmdline())
    return "spawn_main" in line and not process.children()


@pytest.mark.parametrize(("how", "code"), [("the supervisor is killed", -signal.SIGKILL), ("Ctrl-C", 130)])
def test_no_process_is_left(recipe: Path, reference: Path, tmp_path: Path, how: str, code: int) -> None:
    out = tmp_path / "out"
    process = disturbed(recipe, out)
    family = psutil.Process(process.pid).children(recursive=True)
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert b"Traceback" not in errors
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    corpusmill("run", recipe, "--output", out, "--workers", "2")
    assert digests(out) == digests(reference)


def test_a_finished_run_is_not_done_again(reference: Path, recipe: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in reference.rglob("*")
        if path.is_file() and ".corpusmill" not in path.parts
    }
    assert "already finished" in corpusmill("run", recipe, "--output", reference).stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_recipe_into_the_same_folder_is_refused(reference: Path, recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text().replace("vocab_size: 2000", "vocab_size: 2001"))
    refused = corpusmill("run", other, "--output", reference, expect=1)
    assert "--fresh" in refused.stderr
    stranger = tmp_path / "mine"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("years of work")
    assert "not empty" in corpusmill("run", recipe, "--output", stranger, "--fresh", expect=1).stderr
    assert (stranger / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add", "manifest"])
def test_verify_names_the_file_and_the_difference(reference: Path, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "copy"
    subprocess.run(["cp", "-r", reference, out], check=True)
    assert "as the manifest says" in corpusmill("verify", out).stdout
    assert "as the manifest says" in corpusmill("verify", f"{out.parent}/./{out.name}/").stdout
    victim = next((out / "documents" / "web").glob("*.parquet"))
    name = str(victim.relative_to(out))
    if damage == "flip":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif damage == "remove":
        victim.unlink()
    elif damage == "add":
        name = "documents/web/99999-00.parquet"
        (out / name).write_bytes(b"x")
    else:
        made = json.loads((out / "manifest.json").read_text())
        made["sources"]["web"]["kept"] += 1
        (out / "manifest.json").write_text(json.dumps(made))
        name = "source web"
    assert name in corpusmill("verify", out, expect=1).stderr


def test_a_document_that_kills_its_worker_costs_itself(tmp_path: Path) -> None:
    wishes = {3: "exit", 11: "crash", 12: "hang", 20: "raise"}
    lines = [
        {
            "text": f"This is document number {number}, and it is as harmless as any. "
            + (f"please {wishes[number]}" if number in wishes else "")
        }
        for number in range(30)
    ]
    (tmp_path / "input.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = tmp_path / "hostile.yaml"
    recipe.write_text(
        f"plugins: [hostile_filters]\nsources: [{{name: table, kind: jsonl, paths: ['{tmp_path}/input.jsonl'], filters: hostile}}]\n"
        "filters: {hostile: [hostile]}\ndedup: false\npii: false\ntokenizer: false\nlimits: {record_seconds: 2, batch_documents: 8}\n"
    )
    out = tmp_path / "out"
    env = {"PYTHONPATH": str(Path(__file__).parent)}
    said = corpusmill("run", recipe, "--output", out, "--workers", "2", env=env).stdout
    assert "going on without that record" in said
    failed = {
        row["number"]: row for path in (out / "failed").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    }
    assert sorted(failed) == sorted(wishes)
    assert "exit code 3" in failed[3]["cause"]
    assert "SIGSEGV" in failed[11]["cause"]
    assert "2 s" in failed[12]["cause"]
    assert failed[20]["cause"] == "ValueError: raised as asked"
    assert all(row["file"] == "input.jsonl" and row["length"] > 0 for row in failed.values())
    kept = [
        text
        for path in sorted((out / "documents").rglob("*.parquet"))
        for text in pq.read_table(path)["text"].to_pylist()
    ]
    assert [text.split(",")[0] for text in kept] == [
        f"This is document number {number}" for number in range(30) if number not in wishes
    ]
    corpusmill("verify", out, env=env)
