"""What the documentation says is so: pages are up to date, recipes load, commands exist, snippets run, links resolve."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from harness import ROOT, command_line

from demo import web, wiki
from demo.warc import warc_file
from filters.catalog import FILTERS
from pipeline import command, recipe_file, tables
from pipeline.dedup import key_table
from pipeline.sources.catalog import KINDS
from tokenizer import shard

READMES = ("README.md", "README.zh-CN.md")
VALUES = "Values on known texts"
"""The one section of the filter reference that is about no filter."""
PAGES = (*READMES, "docs/guide.md", "docs/recipe.md", "docs/filters.md", "docs/formats.md")
LINKED = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))
DEMO_OUT = "build/demo/out"
"""Where the READMEs say that the demo's output lies; the small run below stands in for it."""


class Block(NamedTuple):
    """A fenced block of a page: where its content begins, its language, its content."""

    page: str
    line: int
    language: str
    content: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The name that a first line such as ``# my-corpus.yaml`` gives the block."""
        named = re.match(r"# ([\w-]+\.\w+)\n", self.content)
        return named[1] if named else ""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> Iterator[Block]:
    text = text_of(page)
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if not languages or found[1] in languages:
            yield Block(page, text[: found.start(2)].count("\n") + 1, found[1], found[2])


def without_blocks(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def headings(page: str) -> list[tuple[int, str]]:
    return [(len(one[1]), one[2]) for one in re.finditer(r"^(#+) (.+)$", without_blocks(page), re.MULTILINE)]


def named(page: str, file: str) -> Block:
    (found,) = (block for block in blocks(page) if block.file == file)
    return found


def every(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, *languages)]


def by_place(block: Block) -> str:
    return block.place


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader would have it: the README's recipe, a little input, and ``out`` with its finished run."""
    folder = tmp_path_factory.mktemp("reader")
    for name, content in {
        "crawl/demo.warc.gz": warc_file("demo.warc.gz", web.captures([])),
        "dumps/enwiki-demo.xml.bz2": wiki.dump(),
    }.items():
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(content)
    (folder / "books").symlink_to(ROOT / "demo" / "books")
    (folder / "my-corpus.yaml").write_text(named("README.md", "my-corpus.yaml").content)
    code = f"code={ROOT}/demo/*.py"
    run_in(folder, "run", "my-corpus.yaml", "--output", "out", "--runner", "direct", "--input", code)
    return folder


def run_in(folder: Path, *arguments: str) -> str:
    """What the command says when it is run in this folder."""
    environment = os.environ | {"COLUMNS": "200", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")}
    done = subprocess.run(command_line(*arguments), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_references_name_every_filter_source_and_section() -> None:
    assert {name for level, name in headings("docs/filters.md") if level == 2} - {VALUES} == set(FILTERS)
    found = {name for _, name in headings("docs/recipe.md")}
    sections = {"sources", "filters", "models", "dedup", "pii", "tokenizer", "shards", "limits", "alarms"}
    assert found >= {f"kind: {kind}" for kind in KINDS} | sections


@pytest.mark.parametrize("block", every("yaml"), ids=by_place)
def test_every_recipe_loads(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for plugin in blocks("README.md", "python"):
        if plugin.file:
            (tmp_path / plugin.file).write_text(plugin.content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    text = block.content
    if not re.search(r"^sources:", text, re.MULTILINE):
        text = 'sources: [{name: web, kind: warc, paths: ["crawl/*"]}]\n' + text
    try:
        recipe_file.loads(text, block.place)
    finally:
        FILTERS.pop("shouting", None)
        sys.modules.pop("my_filters", None)


def test_both_readmes_have_the_same_structure() -> None:
    english, chinese = map(headings, READMES)
    assert [level for level, _ in english] == [level for level, _ in chinese]
    assert english[0] == chinese[0]


def test_both_readmes_have_the_same_blocks() -> None:
    """Comments, and the texts beside the names of a tree, are in the reader's language; all else is equal."""

    def bare(block: Block) -> tuple[str, str]:
        content = re.sub(r"\s*(#|--) .*$", "", block.content, flags=re.MULTILINE)
        if content.startswith("out/"):
            content = "\n".join(re.sub(r" {2,}\S.*$", "", line[2:]) for line in content.splitlines())
        return block.language, content

    english, chinese = ([bare(block) for block in blocks(page)] for page in READMES)
    assert english == chinese


def test_both_readmes_link_to_the_same_places() -> None:
    english, chinese = (re.findall(r"\]\(([^)]+)\)", without_blocks(page)) for page in READMES)
    assert english[1:] == chinese[1:]
    assert (english[0], chinese[0]) == ("README.zh-CN.md", "README.md")


@pytest.mark.parametrize("page", (*READMES, *LINKED))
def test_links_resolve(page: str) -> None:
    for label, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", without_blocks(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.is_file(), f"{page}: no file {target}"
        if anchor:
            relative = str(file.resolve().relative_to(ROOT))
            assert anchor in {slug(name) for _, name in headings(relative)}, f"{page}: no heading for {target}"
        if label.startswith("test_"):
            assert f"def {label}(" in file.read_text(encoding="utf-8"), f"{page}: {label} is not in {target}"


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("block", every("sh"), ids=by_place)
def test_every_command_exists(block: Block) -> None:
    known = typer.main.get_command(command.app)
    targets = re.findall(r"^(\w+):", text_of("Makefile"), re.MULTILINE)
    variables = re.findall(r"^(\w+) \?=", text_of("Makefile"), re.MULTILINE)
    for line in block.content.splitlines():
        program, first, *rest = shlex.split(line)
        if program == "make":
            assert first in targets, line
            assert all(one.partition("=")[0] in variables for one in rest), line
        else:
            assert program == "corpusmill", line
            with known.make_context("corpusmill", [first, *rest]) as context:
                sub = known.get_command(context, first)  # type: ignore[attr-defined]
                sub.make_context(first, rest)


def test_the_commands_on_a_finished_run_say_what_the_readme_shows(workplace: Path) -> None:
    (lines,) = (
        block.content.splitlines() for block in blocks("README.md", "sh") if "corpusmill verify" in block.content
    )
    said = {}
    for line in lines:
        _, name, *rest = shlex.split(line)
        if name in ("verify", "explain"):
            said[name] = run_in(workplace, name, *(one.replace(DEMO_OUT, "out") for one in rest))
    assert "every file, count and digest is as the manifest says" in said["verify"]
    (shown,) = (block.content for block in blocks("README.md", "text") if block.content.startswith("╭"))
    for word in ("fate", "read from", "removed when", "document.near, similarity", "stays in"):
        assert word in shown
        assert word in said["explain"]


def test_the_tree_is_what_comes_out(workplace: Path) -> None:
    (tree,) = (block.content for block in blocks("README.md", "text") if block.content.startswith("out/"))
    shown = {part.split("/")[0] for line in tree.splitlines()[1:] for part in line[2:].split("   ")[0].split()}
    assert shown == {path.name for path in (workplace / "out").iterdir()} - {".corpusmill"}


@pytest.mark.parametrize(
    "block", [one for one in every("python") if not one.file and one.page != READMES[1]], ids=by_place
)
def test_python_runs(block: Block, workplace: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(workplace / "huggingface")}
    code = "\n" * (block.line - 1) + block.content
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}"
    assert done.stdout.strip()


@pytest.mark.parametrize("block", [one for one in every("sql") if one.page != READMES[1]], ids=by_place)
def test_sql_runs(block: Block, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    for statement in re.sub(r"--.*", "", block.content).split(";"):
        if statement.strip():
            assert duckdb.sql(statement).fetchall(), f"{block.place}: no rows from {statement}"


def test_the_plugin_works(workplace: Path) -> None:
    for name in ("my_filters.py", "shouting.yaml"):
        (workplace / name).write_text(named("README.md", name).content)
    texts = ["A LETTER IN CAPITALS ONLY, FROM SOMEBODY WHO IS ANGRY.", "A letter as people write them."]
    (workplace / "letters.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (line,) = (line for block in blocks("README.md", "sh") for line in block.content.splitlines() if "shouting" in line)
    run_in(workplace, *shlex.split(line)[1:])
    (removed,) = pq.read_table(workplace / "quiet" / "removed").to_pylist()
    assert (removed["text"], removed["removed_by"]) == (texts[0], "shouting.too_many_capitals")
    assert removed["signals"]["shouting.capitals"] == 1.0
    assert pq.read_table(workplace / "quiet" / "documents")["text"].to_pylist() == texts[1:]
    assert "shouting.capitals" in run_in(workplace, "explain", "quiet", "0")


def columns(section: str) -> list[tuple[str, str]]:
    """Names and types of the table below a heading of docs/formats.md."""
    text = re.split(r"^#+ ", text_of("docs/formats.md").split(f"# {section}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[
        0
    ]
    table = re.search(r"\| Column \|.*?\n\n", text, re.DOTALL)
    assert table
    return re.findall(r"^\| `(\w+)` \| (.+?) \|", table[0], re.MULTILINE)


def as_written(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(field.name, f"`{field.type}`".replace("element: ", "").replace("item: ", "")) for field in schema]


@pytest.mark.parametrize(
    ("section", "schema"),
    [
        ("filtered, removed, documents", tables.documents(["…"], removed=True)),
        ("failed", tables.FAILED),
        ("duplicates", tables.DUPLICATES),
        ("keys", key_table.schema(112)),
    ],
)
def test_the_formats_page_has_every_column(section: str, schema: pa.Schema) -> None:
    assert columns(section) == as_written(schema)


def test_the_formats_page_has_the_columns_and_keys_of_a_shard(workplace: Path) -> None:
    (path, *_) = sorted((workplace / "out/shards/train").rglob("*.arrow"))
    schema = pa.ipc.open_file(path).schema
    said = columns("Shards")
    assert [name for name, _ in said] == schema.names
    types = {
        str(pa.list_(pa.from_numpy_dtype(kind))).replace("element: ", "").replace("item: ", "")
        for kind in (np.uint16, np.uint32)
    }
    assert set(re.findall(r"`(.*?)`", said[0][1])) == types
    assert [kind for _, kind in said[1:]] == [kind for _, kind in as_written(schema)][1:]
    keys = re.findall(r"^\| `(corpusmill\.\w+)`", text_of("docs/formats.md"), re.MULTILINE)
    assert keys == [key.decode() for key in schema.metadata]
    for number in (shard.BATCH_TOKENS, shard.BATCH_ROWS):
        assert f"{number:,}" in text_of("docs/formats.md")


def test_the_formats_page_has_every_key_of_the_manifest(workplace: Path) -> None:
    made = json.loads((workplace / "out/manifest.json").read_text())
    section = text_of("docs/formats.md").split("## manifest.json\n")[1]
    keys, rows = (
        re.findall(r"^\| `(\w+)` \| (.+) \|$", part, re.MULTILINE) for part in section.split("A row of `files`")
    )
    assert {key for key, _ in keys} == set(made)
    said = dict(rows)
    common = {"kind", "path", "bytes", "sha256"}
    kinds = {one["kind"]: set(one) - common for one in made["files"]}
    assert {kind: set(re.findall(r"`(\w+)`", said[kind])) for kind in kinds} == kinds
    assert set(said) == kinds.keys()
