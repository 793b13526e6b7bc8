"""Reads files over https and http: by ranges, going on where a connection breaks, and never from two versions of a file.

One connection reads forward; going elsewhere in the file asks for the range from there on. A server that knows no ranges
is read from the beginning each time. A connection that fails is tried again a bounded number of times, with growing
pauses or those that the server asks for.
"""

from __future__ import annotations

import functools
import io
import re
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, Any

from pipeline import pulse

_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)")
_SECONDS = re.compile(r"\d{1,6}")

ATTEMPTS = 6
"""How often a request is made before it counts as failed; reading anew ``_PROGRESS`` bytes starts the count afresh."""
PAUSE = 0.5
"""Seconds before the second attempt; the pause doubles with every further one."""
AT_ONCE = 8
"""Connections to one server."""
_MAX_PAUSE = 60.0
_PROGRESS = 1 << 20
_MAX_REDIRECTS = 5
_CONNECT_SECONDS = 20.0
_READ_SECONDS = 60.0
_READ_ON = 1 << 18
"""Bytes up to which going forward in a file reads on instead of asking anew."""
_BUFFER = 1 << 18

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unreachable(OSError):  # noqa: N818
    """The server could not be reached, refused, or has another file now: nothing is known of the bytes that were wanted."""


class Missing(Unreachable, FileNotFoundError):  # noqa: N818
    """There is no such file on the server."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a server says of a file: its size in bytes, when it was changed (seconds since 1970, 0: not told), its tag."""

    size: int
    changed: float
    tag: str


def is_http(path: str) -> bool:
    """Whether a path is an address on a web server."""
    return _SCHEME.match(path) is not None


def version(url: str) -> Version | None:
    """What the server says of a file; None where there is none (404, 410). Raises Unreachable."""
    try:
        response, found, _ = _ask(url, 0, only_one_byte=True)
    except Missing:
        return None
    _drop(response)
    return found


def open_read(url: str, start: int = 0) -> IO[bytes]:
    """Open a file for reading from ``start`` on; it can be moved about in. Reading raises Unreachable."""
    raw = _HttpFile(url)
    if start:
        raw.seek(start)
    return io.BufferedReader(raw, _BUFFER)


class _HttpFile(io.RawIOBase):
    """A file on a web server. The server is asked when the first byte is read, or the size is needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._place = 0
        self._response: Any = None
        self._response_at = 0
        self._version: Version | None = None
        self._attempts = 0
        self._progress = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: 0}[whence]
        if whence == io.SEEK_END:
            base = self._told().size
        if base + offset < 0:
            raise ValueError(f"negative place {base + offset} in {self._url}")
        self._place = base + offset
        return self._place

    def close(self) -> None:
        self._hang_up()
        super().close()

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer).cast("B")
        with pulse.waiting():
            piece = self._piece(len(wanted))
        wanted[: len(piece)] = piece
        return len(piece)

    def _piece(self, most: int) -> bytes:
        """The next bytes; none at the end of the file. Raises Unreachable."""
        while True:
            if self._version is not None and self._place >= self._version.size:
                return b""
            try:
                self._connect()
                piece: bytes = self._response.read(most)
                if not piece:
                    raise ConnectionError(f"it ended at byte {self._place} of {self._told().size}")
            except _broken() as error:
                self._hang_up()
                self._attempts += 1
                if self._attempts >= ATTEMPTS:
                    raise Unreachable(
                        f"{self._url}: {_told_of(error)}, {ATTEMPTS} times, at byte {self._place}"
                    ) from error
                _pause(self._attempts)
                continue
            break
        self._place += len(piece)
        self._response_at = self._place
        self._progress += len(piece)
        if self._progress >= _PROGRESS:
            self._attempts = self._progress = 0
        return piece

    def _told(self) -> Version:
        if self._version is None:
            found = version(self._url)
            if found is None:
                raise Missing(f"{self._url}: no such file on the server")
            self._version = found
        return self._version

    def _connect(self) -> None:
        """Have a response open that goes on at the place. Raises Unreachable, and what a broken connection raises."""
        if self._response is not None and 0 <= self._place - self._response_at <= _READ_ON:
            self._pass(self._place - self._response_at)
        if self._response is None or self._response_at != self._place:
            self._hang_up()
            self._response, found, self._response_at = _ask(self._url, self._place)
            if self._version is not None and _differ(self._version, found):
                self._hang_up()
                raise Unreachable(
                    f"{self._url} was changed on the server while it was read: {self._version}, now {found}"
                )
            self._version = self._version or found
            self._pass(self._place - self._response_at)

    def _pass(self, count: int) -> None:
        """Read and forget; what a server without ranges sends before the place, for one."""
        while count > 0:
            piece = self._response.read(min(count, _BUFFER))
            if not piece:
                raise ConnectionError(f"it ended {count} bytes before byte {self._place}")
            self._response_at += len(piece)
            count -= len(piece)

    def _hang_up(self) -> None:
        if self._response is not None:
            _drop(self._response)
        self._response = None


def _differ(one: Version, other: Version) -> bool:
    """Whether two answers are about different contents; a tag that is there in both decides, weak or not."""
    if one.size != other.size:
        return True
    return one.tag != other.tag if one.tag and other.tag else one.changed != other.changed


@functools.cache
def _pool(proxy: str | None) -> Any:
    """The connections of this process: they are kept for the next request."""
    import urllib3  # most commands read no file over http

    timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
    retries = urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=_MAX_REDIRECTS)
    if proxy:
        return urllib3.ProxyManager(proxy, maxsize=AT_ONCE, timeout=timeout, retries=retries)
    return urllib3.PoolManager(maxsize=AT_ONCE, timeout=timeout, retries=retries)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address (``https_proxy``, ``no_proxy`` and so on)."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return None if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(url.partition(":")[0].lower())


@functools.cache
def _broken() -> tuple[type[BaseException], ...]:
    """What is raised where a connection breaks."""
    import urllib3

    return (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)


def _ask(url: str, start: int, only_one_byte: bool = False) -> tuple[Any, Version, int]:
    """An open response for the bytes from ``start`` on, what it says of the file, and the byte it really begins with.

    Raises Unreachable.
    """
    import urllib3

    fields = {
        "Accept-Encoding": "identity",
        "Range": f"bytes={start}-{start if only_one_byte else ''}",
        "User-Agent": "corpusmill",
    }
    said = ""
    for attempt in range(1, ATTEMPTS + 1):
        wait = 0.0
        try:
            response = _pool(_proxy(url)).request(
                "GET", url, headers=fields, preload_content=False, decode_content=False
            )
        except ValueError as error:
            raise Unreachable(f"{url}: not an address: {error}") from error
        except _broken() as error:
            if isinstance(getattr(error, "reason", None), urllib3.exceptions.ResponseError):
                raise Unreachable(f"{url}: more than {_MAX_REDIRECTS} redirects") from error
            said = _told_of(error)
        else:
            if response.status not in _TRY_AGAIN:
                return response, *_understood(url, response, start)
            said = f"HTTP status {response.status}"
            after = str(response.headers.get("Retry-After", ""))
            wait = float(after) if _SECONDS.fullmatch(after) else 0.0
            _drop(response)
        if attempt < ATTEMPTS:
            _pause(attempt, wait)
    raise Unreachable(f"{url}: {said}, {ATTEMPTS} times")


def _understood(url: str, response: Any, start: int) -> tuple[Version, int]:
    """What an answer says: of the file, and the byte of it that the body begins with. Raises Unreachable."""
    final = response.geturl() or url
    if url.lower().startswith("https:") and final.lower().startswith("http:"):
        _drop(response)
        raise Unreachable(f"{url}: redirected to {final}, which is not https")
    headers, status = response.headers, response.status
    range_ = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    in_range = range_ is not None and (status == 416 or (status == 206 and range_[1] == str(start)))
    if status == 200:
        told, start = headers.get("Content-Length", ""), 0
    elif range_ is not None and in_range:
        told = range_[2]
    else:
        _drop(response)
        if status in (404, 410):
            raise Missing(f"{url}: no such file on the server (HTTP status {status})")
        raise Unreachable(f"{url}: HTTP status {status}")
    if not told.isdecimal():
        _drop(response)
        raise Unreachable(f"{url}: the server doesn't say how large the file is; copy it to a disk first")
    return Version(int(told), _seconds(headers.get("Last-Modified", "")), headers.get("ETag", "")), start


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _drop(response: Any) -> None:
    """Give up a response and its connection: the rest of a body may be long."""
    response.close()


def _pause(attempt: int, asked: float = 0.0) -> None:
    time.sleep(min(_MAX_PAUSE, max(asked, PAUSE * 2 ** (attempt - 1))))


def _told_of(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{type(reason).__name__}: {reason}"
