"""The hand-written pages: the small text format they are kept in, and its HTML.

A file holds several articles. Each begins with a line ``%%% URL``, then ``name: value`` lines up to a blank line, then
the body: paragraphs, ``## `` headings, ``- `` lists, ``> `` quotations, ``| a | b |`` tables, and above each post of a
forum thread a line ``@ name | time | counters``. Blank lines stand between all of these.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from markupsafe import escape

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Site:
    """A made-up web site: where it lives, how it looks and what it repeats on every page."""

    host: str
    name: str
    template: str
    language: str
    tagline: str = ""
    navigation: tuple[str, ...] = ()
    about: str = ""
    cookies: str = ""
    rights: str = ""
    mirrors: bool = False
    mirror_note: str = ""


@dataclass(frozen=True, slots=True)
class Article:
    """One page as it was written: ``fields`` are the lines of its header, ``body`` is the text below."""

    url: str
    title: str
    body: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The host of the URL, which names the site."""
        return urlsplit(self.url).netloc


def load_sites() -> dict[str, Site]:
    """The sites of ``pages/sites.toml`` by host."""
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "pages" / "sites.toml").read_text(encoding="utf-8"))
    sites = {}
    for host, values in table.items():
        navigation = tuple(values.pop("navigation", ()))
        sites[host] = Site(host=host, navigation=navigation, **values)
    return sites


def load_articles(folder: str) -> list[Article]:
    """The articles of all text files in a folder of the package, in the order of file names and of writing."""
    return [
        article
        for path in sorted((HERE / folder).glob("*.txt"))
        for article in parse(path.read_text(encoding="utf-8"), path.name)
    ]


def parse(text: str, name: str) -> Iterator[Article]:
    """The articles of one file. Raises ValueError, naming it, for a header line without a colon or no title."""
    for part in re.split(r"^%%% ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n\n")
        url, *lines = head.split("\n")
        fields = {}
        for line in lines:
            key, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"{name}: header line without a colon below {url!r}: {line!r}")
            fields[key.strip()] = value.strip()
        if "title" not in fields:
            raise ValueError(f"{name}: no title below {url!r}")
        yield Article(url.strip(), fields.pop("title"), body.strip(), fields)


def blocks(body: str) -> list[str]:
    """The blocks of a body: what blank lines separate."""
    return [block for block in re.split(r"\n\s*\n", body) if block.strip()]


def to_html(body: str) -> str:
    """HTML of a body, block by block."""
    return "\n".join(_block(block) for block in blocks(body))


def _block(block: str) -> str:
    lines = block.strip("\n").split("\n")
    first = lines[0]
    if first.startswith("## "):
        return f"<h2>{escape(first[3:])}</h2>"
    if first.startswith("- "):
        return "<ul>\n" + "\n".join(f"<li>{escape(line[2:])}</li>" for line in lines) + "\n</ul>"
    if first.startswith("> "):
        return f"<blockquote><p>{escape(' '.join(line[2:] for line in lines))}</p></blockquote>"
    if first.startswith("| "):
        rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
        head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
        rest = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rest}\n</tbody>\n</table>"
    if first.startswith("@ "):
        who, when, counters = (part.strip() for part in first[2:].split("|"))
        post = (
            f'<div class="post-head"><a href="/user/{escape(who)}">{escape(who)}</a> <time>{escape(when)}</time></div>'
        )
        links = '<a href="#reply">Reply</a> <a href="#report">Report</a>'
        foot = f'<div class="post-foot"><span>{escape(counters)}</span> {links}</div>'
        return f"{post}\n<p>{escape(' '.join(lines[1:]))}</p>\n{foot}"
    return f"<p>{escape(chr(10).join(lines))}</p>"
