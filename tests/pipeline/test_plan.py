"""The plan: every byte of every file in exactly one part, the same plan wherever the data lies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import files, plan
from pipeline.layout import Layout
from pipeline.plan import MAX_FILES, RECORD_BITS, NoInput, Plan, Split
from pipeline.prepare import document_id
from pipeline.recipe import Recipe
from pipeline.recipe_file import loads
from pipeline.sources.source import FilePart, Record, Source

KiB = 1 << 10


class Enterable(Source):
    """Files whose name ends in .in can be entered in the middle."""

    kind: Literal["enterable"] = "enterable"
    reads: ClassVar[str] = "nothing"

    def can_enter(self, path: str) -> bool:
        return path.endswith(".in")

    def read(self, part: FilePart, max_record_bytes: int) -> Iterator[Record]:
        yield from ()


def recipe(*paths: str | Path, split: int = KiB, **more: list[str]) -> Recipe:
    sources = {"web": [str(path) for path in paths], **more}
    made = loads("sources: [{name: web, kind: jsonl, paths: [x]}]\ndedup: false\ntokenizer: false\nfilters: false\n")
    return made.model_copy(
        update={
            "sources": tuple(
                Enterable(name=name, paths=tuple(where), filters="none") for name, where in sources.items()
            ),
            "limits": made.limits.model_copy(update={"split": split}),
        }
    )


def lay(folder: Path, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
        os.truncate(folder / name, size)
        os.utime(folder / name, (0, 1_700_000_000.25))


def shape(made: Plan) -> list[list[tuple[str, int, int, int]]]:
    return [[(part.name, part.start, part.stop, part.size) for part in split.parts] for split in made.splits]


SIZES = st.dictionaries(
    st.text("ab", min_size=1, max_size=4).flatmap(
        lambda name: st.sampled_from([f"{name}.in", f"{name}.gz", f"d/{name}.in"])
    ),
    st.integers(0, 5000),
    min_size=1,
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(1, 3000))
@example({"a.in": 3000, "b.gz": 3000, "c.in": 0}, 1000)
@example({"a.in": 1, "b.in": 1, "c.in": 1}, 2)
def test_every_byte_lies_in_exactly_one_part_in_order(sizes: dict[str, int], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lay(Path(folder), sizes)
        made = plan.make(recipe(folder, split=size))
    assert [split.index for split in made.splits] == list(range(len(made.splits)))
    assert [split.number for split in made.splits] == list(range(len(made.splits)))
    parts = [part for split in made.splits for part in split.parts]
    assert list(dict.fromkeys(part.name for part in parts)) == sorted(sizes)
    for name, length in sizes.items():
        own = [part for part in parts if part.name == name]
        assert {part.path for part in own} == {f"{folder}/{name}"}
        assert own[0].start == 0
        assert own[-1].stop == length
        assert all(part.size == length for part in own)
        assert all(before.stop == after.start for before, after in pairwise(own))
        if name.endswith(".in"):
            assert all(part.stop - part.start <= size for part in own)
            assert len(own) == max(1, -(-length // size))
        else:
            assert [part.whole for part in own] == [True]
    for split in made.splits:
        assert split.size <= size or len(split.parts) == 1
    for before, after in pairwise(made.splits):
        first = after.parts[0]
        assert before.size + first.stop - first.start > size, "what fits shares a split"


def test_few_files_share_a_split_however_small(tmp_path: Path) -> None:
    lay(tmp_path, {f"{number:05d}.gz": 0 for number in range(MAX_FILES + 1)})
    assert [len(split.parts) for split in plan.make(recipe(tmp_path)).splits] == [MAX_FILES, 1]


TREE = {"a/1.in": 2500, "a/2.gz": 700, "b/1.in": 100, "b/ü 数.in": 10, "3.in": 0}


def test_the_plan_does_not_depend_on_the_order_of_paths_or_on_overlap(tmp_path: Path) -> None:
    lay(tmp_path, TREE)
    made = plan.make(recipe(tmp_path / "a" / "*", tmp_path / "b", tmp_path / "*.in"))
    assert made.folders == {"web": str(tmp_path)}
    assert [split[0][0] for split in shape(made)] == ["3.in", "a/1.in", "a/1.in", "a/2.gz"]
    for paths in (("*.in", "b", "a/*"), ("b/*", "a", "*.in", "a/1.in"), ("**/*", "b/1.in"), (".",)):
        assert plan.make(recipe(*(tmp_path / path for path in paths))) == made


def test_the_plan_does_not_depend_on_where_the_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "far [1]" / "away"
    plans = []
    for folder in (here, there):
        lay(folder, TREE)
        plans.append(plan.make(recipe(folder / "a" / "*.*", folder / "b")))
    monkeypatch.chdir(here)
    plans += [plan.make(recipe(*paths)) for paths in (("a/*.*", "b"), ("./a/*.*", ".//b/*"), ("a", "./b"))]
    first = shape(plans[0])
    assert all(shape(made) == first for made in plans)
    assert len({made.digest for made in plans}) == 1
    assert {made.folders["web"] for made in plans} == {str(here), str(there), ""}


@pytest.mark.parametrize(
    ("paths", "folder", "names"),
    [
        (["a/1.in"], "a", ["1.in"]),
        (["a/*.in"], "a", ["1.in"]),
        (["./a"], "a", ["1.in", "2.gz"]),
        (["*.in"], "", ["3.in"]),
        (["./*.in"], "", ["3.in"]),
        (["*/1.in"], "", ["a/1.in", "b/1.in"]),
        (["a/1.in", "b/1.in"], "", ["a/1.in", "b/1.in"]),
        (["3.in", "b/1.in"], "", ["3.in", "b/1.in"]),
    ],
)
def test_names_are_relative_to_the_folder_that_the_paths_share(
    paths: list[str], folder: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, TREE)
    monkeypatch.chdir(tmp_path)
    made = plan.make(recipe(*paths, split=1 << 20))
    assert made.folders == {"web": folder}
    (split,) = made.splits
    assert [part.name for part in split.parts] == names
    assert all(files.join(folder, part.name) == part.path for part in split.parts if folder)
    made = plan.make(recipe(*(tmp_path / path for path in paths), split=1 << 20))
    assert [part.name for part in made.splits[0].parts] == names
    assert made.folders == {"web": f"{tmp_path}/{folder}".rstrip("/")}


@pytest.mark.parametrize(
    ("bases", "folder"),
    [
        (["/data/a", "/data/b/c"], "/data"),
        (["/data/a", "/data/ab"], "/data"),
        (["/x", "/y"], "/"),
        (["/"], "/"),
        (["/", "/x"], "/"),
        (["a", "b"], ""),
        ([".", "a"], ""),
        (["."], ""),
        (["/x", "x"], ""),
        (["../a", "../b"], ".."),
        (["gs://one/a", "gs://one/b"], "gs://one"),
        (["gs://one/a", "gs://two/a"], "gs://"),
        (["gs://one/a", "s3://one/a"], ""),
    ],
)
def test_the_shared_folder(bases: list[str], folder: str) -> None:
    assert plan._common(sorted(bases)) == folder


def test_a_name_that_is_no_utf8_is_spelled_out(tmp_path: Path) -> None:
    for name in (b"caf\xe9.in", b"caf\xe8.in", "café.in".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as stream:
            stream.write(b"x")
    made = plan.make(recipe(tmp_path))
    names = [part.name for part in made.splits[0].parts]
    assert names == ["caf\\xe8.in", "caf\\xe9.in", "café.in"]
    assert all(Path(part.path).exists() for part in made.splits[0].parts)
    layout = Layout(str(tmp_path / "out"))
    plan.save(made, layout)
    assert plan.load(layout) == made


def test_splits_are_numbered_in_their_source_and_over_all(tmp_path: Path) -> None:
    lay(tmp_path, TREE)
    made = plan.make(recipe(tmp_path / "a", wikipedia=[str(tmp_path / "a" / "1.in")], books=[str(tmp_path / "b")]))
    assert [(split.name, split.index) for split in made.splits] == [
        ("web/00000", 0),
        ("web/00001", 1),
        ("web/00002", 2),
        ("web/00003", 3),
        ("wikipedia/00000", 4),
        ("wikipedia/00001", 5),
        ("wikipedia/00002", 6),
        ("books/00000", 7),
    ]
    assert made.folders == {"web": f"{tmp_path}/a", "wikipedia": f"{tmp_path}/a", "books": f"{tmp_path}/b"}


@given(st.integers(0, (1 << 36) - 1), st.integers(0, (1 << RECORD_BITS) - 1))
def test_a_document_number_packs_split_and_record(split: int, record: int) -> None:
    number = plan.document_number(split, record)
    assert number < 1 << 64
    assert (number >> RECORD_BITS, number & ((1 << RECORD_BITS) - 1)) == (split, record)


def test_the_split_of_a_number(tmp_path: Path) -> None:
    lay(tmp_path, TREE)
    made = plan.make(recipe(tmp_path / "a"))
    for split in made.splits:
        for record in (0, 1, (1 << RECORD_BITS) - 1):
            assert made.of(plan.document_number(split.index, record)) is split


def test_a_saved_plan_is_the_plan(tmp_path: Path) -> None:
    lay(tmp_path / "in", TREE)
    layout = Layout(str(tmp_path / "out"))
    made = plan.make(recipe(tmp_path / "in"))
    plan.save(made, layout)
    loaded = plan.load(layout)
    assert loaded == made
    assert isinstance(loaded.splits[0], Split)
    assert isinstance(loaded.splits[0].parts[0], FilePart)
    before = Path(layout.plan).read_bytes()
    plan.save(loaded, layout)
    assert Path(layout.plan).read_bytes() == before


def test_the_plan_in_an_output_folder_with_wildcards_in_its_name(tmp_path: Path) -> None:
    lay(tmp_path / "in", TREE)
    layout = Layout(str(tmp_path / "out[1]*"))
    made = plan.make(recipe(tmp_path / "in"))
    plan.save(made, layout)
    assert plan.load(layout) == made


@pytest.mark.parametrize("change", ["size", "time", "name", "more"])
def test_digest_and_stamp_change_with_the_files(tmp_path: Path, change: str) -> None:
    lay(tmp_path, {"a.in": 10, "b.in": 20})
    before = plan.make(recipe(tmp_path))
    if change == "size":
        lay(tmp_path, {"a.in": 11})
    elif change == "time":
        os.utime(tmp_path / "a.in", (0, 1_700_000_001))
    elif change == "name":
        (tmp_path / "a.in").rename(tmp_path / "a2.in")
    else:
        lay(tmp_path, {"c.in": 0})
    after = plan.make(recipe(tmp_path))
    assert after.stamp != before.stamp
    assert (after.digest == before.digest) is (change == "time"), "a copy of the input is the same input"


def test_no_input_names_the_source_and_its_paths(tmp_path: Path) -> None:
    with pytest.raises(NoInput) as caught:
        plan.make(recipe(tmp_path / "a*", tmp_path / "b"))
    assert str(caught.value) == f"source 'web': no file matches {tmp_path}/a*, {tmp_path}/b"


def test_ids_depend_on_source_name_and_place_alone() -> None:
    assert document_id("web", "a/1.in", 0, 10) == document_id("web", "a/1.in", 0, 10)
    places = [("web", "a", 0, 10), ("web", "a", 1, 10), ("web", "a", 0, 11), ("we", "ba", 0, 10), ("web", "b", 0, 10)]
    assert len({document_id(*place) for place in places}) == len(places)
