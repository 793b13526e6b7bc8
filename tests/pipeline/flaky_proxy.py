"""A web server on the loopback interface that passes requests on to another, and fails as told."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Fault = Literal["503", "cut", "hang up", "403", "401"]
_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Flaky:
    """``faults(method, path)`` says how a request fails, if it does. ``seen`` holds method, path and Range of all."""

    port: int
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    """Bytes of all bodies that were sent."""
    faults: Callable[[str, str], Fault | None] = lambda _method, _path: None
    page: int = 0
    """Objects on a page of Google's listings, which its emulator gives in one piece; 0: as many as there are."""

    def first(self, count: int, fault: Fault, method: str = "GET", holding: str = "") -> None:
        """Let the first so many requests with that method and text in the address fail from now on."""
        left = [count]

        def fails(asked: str, path: str) -> Fault | None:
            if asked != method or holding not in path or not left[0]:
                return None
            left[0] -= 1
            return fault

        self.faults = fails

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


def one_page(listing: bytes, path: str, size: int) -> bytes:
    """The page of a listing that the address asks for by its token, with the token of the next."""
    found = json.loads(listing)
    start = int(parse_qs(urlsplit(path).query).get("pageToken", ["0"])[0])
    items = found.get("items", [])
    found["items"] = items[start : start + size]
    if start + size < len(items):
        found["nextPageToken"] = str(start + size)
    return json.dumps(found).encode()


@contextmanager
def in_front_of(backend: int) -> Iterator[Flaky]:
    """Listen on a free port and pass requests on to that one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _pass_on(self) -> None:
            flaky.seen.append((self.command, self.path, self.headers.get("Range", "")))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = flaky.faults(self.command, self.path)
            if fault == "hang up":
                self.close_connection = True
                return
            if fault in ("503", "401", "403"):
                self.send_response(int(fault))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            there = http.client.HTTPConnection("127.0.0.1", backend, timeout=60)
            there.request(self.command, self.path, body, dict(self.headers))
            answer = there.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            length = answer.headers.get("Content-Length", str(len(content)))
            if flaky.page and self.command == "GET" and urlsplit(self.path).path.endswith("/o"):
                content = one_page(content, self.path, flaky.page)
                length = str(len(content))
            for name, value in answer.headers.items():
                if name.lower() not in _HOP | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            there.close()
            if self.command == "HEAD":
                return
            if fault == "cut":
                content = content[: len(content) // 2]
                self.close_connection = True
            flaky.sent += len(content)
            self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    flaky = Flaky(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield flaky
    finally:
        server.shutdown()
        server.server_close()
