"""The demo's web: every page that the made-up crawler met, from careful essays to broken archives.

Python's documentation comes from ``demo.pydoc_pages``, all else from the hand-written files of ``demo/pages`` and from
the few lines below that derive copies, indexes and oddities from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from demo import wiki
from demo.articles import HERE, Article, Site, blocks, load_articles, load_sites, to_html
from demo.pydoc_pages import Page
from demo.warc import Capture, key

_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, keep_trailing_newline=True
)
_RELATED = 12
"""Links in a sidebar."""
_PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)  # a GIF of one transparent pixel


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of a sidebar or an index page."""

    url: str
    title: str
    teaser: str = ""


def captures(documentation: list[Page]) -> list[Capture]:
    """Every capture of the demo's crawl, in an order that depends on the URLs alone."""
    sites = load_sites()
    articles = [*load_articles("pages"), *_wiki_mirrors()]
    found = [
        *_articles(articles, sites),
        *_mirrors(articles, sites),
        *_indexes(articles, sites),
        *_documentation(documentation, sites),
        *_tables(sites["stationlog.example"]),
        *_oddities(articles),
    ]
    return sorted((_travelled(capture) for capture in found), key=lambda one: (key(one.url), one.url))


def _travelled(capture: Capture) -> Capture:
    """The capture with a transfer as servers vary it: some compress, some send chunks; some requests were kept."""
    chance = key("travel " + capture.url)
    coding = capture.coding or ("gzip", "chunked", "gzip+chunked", *[""] * 9)[chance % 12]
    return replace(capture, coding=coding, with_request=capture.with_request or chance // 12 % 10 == 0)


def _page(
    site: Site, url: str, title: str, content: str, *, template: str = "", charset: str = "utf-8", **more: object
) -> str:
    return _TEMPLATES.get_template(f"{template or site.template}.html").render(
        site=site,
        title=title,
        content=Markup(content),  # noqa: S704 - HTML made here
        charset=charset,
        canonical=url,
        **more,
    )


def _article(article: Article, site: Site, related: list[Link], url: str = "") -> Capture:
    fields = article.fields
    content = to_html(article.body)
    if fields.get("repeat"):
        content = "\n".join([content] * int(fields["repeat"]))
    encoding = fields.get("encoding", "utf-8")
    declared = fields.get("declared", encoding)
    html = _page(
        site,
        article.url,
        article.title,
        content,
        charset=declared,
        author=fields.get("author", ""),
        date=fields.get("date", ""),
        tags=[tag.strip() for tag in fields.get("tags", "").split(",") if tag.strip()],
        price=fields.get("price", ""),
        related=related,
    )
    kind = "text/html" if "encoding" in fields or "declared" in fields else "text/html; charset=utf-8"
    return Capture(url or article.url, html.encode(encoding, "xmlcharrefreplace"), kind)


def _articles(articles: list[Article], sites: dict[str, Site]) -> Iterator[Capture]:
    for article in articles:
        site = sites[article.host]
        related = _links(one for one in articles if one.host == article.host and one is not article)
        yield _article(article, site, related)
        if key("copy " + article.url) % 5 == 0:
            yield _article(article, site, related, article.url + "?utm_source=newsletter&utm_medium=email")


def _links(articles: Iterable[Article], teasers: bool = False) -> list[Link]:
    return [Link(one.url, one.title, _teaser(one) if teasers else "") for one in articles][
        : _RELATED if not teasers else None
    ]


def _teaser(article: Article) -> str:
    """The beginning of an article, without the line that heads a forum post."""
    first = blocks(article.body)[0]
    return (first.partition("\n")[2] if first.startswith("@ ") else first)[:160] + " …"


def _mirrors(articles: list[Article], sites: dict[str, Site]) -> Iterator[Capture]:
    """Near-copies: the same article on another site, with a paragraph changed and another page around it."""
    for article in articles:
        site = sites[article.host]
        if site.template not in ("magazine", "blog", "plain", "encyclopedia") or len(blocks(article.body)) < 3:
            continue
        for mirror in sites.values():
            chance = key(mirror.host + article.url)
            if mirror.mirrors and mirror.language == site.language and chance % 5 < 3:
                path = article.url.rsplit("/", 1)[1]
                copy = Article(
                    f"https://{mirror.host}/read/{path}",
                    article.title,
                    _edited(article.body, mirror.mirror_note, chance // 5),
                    {"date": f"2024-{chance % 12 + 1:02d}-{chance % 28 + 1:02d}"},
                )
                yield _article(copy, mirror, [])


def _edited(body: str, note: str, chance: int) -> str:
    """The text with a small change of one of three kinds: a note added, a paragraph dropped, two paragraphs swapped."""
    parts = blocks(body)
    where = chance // 3 % (len(parts) - 1) + 1
    if chance % 3 == 0:
        parts.insert(0, note)
    elif chance % 3 == 1 and len(parts) > 4:
        del parts[where]
        parts.append(note)
    else:
        parts[where - 1], parts[where] = parts[where], parts[where - 1]
    return "\n\n".join(parts)


def _wiki_mirrors() -> Iterator[Article]:
    """Articles of the demo's wiki as a mirror on the web shows them: the same document from two sources."""
    for title in wiki.MIRRORED:
        body = wiki.plain_text(title)
        yield Article(
            f"https://demopedia.example/wiki/{quote(title.replace(' ', '_'))}", title, body, {"tags": "Encyclopedia"}
        )


def _indexes(articles: list[Article], sites: dict[str, Site]) -> Iterator[Capture]:
    """Front pages, site maps and tag pages: links and little else."""
    for host, site in sites.items():
        own = [one for one in articles if one.host == host]
        if len(own) < 2:
            continue
        url = f"https://{host}/"
        yield Capture(url, _page(site, url, site.name, "", template="index", related=_links(own, True)).encode())
        url = f"https://{host}/sitemap"
        yield Capture(
            url,
            _page(
                site, url, site.name, "", template="index", related=[Link(one.url, one.title) for one in own]
            ).encode(),
        )
        tags = sorted({tag.strip() for one in own for tag in one.fields.get("tags", "").split(",") if tag.strip()})
        for tag in tags[:4]:
            url = f"https://{host}/tag/{quote(tag)}"
            tagged = [Link(one.url, one.title) for one in own if tag in one.fields.get("tags", "")]
            yield Capture(url, _page(site, url, tag, "", template="index", related=tagged).encode())


def _documentation(pages: list[Page], sites: dict[str, Site]) -> Iterator[Capture]:
    site, mirror = sites["docs.pyref.example"], sites["python-manual.example"]
    links = {
        kind: [Link(_documentation_url(site, page), page.name) for page in pages if page.kind == kind]
        for kind in ("module", "topic")
    }
    for number, page in enumerate(pages):
        url = _documentation_url(site, page)
        around = links[page.kind]
        start = max(0, min(number % max(1, len(around)), len(around) - _RELATED))
        related = around[start : start + _RELATED]
        title = f"{page.name}: {page.summary}" if page.summary else page.name
        html = _page(site, url, title, page.html, summary="", related=related)
        yield Capture(url, html.encode())
        if key("mirror " + page.name) % 7 == 0:
            copy = f"https://{mirror.host}/{page.kind}/{page.name}.htm"
            day = f"2023-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
            yield Capture(copy, _page(mirror, copy, f"Python manual: {page.name}", page.html, date=day).encode())


def _documentation_url(site: Site, page: Page) -> str:
    return f"https://{site.host}/{page.kind}/{page.name}.html"


def _tables(site: Site) -> Iterator[Capture]:
    """Pages that a machine wrote: readings of weather stations that do not exist."""
    for station in range(12):
        url = f"https://{site.host}/station/{station + 1:03d}"
        rows = ["| Hour | Temperature °C | Humidity % | Wind m/s | Pressure hPa |"]
        for hour in range(72):
            chance = key(f"{station} {hour}")
            rows.append(
                f"| {hour:02d} | {chance % 240 / 10 - 4:.1f} | {chance // 240 % 60 + 40} "
                f"| {chance // 20000 % 150 / 10:.1f} | {chance // 900000 % 50 + 985} |"
            )
        yield Capture(
            url, _page(site, url, f"Station {station + 1:03d}, last three days", to_html("\n".join(rows))).encode()
        )


def _oddities(articles: list[Article]) -> Iterator[Capture]:
    """What every crawl holds besides good pages: errors, redirects, pictures, emptiness, damage."""
    first, second, *_ = [article for article in articles if article.host == "fieldnotes.example"]
    host = f"https://{first.host}"
    small = b"<html><head><title>%s</title></head><body><h1>%s</h1></body></html>"
    missing = small % (b"Not found", b"404: this page has moved or never was")
    yield Capture(f"{host}/no-such-page", missing, status="404 Not Found", with_request=True)
    yield Capture(f"{host}/busy", small % (b"Busy", b"503: try again later"), status="503 Service Unavailable")
    yield Capture(
        f"{host}/old-address",
        b"",
        status="301 Moved Permanently",
        headers=(("Location", first.url),),
        coding="identity",
    )
    yield Capture(f"{host}/pixel.gif", _PIXEL, "image/gif", coding="identity")
    yield Capture(f"{host}/robots.txt", b"User-agent: *\nDisallow: /search\n", "text/plain")
    yield Capture(f"{host}/feed.json", b'{"items": [], "title": "Field Notes"}', "application/json")
    yield Capture(f"{host}/style.css", b"body{margin:0}\n", "text/css")
    yield Capture(f"{host}/empty", b"", coding="identity")
    yield Capture(f"{host}/blank", b"<html><head><title></title></head><body></body></html>")
    yield Capture(f"{host}/again", _same_as(first), revisit=True)
    yield Capture(f"{host}/no-type", _same_as(second), "")
    readings = " ".join(f"reading {number:05d} is {key(str(number)) % 1000};" for number in range(20_000))
    yield Capture(
        "https://stationlog.example/all-in-one-line",
        f"<html><body><p>{readings}</p></body></html>".encode(),
        coding="chunked",
    )
    nested = b"<div>" * 3000 + b"A page that opens three thousand boxes." + b"</div>" * 3000
    yield Capture("https://best-deals-247.example/boxes", b"<html><body>" + nested + b"</body></html>")
    lost = _same_as(
        Article(
            "https://oldharbour.example/damaged", "A page that the disk has eaten", "A record with spoiled bytes. " * 90
        )
    )
    yield Capture("https://oldharbour.example/damaged", lost, damage="corrupt", coding="identity")
    yield Capture("https://oldharbour.example/cut-short", lost, damage="truncated", coding="identity")


def _same_as(article: Article) -> bytes:
    title = escape(article.title)
    content = to_html(article.body)
    return f"<html><head><title>{title}</title></head><body><article>{content}</article></body></html>".encode()
