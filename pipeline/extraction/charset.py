"""Decodes the bytes of a page, whatever charset it names, names wrongly or does not name. Never raises."""

from __future__ import annotations

import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from pipeline.extraction.charset_detection import plausible_charsets, read_as, sample

_HTTP_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:+-]+)", re.IGNORECASE)
_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:+-]+)|<\?xml\s[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:+-]+)",
    re.IGNORECASE,
)
_META_WITHIN = 4096
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_MULTIBYTE = frozenset({"gb18030", "big5", "euc_jp", "cp932", "cp949", "iso-2022-jp"})
_SURE_CONTINUATIONS = 16
"""UTF-8 continuation bytes after which valid UTF-8 can't be another multi-byte charset by chance (a few Han characters
can: every seventh pair of GB 2312 bytes is valid UTF-8)."""
_WIDER = {"euc_kr": "cp949", "gbk": "gb18030", "gb2312": "gb18030", "iso8859-11": "cp874", "shift_jis": "cp932"}
"""Codecs of Python that know less than what the WHATWG, and pages, mean by a name, and those that know all of it."""
_UNICODE = frozenset({"utf-8", "utf-16-le", "utf-16-be", "iso-2022-jp"})
_PLAUSIBLE = 0.4
"""From here on a charset may be the right one (see ``Reading.plausibility``)."""
_BY_DEFAULT = frozenset({"cp1252", "windows-1252"})
"""What servers name that know nothing of the page."""
_SURE = 0.6
_AHEAD = 0.2
_ENOUGH = 12
"""A charset that is so plausible, so far ahead and by so many pairs of letters is believed more than a name by which the
text hardly reads like a language."""
_MAX_REPLACED = 0.2
"""Share of the characters outside ASCII that a declared charset may fail to decode and still be believed."""


def charset_of(content_type: str) -> str:
    """The charset that a Content-Type header names, or an empty string."""
    found = _HTTP_CHARSET.search(content_type)
    return found[1] if found else ""


def decode(body: bytes, http_charset: str = "") -> tuple[str, str]:
    """The text of a page's bytes, and the name of the charset it was decoded by. Never raises.

    In this order: a byte order mark; the charset that the HTTP header names; the one that the page's ``meta`` (or XML
    declaration) names; the one detected by resiliparse (uchardet). Names are read as the WHATWG's encoding standard
    says, so ``iso-8859-1`` is windows-1252. A name that is unknown is passed over, and so is a charset by which more
    than a fifth of the characters outside ASCII can't be decoded. One thing comes before names: bytes that are valid
    UTF-8 are UTF-8, for text in another charset is not so by chance.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace"), name
    named = _whatwg(http_charset)
    utf8 = _strictly(body, "utf-8")
    if utf8 is not None and named != "iso-2022-jp" and b"\x1b" not in body:
        continuations = len(body) - len(utf8)
        if named not in _MULTIBYTE or continuations == 0 or continuations >= _SURE_CONTINUATIONS:
            return utf8, "utf-8"
    best: tuple[float, str, str] | None = None
    for candidate in _candidates(body, named):
        text = _strictly(body, candidate)
        if text is not None:
            return text, candidate
        text = body.decode(candidate, "replace")
        replaced = text.count("\ufffd") / max(1, len(text) - len(text.encode("ascii", "ignore")))
        if replaced <= _MAX_REPLACED:
            return text, candidate
        if best is None or replaced < best[0]:
            best = (replaced, text, candidate)
    assert best is not None  # the candidates end with two that always are
    return best[1], best[2]


def _candidates(body: bytes, http_charset: str) -> list[str]:
    """Charsets to try, most believable first, each once."""
    meta = _META_CHARSET.search(body, 0, _META_WITHIN)
    from_meta = _whatwg((meta[1] or meta[2]).decode("ascii")) if meta else ""
    if from_meta.startswith("utf-16"):
        from_meta = "utf-8"  # a meta that can be read as ASCII is not in UTF-16 (WHATWG HTML, 13.2.3.2)
    if http_charset.startswith("utf-16") and b"\0" not in body[:_META_WITHIN]:
        http_charset = ""
    text = sample(body)
    named = [name for name in (http_charset, from_meta) if name]
    believed = next((name for name in named if name in _UNICODE or _is_plausible(text, name)), "")
    if believed and believed not in _UNICODE:
        return list(dict.fromkeys((believed, *named, "utf-8", "windows-1252")))
    readings = plausible_charsets(text)
    guesses = [_whatwg(detect_encoding(body, from_html_meta=False) or "")]
    order = [*named, *guesses]
    if readings and readings[0].plausibility >= _PLAUSIBLE:
        best = readings[0]
        guesses.insert(0, best.charset)
        told = max((reading.plausibility for name in named if (reading := read_as(text, name))), default=0.0)
        lied = best.plausibility >= max(_SURE, told + _AHEAD) and best.evidence >= _ENOUGH
        order = [believed, *guesses, *named] if lied else [*named, *guesses]
    return list(dict.fromkeys(name for name in (*order, "utf-8", "windows-1252") if name))


def _is_plausible(text: bytes, charset: str) -> bool:
    """Whether a text (see ``sample``) reads like a language by a charset; true where that can't be told."""
    reading = read_as(text, charset)
    enough = _SURE if charset in _BY_DEFAULT else _PLAUSIBLE
    return reading is None or reading.evidence < _ENOUGH or reading.plausibility >= enough


def _whatwg(name: str) -> str:
    """Python's name of the codec that the WHATWG means by this label; empty where there is none."""
    codec = (map_encoding_to_html5(name, fallback_utf8=False) or "") if name else ""
    return _WIDER.get(codec, codec)


def _strictly(body: bytes, charset: str) -> str | None:
    try:
        return body.decode(charset)
    except (UnicodeError, LookupError):
        return None
