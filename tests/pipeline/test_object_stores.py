"""Object stores: servers that speak S3's and Google's protocols on the loopback interface, and what goes wrong there."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import local_stores
import pytest
from flaky_proxy import Fault, Flaky
from small_run import Quiet, prose
from web_archives import response

from pipeline import files, recipe_file, verify
from pipeline.recipe import Recipe
from pipeline.run import run
from pipeline.runners.direct import DirectRunner
from pipeline.runners.runner import Runner
from pipeline.stores import opening, store

ROOT = Path(__file__).resolve().parents[2]
STORES = {"s3": local_stores.s3, "gs": local_stores.gcs}


@pytest.fixture(params=list(STORES), scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Flaky]]:
    """A bucket in each store, and the proxy in front of it."""
    with STORES[request.param]() as proxy:
        yield f"{request.param}://{local_stores.BUCKET}", proxy


@pytest.fixture
def proxy(served: tuple[str, Flaky], monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    monkeypatch.setattr(store, "PAUSE", 0.01)
    _, proxy = served
    proxy.seen.clear()
    proxy.sent = 0
    yield proxy
    proxy.faults = lambda _method, _path: None
    proxy.page = 0


@pytest.fixture
def root(served: tuple[str, Flaky], proxy: Flaky, request: pytest.FixtureRequest) -> str:
    """A folder of this test's own."""
    return f"{served[0]}/{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"


def names(root: str) -> list[str]:
    return [one.path.removeprefix(root + "/") for one in opening.store_of(root).listed(root + "/")]


def test_find_agrees_with_the_disk(root: str, tmp_path: Path) -> None:
    tree = [
        "a.txt",
        "b.gz",
        "x/a.txt",
        "x/y/a.txt",
        "x/.hidden",
        "x1/a.txt",
        "数据/café.txt",
        "with space/a b+c%.txt",
        "empty",
    ]
    for top in (root, str(tmp_path)):
        for name in tree:
            files.write_text(f"{top}/{name}", "" if name == "empty" else name)
    for pattern in (
        "*.txt",
        "**",
        "x",
        "x/",
        "x/**/*.txt",
        "*/a.txt",
        "x*",
        "数据/*",
        "with space/*",
        "nothing",
        "empty",
        "?/a.txt",
    ):
        found = [(one.path.removeprefix(root), one.size) for one in files.find(f"{root}/{pattern}")]
        assert found == [
            (one.path.removeprefix(str(tmp_path)), one.size) for one in files.find(f"{tmp_path}/{pattern}")
        ]
    assert files.exists(f"{root}/x") and files.exists(f"{root}/a.txt") and not files.exists(f"{root}/a")
    assert (files.size_of(f"{root}/a.txt"), files.size_of(f"{root}/empty"), files.size_of(f"{root}/a")) == (5, 0, None)
    files.remove(f"{root}/x")
    assert names(root) == sorted(name for name in tree if not name.startswith("x/"))
    files.remove(f"{root}/nothing")


def test_listings_are_read_to_their_last_page(root: str, proxy: Flaky) -> None:
    google = root.startswith("gs:")
    proxy.page = 10 if google else 0  # S3's are of 1,000
    count = 25 if google else 1001
    opened = opening.store_of(root)
    for number in range(count):
        opened.put(f"{root}/{number:04d}", io.BytesIO(b"x"), 1)
    proxy.seen.clear()
    assert [one.path[-4:] for one in files.find(root)] == [f"{number:04d}" for number in range(count)]
    asked_for_more = [path for _, path, _ in proxy.seen if "pageToken=" in path or "continuation-token=" in path]
    assert len(asked_for_more) == (2 if google else 1)
    files.remove(root)
    assert files.find(root) == []


def test_an_object_appears_whole_or_not_at_all(root: str, proxy: Flaky) -> None:
    """Small ones and such as are sent in parts; a block that raises, and a server that fails for good."""
    for size in (0, 1, 20_000_000):
        data = random.Random(size).randbytes(size)
        with files.replacing(f"{root}/file") as written:
            written.stream.write(data)
            assert files.size_of(f"{root}/file") in ([None] if size == 0 else [0, 1]), "it appears when it is whole"
        assert (
            files.sha256_of(f"{root}/file")
            == (size, hashlib.sha256(data).hexdigest())
            == (written.bytes, written.sha256)
        )
    with contextlib.suppress(KeyError), files.replacing(f"{root}/file") as written:
        written.stream.write(b"half")
        raise KeyError
    assert files.size_of(f"{root}/file") == 20_000_000
    assert names(root) == ["file"]
    assert not [one for one in proxy.seen if "copy" in one[1].lower() or "rewrite" in one[1].lower()]


def fill(root: str, size: int) -> bytes:
    data = random.Random(1).randbytes(size)
    with files.replacing(f"{root}/file") as written:
        written.stream.write(data)
    return data


def test_reading_takes_little_more_than_is_needed(root: str, proxy: Flaky) -> None:
    data = fill(root, 20_000_000)
    proxy.sent = 0
    proxy.seen.clear()
    with files.open_read(f"{root}/file", 5_000_000) as stream:
        assert stream.read(100) == data[5_000_000:5_000_100]
    assert proxy.sent < 300_000
    with files.open_read(f"{root}/file", 5_000_000) as stream:
        while stream.tell() < 10_000_000:
            place = stream.tell()
            assert stream.read(1 << 18) == data[place : place + (1 << 18)]
    assert proxy.sent < 10_000_000
    assert len(proxy.seen) < 12, "one connection reads on; a file is not opened again for every piece"


def test_moving_about_in_an_object(root: str) -> None:
    data = fill(root, 3_000_000)
    draw = random.Random(2)
    with files.open_read(f"{root}/file") as stream:
        for _ in range(20):
            place, count = draw.randrange(3_100_000), draw.choice([1, 1000, 700_000])
            stream.seek(place)
            assert stream.read(count) == data[place : place + count]
        assert stream.seek(-10, os.SEEK_END) == 2_999_990
        assert stream.read() == data[-10:]


@pytest.mark.parametrize("fault", ["503", "cut", "hang up"])
def test_reading_goes_on_where_a_server_fails(root: str, proxy: Flaky, fault: Fault) -> None:
    data = fill(root, 1_000_000)
    with files.open_read(f"{root}/file") as stream:
        assert stream.read(10) == data[:10]
        proxy.first(2, fault)
        assert stream.read() == data[10:]


@pytest.mark.parametrize("fault", ["503", "hang up"])
def test_writing_goes_on_where_a_server_fails(root: str, proxy: Flaky, fault: Fault) -> None:
    for method in ("PUT", "POST"):
        proxy.first(2, fault, method)
        data = fill(root, 10_000_000)
        with files.open_read(f"{root}/file") as stream:
            assert stream.read() == data


def test_an_object_that_is_replaced_is_never_read_as_one(root: str, proxy: Flaky) -> None:
    fill(root, 1_000_000)
    proxy.seen.clear()
    with files.open_read(f"{root}/file") as stream:
        stream.read(10)
        files.write_text(f"{root}/file", "x" * 1_000_000)
        if root.startswith("gs:"):  # the emulator does not look at the condition; that it is asked must do
            assert any("ifGenerationMatch=" in path for method, path, _ in proxy.seen if method == "GET")
            return
        with pytest.raises(OSError, match="was replaced in the store"):
            stream.read()


def test_what_is_not_there_or_not_allowed(root: str, proxy: Flaky) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        files.open_read(f"{root}/nothing")
    with pytest.raises(FileNotFoundError, match="no-such-bucket"):
        files.find(f"{root.partition(':')[0]}://no-such-bucket-here/*")
    fill(root, 10)
    for status, told in (("403", "access denied"), ("401", "no credentials")):
        for use in (lambda: files.find(f"{root}/*"), lambda: files.size_of(f"{root}/file"), lambda: fill(root, 5)):
            proxy.faults = lambda _method, _path, status=status: status
            with pytest.raises(PermissionError, match=told):
                use()
    proxy.faults = lambda _method, _path: None
    assert files.size_of(f"{root}/file") == 10


def run_into(
    out: str,
    given: str,
    runner: Callable[[Recipe, str], Runner] = lambda _recipe, _out: DirectRunner(),
    display: Quiet | None = None,
) -> dict[str, str]:
    """Run a recipe over that input into that folder, look it over, and return the digest of every file."""
    recipe = recipe_file.loads(
        f"sources: [{{name: docs, kind: jsonl, id: id, paths: ['{given}/*.jsonl.gz'], filters: plain}}, "
        f"{{name: web, kind: warc, paths: ['{given}/web/**'], filters: plain}}]\n"
        "filters: {plain: [gopher_repetition]}\npii: {entities: [email]}\ntokenizer: {vocab_size: 400}\n"
        "limits: {split: 64KiB}\nalarms: {action: warn}\n"
    )
    made = run(recipe, out, runner(recipe, out), display or Quiet())
    left = {one.path.removeprefix(out + "/") for one in files.find(f"{out}/**")}
    assert left == {one["path"] for one in made["files"]} | {"manifest.json", "recipe.yaml"}, "nothing half written"
    assert list(verify.differences(out)) == []
    assert made["sources"]["web"]["kept"] > 0
    return {one["path"]: one["sha256"] for one in made["files"] if one["kind"] != "report"}


def fill_input(given: str) -> None:
    """Made prose, some of it twice, and web pages."""
    rows = ({"id": str(n), "text": prose(n % 35), "url": f"http://a/{n}", "date": ""} for n in range(40))
    files_ = {
        "a.jsonl.gz": gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0),
        "web/pages.warc.gz": b"".join(
            gzip.compress(response(f"http://b/{n}", f"<p>{prose(100 + n)}</p>".encode()), mtime=0) for n in range(200)
        ),
    }
    for name, data in files_.items():
        with files.replacing(f"{given}/{name}") as written:
            written.stream.write(data)


def test_a_recipe_from_and_into_a_store_gives_the_same_bytes(root: str, proxy: Flaky, tmp_path: Path) -> None:
    """From the store to the disk and into the store; from the disk as well, whose paths are another recipe's digest in shards."""
    for given in (f"{root}/input", f"{tmp_path}/input"):
        fill_input(given)
    expected = run_into(f"{tmp_path}/out", f"{root}/input")
    draw = random.Random(3)
    proxy.faults = lambda _method, _path: "503" if draw.random() < 0.02 else None
    assert run_into(f"{root}/out", f"{root}/input") == expected
    assert not [one for one in proxy.seen if "copy" in one[1].lower() or "rewrite" in one[1].lower()]
    from_disk = run_into(f"{tmp_path}/again", f"{tmp_path}/input")
    assert from_disk.keys() == expected.keys()
    assert {path for path in expected if from_disk[path] != expected[path]} <= {
        p for p in expected if p.startswith("shards/")
    }


def test_fresh_deletes_a_run_in_a_store(root: str) -> None:
    files.write_text(f"{root}/in.jsonl", json.dumps({"id": "1", "text": prose(1)}) + "\n")
    recipe = recipe_file.loads(
        f"sources: [{{name: docs, kind: jsonl, id: id, paths: ['{root}/in.jsonl'], filters: false}}]\n"
        "dedup: false\npii: false\ntokenizer: false\n"
    )
    run(recipe, f"{root}/out", DirectRunner(), Quiet())
    files.write_text(f"{root}/out/documents/docs/stale.parquet", "")
    run(recipe, f"{root}/out", DirectRunner(), Quiet(), fresh=True)
    left = [one.path.removeprefix(f"{root}/out/") for one in files.find(f"{root}/out/**")]
    assert "documents/docs/stale.parquet" not in left and "documents/docs/00000-00.parquet" in left


NO_CREDENTIALS = """
import sys
from pipeline import files
try:
    files.find(sys.argv[1])
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize(("path", "told"), [("s3://corpora/x", "aws configure"), ("gs://corpora/x", "gcloud auth")])
def test_without_credentials(path: str, told: str, tmp_path: Path) -> None:
    """A process that has none, as a machine that nobody has logged in on."""
    with STORES[path[:2]]() as proxy:
        proxy.faults = lambda _method, _path: "401"
        bare = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_ACC", "AWS_SEC", "GOOGLE"))
        }
        bare |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}
        done = subprocess.run(
            [sys.executable, "-c", NO_CREDENTIALS, path], env=bare, cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert f"no credentials for {path[:5]} were found" in done.stdout
    assert told in done.stdout


@pytest.mark.parametrize(("path", "extra"), [("s3://b/x", "aws"), ("gs://b/x", "gcp")])
def test_without_the_library(path: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(OSError, match=rf"pip install 'corpusmill\[{extra}\]'"):
        files.find(path)
