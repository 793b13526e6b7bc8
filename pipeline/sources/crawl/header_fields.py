"""Parses the header of a WARC record or an HTTP response into its fields."""

from __future__ import annotations

_LISTS = frozenset({"content-encoding", "transfer-encoding"})


def parse_headers(block: bytes) -> dict[str, str]:
    """The fields of a WARC or HTTP header by lower-case name, and its first line under the empty name. Never raises.

    Of a repeated field the first counts; only the HTTP codings, which are lists, are joined by commas. Lines are read as
    warcio 1.8 reads them: UTF-8, else Latin-1; a line that begins with white space goes on with the field before it; a
    line without a colon is passed over; the first empty line is the end.
    """
    try:
        lines = block.decode().split("\n")
    except UnicodeDecodeError:
        lines = [_decoded(line) for line in block.split(b"\n")]
    headers = {"": lines[0].rstrip()}
    field: str | None = None  # what a folded line goes on with
    folds = False
    for line in lines[1:]:
        line = line.rstrip()
        if not line:
            break
        if folds and line[0] in " \t":
            if field is not None:
                headers[field] += line
            continue
        folds = True
        name, colon, value = line.partition(":")
        field = None
        if not colon:
            continue
        name = name.rstrip(" \t").lower()
        if name not in headers:
            headers[name] = value.lstrip()
            field = name
        elif name in _LISTS:
            headers[name] += ", " + value.lstrip()
            field = name
    return headers


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
