"""Turns what a web server sent into text: codings undone, characters decoded, main content taken from the HTML.

Everything here expects lies and damage: a header that names a coding the body is not in, a charset that does not exist,
a chunk size that is no number, markup built to make a parser slow. Bad input costs quality, never an exception (but for
a body that unpacks to more than it may) and never unbounded time or memory.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, MutableMapping
from typing import Literal

import brotli
import numpy as np
import zstandard
from numba import njit
from numpy.typing import NDArray
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, detect_mime, map_encoding_to_html5

from pipeline.sources.source import UnreadableRecord

Extractor = Literal["resiliparse", "trafilatura"]

MAX_HTML = 8 << 20
"""Bytes of a page that are parsed; crawlers cut pages at one to five million."""

# --- content and transfer codings -----------------------------------------------------------------

_MAX_CODINGS = 5
_OUTPUT_PIECE = 1 << 18
# A zstd block of four bytes can stand for 128 KiB, and its decompressor gives out all it can.
_ZSTD_INPUT = 512
_ZSTD_WINDOW = 8 << 20  # the largest that RFC 9659 allows on the web
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]{0,4096})?\r?\n")


def undo_encodings(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The payload behind an HTTP body's transfer and content codings (RFC 9112, RFC 9110).

    ``headers`` have lower-case names; repeated headers are joined by commas. Known are chunked, gzip, deflate (with and
    without zlib's wrapper), br and zstd, also stacked. A body that is not in the coding its header names is taken as it
    is; of a damaged or cut one that part is returned which could be read. Raises UnreadableRecord where the body
    unpacks to more than ``limit`` bytes.
    """
    for name in ("transfer-encoding", "content-encoding"):
        codings = [coding.strip() for coding in headers.get(name, "").lower().split(",")]
        for coding in reversed(codings[-_MAX_CODINGS:]):
            undo = _CODINGS.get(coding.removeprefix("x-"))
            if undo is not None:
                body = undo(body, limit)
    return body


def _unchunked(body: bytes, limit: int) -> bytes:
    """Undo chunked transfer. What stands where a size should and is none is kept as it is, to the end."""
    pieces: list[bytes] = []
    at = 0
    while size_line := _CHUNK_SIZE.match(body, at):
        size = int(size_line[1], 16)
        at = size_line.end()
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[at : at + size])
        at += size
        if body.startswith(b"\r\n", at):
            at += 2
        elif body.startswith(b"\n", at):
            at += 1
    pieces.append(body[at:])
    return b"".join(pieces)


class _Output:
    """Collects unpacked pieces up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise UnreadableRecord(f"the HTTP body unpacks to more than {self._limit} bytes")
        self._pieces.append(piece)

    def whole(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def _inflate(body: bytes, wbits: int, limit: int) -> tuple[bytes, bool]:
    """What can be inflated of one stream or several in a row, and whether there was no damage."""
    output = _Output(limit)
    sound = True
    while body:
        stream = zlib.decompressobj(wbits)
        try:
            while body and not stream.eof:
                output.add(stream.decompress(body, _OUTPUT_PIECE))
                body = stream.unconsumed_tail
            output.add(stream.flush() if not stream.eof else b"")
        except zlib.error:
            sound = False
            break
        sound = sound and stream.eof
        body = stream.unused_data if stream.unused_data.startswith(b"\x1f\x8b") else b""
    return output.whole(), sound


def _gunzipped(body: bytes, limit: int) -> bytes:
    return _inflate(body, 31, limit)[0] if body.startswith(b"\x1f\x8b") else body


def _undeflated(body: bytes, limit: int) -> bytes:
    """Undo deflate. The standard means zlib's format, many servers send the bare stream inside it."""
    wrapped, sound = _inflate(body, 15, limit)
    if sound or wrapped:
        return wrapped
    bare, sound = _inflate(body, -15, limit)
    return bare if sound or (bare and not _is_markup(body)) else body


def _unbrotlied(body: bytes, limit: int) -> bytes:
    output = _Output(limit)
    stream = brotli.Decompressor()
    data = body
    try:
        while not stream.is_finished():
            piece = stream.process(data, output_buffer_limit=_OUTPUT_PIECE)
            if not piece and stream.can_accept_more_data():
                break  # all is read, and the stream has no end
            output.add(piece)
            data = b""
    except brotli.error:
        if _is_markup(body):
            return body
    return output.whole() or body


def _unzstd(body: bytes, limit: int) -> bytes:
    if not body.startswith(b"\x28\xb5\x2f\xfd"):
        return body
    output = _Output(limit)
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj(read_across_frames=False)
    try:
        for at in range(0, len(body), _ZSTD_INPUT):
            output.add(stream.decompress(body[at : at + _ZSTD_INPUT]))
            if stream.eof:
                break
    except zstandard.ZstdError:
        pass  # what came before the damage is returned
    return output.whole()


def _is_markup(body: bytes) -> bool:
    return body[:64].lstrip().startswith(b"<")


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "chunked": _unchunked,
    "gzip": _gunzipped,
    "deflate": _undeflated,
    "br": _unbrotlied,
    "zstd": _unzstd,
}

# --- what the payload is --------------------------------------------------------------------------

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNTOLD_TYPES = ("", "application/octet-stream", "application/unknown", "unknown/unknown", "*/*")
# Of the WHATWG's MIME sniffing standard, section 7.1, the tags that begin documents (not fragments or comments).
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*"
    rb"<(?:!doctype\s+html|html|head|body|title|script|meta|link|h1|div|table|p|br)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_TEXT_TYPES = ("text/", "application/xhtml+xml", "application/xml", "application/octet-stream")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def kind_of(content_type: str, payload: bytes) -> Literal["html", "plain", ""]:
    """Whether a payload is HTML, plain text or neither: by its Content-Type and, where that fails, by its bytes.

    A page that claims to be plain text or to be of no type is HTML if it begins like it; a page that claims to be text
    and begins with the magic number of something else, or holds NUL bytes where UTF-16 would not, is neither.
    """
    mime = mime_of(content_type)
    if mime in _HTML_TYPES or mime == "text/plain":
        head = payload[:1024]
        if b"\0" in head and not head.startswith(_UTF16_MARKS) and "utf-16" not in content_type.lower():
            return ""
        if not str(detect_mime(head)).startswith(_TEXT_TYPES):
            return ""
        return "plain" if mime == "text/plain" and not _HTML_START.match(payload) else "html"
    if mime in _UNTOLD_TYPES and _HTML_START.match(payload):
        return "html"
    return ""


def may_be_text(content_type: str) -> bool:
    """Whether a payload of this Content-Type is worth unpacking to see what it is."""
    mime = mime_of(content_type)
    return mime in _HTML_TYPES or mime == "text/plain" or mime in _UNTOLD_TYPES


def mime_of(content_type: str) -> str:
    """The MIME type in a Content-Type header, lower-case, without its parameters."""
    return content_type.partition(";")[0].partition(",")[0].strip().lower()


# --- characters -----------------------------------------------------------------------------------

_HTTP_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:+-]+)", re.IGNORECASE)
_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:+-]+)|<\?xml\s[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:+-]+)",
    re.IGNORECASE,
)
_META_WITHIN = 4096
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_MULTIBYTE = frozenset({"gb18030", "gbk", "big5", "euc-jp", "shift_jis", "euc-kr", "iso-2022-jp"})
_SURE_CONTINUATIONS = 16
"""UTF-8 continuation bytes after which valid UTF-8 can't be another multi-byte charset by chance (a few Han characters
can: every seventh pair of GB 2312 bytes is valid UTF-8)."""
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
    detected = _whatwg(detect_encoding(body, from_html_meta=False) or "")
    return list(dict.fromkeys(name for name in (http_charset, from_meta, detected, "utf-8", "windows-1252") if name))


def _whatwg(name: str) -> str:
    """Python's name of the codec that the WHATWG means by this label; empty where there is none."""
    return (map_encoding_to_html5(name, fallback_utf8=False) or "") if name else ""


def _strictly(body: bytes, charset: str) -> str | None:
    try:
        return body.decode(charset)
    except (UnicodeError, LookupError):
        return None


# --- text from HTML -------------------------------------------------------------------------------


def main_content(
    html: str | bytes,
    extractor: Extractor = "resiliparse",
    http_charset: str = "",
    notes: MutableMapping[str, str] | None = None,
) -> str:
    """The text of a page without navigation, advertising and the like; empty where nothing was found.

    Bytes are decoded (see ``decode``). A page is cut where it grows past ``MAX_HTML`` bytes or past what a parser can
    take in bounded time (see ``affordable``). ``notes``, if given, gets ``charset`` and, of a page that was cut,
    ``cut``: how many bytes of it were parsed. Raises what an extractor raises on a page that breaks it.
    """
    notes = {} if notes is None else notes
    if isinstance(html, bytes) and (html.startswith(_UTF16_MARKS) or http_charset.lower().startswith("utf-16")):
        html, notes["charset"] = decode(html, http_charset)
    if isinstance(html, str):
        try:
            data = html.encode()
        except UnicodeEncodeError:  # parsers refuse lone surrogates
            data = html.encode("utf-8", "replace")
            html = data.decode()
    else:
        data = html
    stop = affordable(data)
    if stop < len(data):
        notes["cut"] = str(stop)
        html = data[:stop].decode("utf-8", "replace") if isinstance(html, str) else data[:stop]
    if isinstance(html, bytes):
        html, notes["charset"] = decode(html, http_charset)
    return clean(_EXTRACTORS[extractor](html))


def _by_resiliparse(html: str) -> str:
    # Alternative texts and form fields cost precision, comments are neutral (1,000 gold pages).
    return str(extract_plain_text(html, main_content=True, alt_texts=False))


def _by_trafilatura(html: str) -> str:
    import trafilatura  # takes a second to import

    return trafilatura.extract(html, include_comments=False, include_tables=True, with_metadata=False) or ""


_EXTRACTORS: dict[Extractor, Callable[[str], str]] = {"resiliparse": _by_resiliparse, "trafilatura": _by_trafilatura}

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with ``\\n`` as its only line break and without control characters and lone surrogates; tabs stay."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).strip()


# --- markup that would keep a parser busy for hours ------------------------------------------------
#
# HTML parsers and extractors take time that grows with depth times elements, with the square of a tag's attributes, and
# (where formatting elements such as <b> are left open, which every block after them opens again) with the cube: 35 kB
# can cost ten seconds, 100 kB hours. So a scan, a thousand times cheaper than parsing, keeps the parser's stack in
# outline, sums what the elements will cost, and says where to stop.

_MAX_DEPTH = 2048
_MAX_FORMATTING = 1024
_BUDGET = 8_000_000
"""In steps of some 50 ns of parsing and extraction. Real pages of 1 MB take 300,000."""


def _packed(names: str) -> NDArray[np.uint64]:
    """Tag names as integers: their first eight letters, as the scan packs them."""
    return np.array([int.from_bytes(name.encode()[:8], "big") for name in names.split()], np.uint64)


_VOID = _packed("area base br col embed hr img input link meta param source track wbr html head body")
_SELF_ENDING = _packed("p li td th tr dt dd tbody thead tfoot colgroup caption rt rp")
_OPTIONS = _packed("option optgroup")
_FORMATTING = _packed("a b big code em font i nobr s small strike strong tt u")
_RAW = _packed("script style textarea title xmp iframe noembed noframes plaintext")
_FOREIGN = _packed("svg math")
_SELECT = _packed("select")[0]


def affordable(html: bytes) -> int:
    """How many bytes of a page can be parsed in bounded time: all of them, but for pages made to do harm.

    Bytes in any charset do that has ASCII's markup in ASCII's bytes, that is in all but UTF-16.
    """
    page = np.frombuffer(html[:MAX_HTML], np.uint8)
    return int(_affordable(page, _VOID, _SELF_ENDING, _OPTIONS, _FORMATTING, _RAW, _FOREIGN))


@njit(cache=True)
def _contains(names: NDArray[np.uint64], name: np.uint64) -> bool:
    for one in names:  # noqa: SIM110 - numba wants a loop
        if one == name:
            return True
    return False


@njit(cache=True)
def _affordable(
    html: NDArray[np.uint8],
    void: NDArray[np.uint64],
    self_ending: NDArray[np.uint64],
    options: NDArray[np.uint64],
    formatting: NDArray[np.uint64],
    raw: NDArray[np.uint64],
    foreign: NDArray[np.uint64],
) -> int:
    """Index of the tag at which parsing would go over depth or budget; the length of the page where none does."""
    size = len(html)
    stack = np.zeros(_MAX_DEPTH, np.uint64)
    depth = 0
    open_names = np.zeros(_MAX_FORMATTING, np.uint64)  # formatting elements not yet closed, wherever they were opened
    open_hashes = np.zeros(_MAX_FORMATTING, np.uint64)
    opened = 0
    option_count = 0
    foreign_from = -1
    cost = 0
    at = 0
    while at < size:
        while at < size and html[at] != 60:  # <
            at += 1
        start = at
        at += 1
        if at < size and (html[at] == 33 or html[at] == 63):  # <! or <?
            if at + 2 < size and html[at + 1] == 45 and html[at + 2] == 45:
                at += 3
                while at < size and not (html[at] == 62 and html[at - 1] == 45 and html[at - 2] == 45):
                    at += 1
            else:
                while at < size and html[at] != 62:
                    at += 1
            continue
        closing = at < size and html[at] == 47  # /
        if closing:
            at += 1
        if at >= size or not (97 <= (html[at] | 32) <= 122):
            continue
        name = np.uint64(0)
        letters = 0
        while at < size and html[at] > 32 and html[at] != 47 and html[at] != 62:
            if letters < 8:
                letter = html[at]
                if 65 <= letter <= 90:
                    letter |= 32
                name = (name << np.uint64(8)) | np.uint64(letter)
                letters += 1
            at += 1
        # The rest of the tag: attributes are counted, and '>' inside quotes is no end.
        attributes = 0
        attributes_at = at
        between = True
        after_equals = False
        ends_with_slash = False
        while at < size and html[at] != 62:
            byte = html[at]
            ends_with_slash = byte == 47
            if byte <= 32:
                between = True
            elif (byte == 34 or byte == 39) and after_equals:
                at += 1
                while at < size and html[at] != byte:
                    at += 1
                between = True
                after_equals = False
            else:
                if byte == 61:
                    after_equals = True
                    between = False
                else:
                    if (between or byte == 47) and not after_equals:
                        attributes += 1
                    between = byte == 47
                    after_equals = False
            at += 1
        at += 1
        cost += 1 + depth + 16 * opened + attributes * attributes // 16
        if closing:
            if _contains(formatting, name):
                # Closing <b> ends the formatting, and takes <b> out of the stack from under what is still open.
                for k in range(opened - 1, -1, -1):
                    if open_names[k] == name:
                        open_names[k : opened - 1] = open_names[k + 1 : opened]
                        open_hashes[k : opened - 1] = open_hashes[k + 1 : opened]
                        opened -= 1
                        break
                for k in range(depth - 1, -1, -1):
                    if stack[k] == name:
                        stack[k : depth - 1] = stack[k + 1 : depth]
                        depth -= 1
                        break
            else:
                for k in range(depth - 1, -1, -1):
                    if stack[k] == name:
                        depth = k
                        break
            if depth <= foreign_from:
                foreign_from = -1
            if name == _SELECT:
                option_count = 0
        elif _contains(void, name) or (ends_with_slash and foreign_from >= 0):
            pass
        elif _contains(options, name):
            option_count += 1
            cost += option_count // 4
        elif _contains(raw, name):
            # Up to its end tag there is text only.
            while at < size:
                if html[at] == 60 and at + 1 + letters < size and html[at + 1] == 47:
                    same = np.uint64(0)
                    for k in range(letters):
                        letter = html[at + 2 + k] if at + 2 + k < size else np.uint8(0)
                        if 65 <= letter <= 90:
                            letter |= 32
                        same = (same << np.uint64(8)) | np.uint64(letter)
                    if same == name:
                        break
                at += 1
        elif not _contains(self_ending, name):
            if _contains(formatting, name):
                hashed = name
                for k in range(attributes_at, min(at, size)):
                    hashed = (hashed ^ np.uint64(html[k])) * np.uint64(1099511628211)
                alike = 0
                for k in range(opened):
                    if open_hashes[k] == hashed:
                        alike += 1
                # Of equal elements only three are opened again (the "Noah's Ark clause"), and <a> ends the last <a>.
                if name == formatting[0]:
                    for k in range(opened):
                        if open_names[k] == name:
                            alike = 3
                            open_hashes[k] = hashed
                if alike < 3:
                    if opened == _MAX_FORMATTING:
                        return start
                    open_names[opened] = name
                    open_hashes[opened] = hashed
                    opened += 1
            if depth == _MAX_DEPTH:
                return start
            if foreign_from < 0 and _contains(foreign, name):
                foreign_from = depth
            if not (name == formatting[0] and depth > 0 and stack[depth - 1] == name):
                stack[depth] = name
                depth += 1
        if cost > _BUDGET:
            return start
    return size
