"""Damages bytes as disks, networks and people do: wrong bytes, cuts, spliced and repeated ranges."""

from __future__ import annotations

from hypothesis import strategies as st

_PLACE = st.floats(0, 1, exclude_max=True)
_INSERTED = [b"", b"\0" * 40, b"\r\n" * 3, b"\n", b"WARC/1.0\r\n", b"WARC/1.0\r\nContent-Length: 7\r\n\r\n", b"\x1f\x8b\x08\0",
             b"9", b"-", b"Content-Length: 99999999\r\n", b"http://a/ 1.2.3.4 20200101000000 text/html 99\n"]  # fmt: skip


@st.composite
def damages(draw: st.DrawFn, contents: list[bytes], most: int = 4) -> bytes:
    """One of the contents after up to ``most`` damages."""
    data = draw(st.sampled_from(contents))
    for _ in range(draw(st.integers(0, most))):
        at = int(draw(_PLACE) * len(data))
        size = draw(st.sampled_from([1, 1, 8, 100, 3000]))
        kind = draw(st.sampled_from(["flip", "cut", "begin", "drop", "repeat", "splice", "insert"]))
        if kind == "flip":
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "begin":
            data = data[min(at, size) :]
        elif kind == "drop":
            data = data[:at] + data[at + size :]
        elif kind == "repeat":
            data = data[: at + size] + data[at:]
        elif kind == "splice":
            other = draw(st.sampled_from(contents))
            data = data[:at] + other[int(draw(_PLACE) * len(other)) :]
        else:
            data = data[:at] + draw(st.sampled_from(_INSERTED)) + data[at:]
    return data
