"""A text file's characters, whatever encoding they are in."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

_CHARSET = re.compile(rb"^Character set encoding:\s*([A-Za-z0-9 _-]{3,20}?)\s*$", re.IGNORECASE | re.MULTILINE)


def decode(data: bytes) -> str | None:
    r"""A text file's characters, with line ends as ``\n``; None where the bytes are no text.

    Tried in turn: the byte order mark, UTF-8, the encoding that a Gutenberg header names, detection, Latin-1.
    """
    from resiliparse.parse.encoding import detect_encoding

    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _lines_ended(data.decode("utf-16", "replace"))
    if b"\0" in data:
        return None
    with suppress(UnicodeDecodeError):
        return _lines_ended(data.decode("utf-8-sig"))
    named = _CHARSET.search(data[:8192])
    for name in (named[1].decode("ascii").replace("ISO ", "ISO-") if named else "", detect_encoding(data) or ""):
        try:
            # Most texts that call themselves Latin-1 use the quotation marks that Windows put into its gaps.
            encoding = codecs.lookup(name).name
            return _lines_ended(data.decode("cp1252" if encoding == "iso8859-1" else encoding))
        except (LookupError, ValueError):
            continue
    return _lines_ended(data.decode("latin-1"))


def _lines_ended(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
