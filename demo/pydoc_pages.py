"""Documentation of the standard library as HTML, by pydoc: real technical prose that every Python installation carries.

The rendering runs in an interpreter of its own (``rendered``), without site packages and with a fixed hash seed, so
that neither the caller's imports nor its environment can change a byte. Run as a script, this file writes the pages to
standard output as JSON lines.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import pydoc
import re
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Left out: what opens windows or browsers, starts programs when imported, or is no documentation.
_SKIPPED = frozenset(
    {"antigravity", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "pyexpat.errors", "sitecustomize"}
    | {"test", "this", "tkinter", "turtle", "turtledemo", "usercustomize", "venv"}
)
_LARGEST_PAGE = 300_000
"""Characters; a few modules are larger and would only make the demo slow."""
_ENCODINGS_KEPT = 3
"""Of the hundred codec modules, whose pages are all alike, every third is enough."""
_ADDRESS = re.compile(r"(?: |&nbsp;)at(?: |&nbsp;)0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Page:
    """One rendered module or language topic; ``html`` is the content alone, without a page around it."""

    kind: str
    name: str
    summary: str
    html: str


class _Renderer(pydoc.HTMLDoc):
    """pydoc's HTML without what differs between machines: paths of files and values of data."""

    def filelink(self, url: str, path: str) -> str:
        return ""

    def getdocloc(self, object: Any, basedir: str = "") -> None:
        return None

    def docother(self, object: Any, name: str | None = None, mod: Any = None, *ignored: Any) -> str:
        # Module data may hold the environment, search paths or the time zone; named constants are the same anywhere.
        if name and name.isupper() and type(object) in (bool, int, float):
            return f"<strong>{name}</strong> = {object!r}"
        return f"<strong>{name}</strong>: {type(object).__name__}" if name else type(object).__name__


def rendered() -> list[Page]:
    """All pages, sorted by kind and name. Raises subprocess.CalledProcessError when the renderer itself fails."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    environment = kept | {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-s", "-S", str(Path(__file__).resolve())],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,  # modules made for other systems say so on standard error; that is no failure
        check=True,
    )
    # Lines end in \n alone: JSON leaves separators such as U+2028 inside its strings.
    pages = [Page(**json.loads(line)) for line in done.stdout.decode().split("\n") if line]
    return sorted(pages, key=lambda page: (page.kind, page.name))


def _module_names() -> Iterator[str]:
    """Names of the public modules and, one package at a time, of their submodules."""
    waiting = sorted(sys.stdlib_module_names, reverse=True)
    while waiting:
        name = waiting.pop()
        last = name.rpartition(".")[2]
        if name in _SKIPPED or last.startswith("_") or last in ("test", "tests"):
            continue
        yield name
        path = getattr(sys.modules.get(name), "__path__", None)
        if path:
            inner = [found.name for found in pkgutil.iter_modules(list(path))]
            step = _ENCODINGS_KEPT if name == "encodings" else 1
            waiting.extend(f"{name}.{one}" for one in sorted(inner, reverse=True)[::step])


def _modules() -> Iterator[Page]:
    renderer = _Renderer()
    for name in _module_names():
        try:
            module = importlib.import_module(name)
            html = renderer.document(module, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - modules of other systems refuse in their own ways
            print(f"{name}: not rendered: {error}", file=sys.stderr)
            continue
        if len(html) <= _LARGEST_PAGE:
            summary = (module.__doc__ or "").strip().partition("\n")[0]
            yield Page("module", name, _without_machine(summary), _without_machine(html))


def _topics() -> Iterator[Page]:
    """The language reference that ``help("for")`` shows."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions package it apart
        return
    for name, text in topics.items():
        blocks = [block for block in re.split(r"\n{2,}", text.strip()) if block.strip()]
        title = blocks[0].partition("\n")[0].strip() if blocks else name
        yield Page("topic", name, title, "\n".join(_topic_block(block) for block in blocks))


def _topic_block(block: str) -> str:
    lines = block.split("\n")
    if len(lines) == 2 and re.fullmatch(r"[*=\-~^\"]{3,}", lines[1].strip()):
        return f"<h2>{_escaped(lines[0])}</h2>"
    if lines[0].startswith("   "):
        return f"<pre>{_escaped(block)}</pre>"
    if lines[0].startswith("* "):
        items = re.split(r"\n\* ", block[2:])
        return "<ul>" + "".join(f"<li>{_escaped(' '.join(item.split()))}</li>" for item in items) + "</ul>"
    return f"<p>{_escaped(' '.join(block.split()))}</p>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _without_machine(text: str) -> str:
    """The text with memory addresses and the folders of this Python taken out."""
    text = _ADDRESS.sub("", text)
    text = text.replace(sys.executable, "/usr/bin/python3")
    folders = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), str(Path.home()), str(Path.cwd())}
    for folder in sorted(folders - {"/", "/usr", "/usr/local"}, key=len, reverse=True):
        text = text.replace(folder, "/usr")
    return text


def _no_comments(object: object) -> None:
    """Stands in for ``inspect.getcomments``, which parses the module again for each function without docstring."""


def _main() -> None:
    sys.path = [folder for folder in sys.path if "site-packages" not in folder]
    inspect.getcomments = _no_comments
    output = sys.stdout
    warnings.simplefilter("ignore")
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        for pages in (_modules(), _topics()):
            for page in pages:
                output.write(json.dumps(asdict(page), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    _main()
