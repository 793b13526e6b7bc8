"""Unpacking of compressed streams, tar and zip archives, whole, damaged and hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources.containers.archives import Member, members
from pipeline.sources.containers.unpacked import open_unpacked
from pipeline.sources.source import FilePart, UnreadableRecord

PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}
LIMIT = 1 << 20
DATA = b"".join(b"line %d\n" % number for number in range(100_000))


def whole(path: Path) -> FilePart:
    size = path.stat().st_size
    return FilePart(str(path), path.name, 0, size, size)


def walk(path: Path, limit: int = LIMIT, **kwargs) -> list[Member]:
    return list(members(whole(path), limit, **kwargs))


def unpack(path: Path) -> tuple[bytes, str]:
    """All that can be read, and the error at its end."""
    made = b""
    with open_unpacked(str(path)) as stream:
        try:
            while piece := stream.read(50_000):
                made += piece
        except UnreadableRecord as error:
            return made, str(error)
    return made, ""


@pytest.mark.parametrize("kind", PACK)
def test_several_members_in_a_row_are_one_stream(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "no-telling-name"
    path.write_bytes(PACK[kind](DATA) + PACK[kind](b"") + PACK[kind](b"more"))
    assert unpack(path) == (DATA + b"more", "")


@pytest.mark.parametrize("kind", PACK)
def test_a_cut_stream_is_an_error_after_what_could_be_read(kind: str, tmp_path: Path) -> None:
    packed = PACK[kind](os.urandom(50_000) + DATA)
    path = tmp_path / "x"
    for cut in (len(packed) - 1, len(packed) // 2, 30):
        path.write_bytes(packed[:cut])
        made, error = unpack(path)
        assert "ends in its middle" in error
        assert len(made) < 50_000 + len(DATA) + 1


@pytest.mark.parametrize("kind", PACK)
def test_garbage_after_a_member_is_an_error_and_zeros_are_padding(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACK[kind](DATA) + bytes(1000))
    assert unpack(path) == (DATA, "")
    path.write_bytes(PACK[kind](DATA) + b"garbage at the end")
    made, error = unpack(path)
    assert made == DATA
    assert "neither a compressed member nor its padding" in error


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_damage_inside_is_an_error(kind: str, tmp_path: Path) -> None:
    packed = bytearray(PACK[kind](os.urandom(20_000)))
    packed[10_000] ^= 0xFF
    path = tmp_path / "x"
    path.write_bytes(packed)
    assert "damaged" in unpack(path)[1]


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_given_out_in_small_pieces(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PACK[kind](bytes(100_000_000)))
    total = 0
    with open_unpacked(str(path)) as stream:
        while piece := stream.read(1 << 30):
            assert len(piece) <= 64 << 20
            total += len(piece)
    assert total == 100_000_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from(
        [b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\x50\x2a\x4d\x18"]
    ),
    body=st.binary(max_size=2000),
    suffix=st.sampled_from([".tar", ".zip", ".tgz", ".txt", ".gz"]),
)
def test_random_bytes_never_raise(head: bytes, body: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(head + body)
    found = walk(path)
    assert all(member.data is not None or member.failure for member in found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 5000), value=st.integers(0, 255), suffix=st.sampled_from(["tar", "zip"]))
def test_one_wrong_byte_never_raises_nor_loses_in_silence(place: int, value: int, suffix: str, tmp_path: Path) -> None:
    path = make_archive(tmp_path / f"x.{suffix}", {"a.py": b"a" * 700, "b.py": b"b" * 300, "c.py": b"c"})
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    found = walk(path)
    assert len(found) >= 1 if suffix == "zip" else len(found) >= 2


def make_archive(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made_zip:
            for name, data in files.items():
                made_zip.writestr(name, data)
        return path
    mode = {".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as made_tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made_tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.zip"])
def test_members_of_every_kind_of_archive(name: str, tmp_path: Path) -> None:
    long_name = "/".join(["folder"] * 60) + "/ünï.py"
    files = {"a.py": b"a" * 1000, long_name: b"b", "empty.py": b""}
    path = make_archive(tmp_path / name, files)
    found = walk(path)
    assert {member.path: member.data for member in found} == files
    if name == "x.tar":
        raw = path.read_bytes()
        assert all(raw[m.offset + 512 :].startswith(m.data or b"") for m in found[:1])
        assert [member.offset for member in found] == sorted(member.offset for member in found)


def test_only_wanted_members_are_read(tmp_path: Path) -> None:
    for name in ("x.tar", "x.zip"):
        path = make_archive(tmp_path / name, {"a.py": b"a", "b.bin": b"b" * 10_000, "c.py": b"c"})
        found = walk(path, limit=100, wanted=lambda inside: inside.endswith(".py"))
        assert [(m.path, m.data, m.failure) for m in found] == [
            ("a.py", b"a", ""),
            ("b.bin", None, ""),
            ("c.py", b"c", ""),
        ]


def test_a_part_in_the_middle_yields_nothing(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.tar", {"a.py": b"a"})
    size = path.stat().st_size
    assert list(members(FilePart(str(path), "x.tar", 512, size, size), LIMIT)) == []


def test_too_large_members_are_failures_and_the_rest_is_read(tmp_path: Path) -> None:
    for name in ("x.tar", "x.tar.gz", "x.zip"):
        path = make_archive(tmp_path / name, {"big": bytes(LIMIT + 1), "small": b"s"})
        big, small = walk(path)
        assert big.data is None and str(LIMIT) in big.failure
        assert small.data == b"s"
    plain = tmp_path / "plain.txt.gz"
    plain.write_bytes(gzip.compress(bytes(LIMIT + 1)))
    (only,) = walk(plain)
    assert only.path == "plain.txt" and only.failure


def test_a_damaged_tar_header_costs_one_member(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.tar", {"a": b"a" * 600, "b": b"b" * 600, "c": b"c"})
    data = bytearray(path.read_bytes())
    header_of_b = 512 + 1024
    data[header_of_b : header_of_b + 4] = b"????"
    path.write_bytes(data)
    first, lost, last = walk(path)
    assert (first.path, last.path) == ("a", "c")
    assert lost.failure and (lost.offset, lost.length) == (header_of_b, 512 + 1024)


def test_a_cut_tar_says_so(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.tar", {"a": b"a", "b": b"b" * 5000})
    path.write_bytes(path.read_bytes()[: 512 * 2 + 512 + 1000])
    first, second = walk(path)
    assert first.data == b"a"
    assert second.path == "b" and "ends after 1000 of the file's 5000 bytes" in second.failure


def test_concatenated_tars_are_read_to_the_end(tmp_path: Path) -> None:
    one = make_archive(tmp_path / "1.tar", {"a": b"a"}).read_bytes()
    two = make_archive(tmp_path / "2.tar", {"b": b"b"}).read_bytes()
    (tmp_path / "x.tar").write_bytes(one + two)
    assert [member.path for member in walk(tmp_path / "x.tar")] == ["a", "b"]


def test_links_devices_and_paths_outside_do_no_harm(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("link", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("dev", tarfile.CHRTYPE),
            ("d", tarfile.DIRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = str(secret)
            archive.addfile(info)
        for name in ("../../outside.py", "/etc/absolute.py"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    before = sorted(tmp_path.rglob("*"))
    assert [(member.path, member.data) for member in walk(path)] == [
        ("../../outside.py", b"x"),
        ("/etc/absolute.py", b"x"),
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_sizes_that_headers_claim_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    info = tarfile.TarInfo("huge")
    info.size = 1 << 50
    name = tarfile.TarInfo("././@LongLink")
    name.type = tarfile.GNUTYPE_LONGNAME
    name.size = 1 << 40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)
    (only,) = walk(path)
    assert str(1 << 50) in only.failure
    path.write_bytes(name.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)
    assert [bool(member.failure) for member in walk(path)] == [True]


def test_sparse_files_are_failures(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.tar", {"sparse": b"12345678", "after": b"a"})
    data = bytearray(path.read_bytes())
    data[156:157] = tarfile.GNUTYPE_SPARSE
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    sparse, after = walk(path)
    assert sparse.failure == "a sparse file"
    assert after.data == b"a"


def test_zip_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.zip", {"a": bytes(50_000), "b": bytes(50_000)})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = bytes(4)  # both entries now point to the first header
    path.write_bytes(data)
    found = walk(path)
    assert any("overlaps" in member.failure for member in found)


def test_zip_with_a_wrong_checksum_and_an_encrypted_entry(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bad", b"some bytes that will change")
        archive.writestr("good", b"good")
    data = path.read_bytes().replace(b"some bytes", b"same bytes")
    path.write_bytes(data)
    bad, good = walk(path)
    assert "CRC" in bad.failure
    assert good.data == b"good"
    locked = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.rfind(mark) + flags] |= 1
    path.write_bytes(locked)
    assert "encrypted" in walk(path)[1].failure


def test_a_zip_whose_table_of_contents_is_too_large_is_refused(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "x.zip", {"a": b"a"})
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    (only,) = walk(path)
    assert "table of contents" in only.failure


def test_a_damaged_gzip_tar_names_the_member(tmp_path: Path) -> None:
    body = os.urandom(100_000)
    path = make_archive(tmp_path / "x.tar.gz", {"a": b"a", "b": body})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    first, second = walk(path)
    assert first.data == b"a"
    assert second.path == "b" and "ends in its middle" in second.failure
