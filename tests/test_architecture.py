"""The house rules that no single room can hold: who may import whom, what loads what, and that every module says its job."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("filters", "tokenizer", "training", "pipeline", "demo")
OURS = {*ROOMS, "benchmarks", "tests", "docs", "deploy"}
MAY_IMPORT = {
    "filters": {"filters"},
    "tokenizer": {"tokenizer"},
    "training": {"training", "tokenizer"},
    "pipeline": {"pipeline", "filters", "tokenizer"},
    "demo": {"demo"},
}
HEAVY = (
    "apache_beam",
    "torch",
    "spacy",
    "presidio_analyzer",
    "trafilatura",
    "tiktoken",
    "kenlm",
    "fasttext",
    "transformers",
)
COMMANDS = (
    "run",
    "check",
    "verify",
    "explain",
    "trace",
    "shards",
    "whatif",
    "models",
    "train",
    "sample",
    "export",
    "plot",
    "ablate",
    "scaling",
)


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def imports(tree: ast.AST, module_level: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, relative imports left as dots."""
    nodes = _executed_at_import(tree) if module_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _executed_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when the module is imported: no function bodies, no ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _executed_at_import(child)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    paths = modules(room)
    assert paths
    wrong = []
    for path in paths:
        for line, name in imports(ast.parse(path.read_text())):
            top = name.partition(".")[0]
            # the command line reaches the trainer, by sub-command and inside a function only (see the next test)
            lazily = top == "training" and path == ROOT / "pipeline/commands/training.py"
            if name.startswith(".") or (top in OURS and top not in MAY_IMPORT[room] and not lazily):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert wrong == []


def test_the_pipeline_never_needs_the_trainer_to_be_imported() -> None:
    for path in modules("pipeline"):
        names = {name.partition(".")[0] for _, name in imports(ast.parse(path.read_text()), module_level=True)}
        assert not names & {"training", "torch"}, path


def test_the_checks_above_see_what_they_look_for() -> None:
    code = "import a.b\nfrom c import d\nif TYPE_CHECKING:\n    import e\ndef f():\n    import g\nclass H:\n    import i\nfrom . import j\n"
    assert [name for _, name in imports(ast.parse(code))] == ["a.b", "c", ".", "e", "g", "i"]
    assert sorted(name for _, name in imports(ast.parse(code), module_level=True)) == [".", "a.b", "c", "i"]


@pytest.mark.parametrize("room", [*ROOMS, "benchmarks", "docs", "tests"])
def test_every_module_says_what_it_is_for(room: str) -> None:
    silent = []
    for path in modules(room):
        text = path.read_text()
        docstring = ast.get_docstring(ast.parse(text)) or ""
        if text.strip() and not docstring.strip():
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def loaded(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def import_all(room: str) -> str:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules(room) if path.stem[0] != "_"]
    return f"import {', '.join(names)}"


@pytest.mark.parametrize("room", ["filters", "tokenizer"])
def test_filters_and_tokenizer_work_without_beam(room: str) -> None:
    found = loaded(import_all(room))
    assert room in found
    assert not found & {"apache_beam", "pipeline", "torch"}


@pytest.mark.parametrize("names", ["filters, filters.catalog, filters.pii", "tokenizer.bpe, tokenizer.shard"])
def test_models_and_parsers_are_loaded_when_they_are_needed(names: str) -> None:
    assert not loaded(f"import {names}") & set(HEAVY)


def test_a_recipe_is_checked_without_loading_beam() -> None:
    found = loaded(
        "from pipeline import recipe_file, check\n"
        "made = recipe_file.loads('sources: [{name: web, kind: warc, paths: [\"*.toml\"]}]')\n"
        "recipe_file.loads('sources: [{name: w, kind: wikipedia, paths: [x]}, {name: b, kind: books, paths: [x]}]')\n"
        "check.summary(made)\n"
        "list(problem for problem in check.problems(made.model_copy(update={'chains': {}})))\n"
    )
    assert "pydantic" in found
    assert not found & set(HEAVY)


def test_a_worker_loads_no_torch_and_no_trainer() -> None:
    found = loaded(import_all("pipeline"))
    assert "apache_beam" in found
    assert not found & (set(HEAVY) - {"apache_beam"} | {"training"})


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)], ids=["corpusmill", *COMMANDS])
def test_help_comes_at_once(arguments: tuple[str, ...]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipeline.command", *arguments, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert all(command in shown for command in COMMANDS) if not arguments else f"corpusmill {arguments[0]}" in shown
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {*HEAVY, "numpy", "pyarrow", "numba"}
    assert after.ru_utime - before.ru_utime < 3
