"""Tells whether a payload is HTML, plain text or neither: by its Content-Type and by its bytes."""

from __future__ import annotations

import re
from typing import Literal

from resiliparse.parse.encoding import detect_mime

from pipeline.extraction.charset import UTF16_MARKS

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNTOLD_TYPES = ("", "application/octet-stream", "application/unknown", "unknown/unknown", "*/*")
# Of the WHATWG's MIME sniffing standard, section 7.1, the tags that begin documents (not fragments or comments).
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*"
    rb"<(?:!doctype\s+html|html|head|body|title|script|meta|link|h1|div|table|p|br)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_TEXT_TYPES = ("text/", "application/xhtml+xml", "application/xml", "application/octet-stream")


def kind_of(content_type: str, payload: bytes) -> Literal["html", "plain", ""]:
    """Whether a payload is HTML, plain text or neither: by its Content-Type and, where that fails, by its bytes.

    A page that claims to be plain text or to be of no type is HTML if it begins like it; a page that claims to be text
    and begins with the magic number of something else, or holds NUL bytes where UTF-16 would not, is neither.
    """
    mime = mime_of(content_type)
    if mime in _HTML_TYPES or mime == "text/plain":
        head = payload[:1024]
        if b"\0" in head and not head.startswith(UTF16_MARKS) and "utf-16" not in content_type.lower():
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
