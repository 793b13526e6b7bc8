"""A web server on the loopback address that serves files from memory, as good or as bad as a test wants it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What is served, and how. ``requests`` logs path and Range of everything that was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    length: bool = True
    answers: list[int] = field(default_factory=list)
    """Status of the next answers, before any file is served."""
    headers: dict[str, str] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    """The next bodies end after so many bytes, with the connection."""
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: object) -> None: ...

    def _head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**self.site.headers, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        self.end_headers()

    def do_GET(self) -> None:
        site = self.site
        wanted = self.headers.get("Range", "")
        site.requests.append((self.path, wanted))
        if site.answers:
            self._head(site.answers.pop(0), 0)
        elif self.path in site.redirects:
            self._head(302, 0, Location=site.redirects[self.path])
        elif self.path not in site.files:
            self._head(404, 0)
        else:
            self._file(site.files[self.path], wanted)

    def _file(self, data: bytes, wanted: str) -> None:
        site = self.site
        tag = {"ETag": site.tags[self.path]} if self.path in site.tags else {}
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if found and site.ranges and int(found[1]) >= len(data):
            self._head(416, 0, Content_Range=f"bytes */{len(data)}", **tag)
            return
        if found and site.ranges:
            start, stop = int(found[1]), min(int(found[2] or len(data)) + 1, len(data))
            self._head(206, stop - start, Content_Range=f"bytes {start}-{stop - 1}/{len(data)}", **tag)
            body = data[start:stop]
        else:
            self._head(200, len(data) if site.length else None, **tag)
            body = data
        if site.break_after and len(body) > 1:
            body = body[: site.break_after.pop(0)]
            self.close_connection = True
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # whoever asked has gone


@contextmanager
def serving() -> Iterator[Site]:
    """A server with nothing on it yet."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
