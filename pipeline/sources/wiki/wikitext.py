"""Turns wikitext into the prose that a reader sees, in one pass whose time grows linearly with the page.

General wikitext parsers backtrack: on unclosed tags and links their time grows with the square of the page, so that a
broken page of 100 kB takes a minute. Here every opening mark is put on a stack, what it encloses is kept or dropped
when its closing mark comes, and an opening mark that is never closed is forgotten.

What becomes of each construct:

* templates, tables, references, galleries, files, categories and interlanguage links go; templates that merely wrap
  running text (``{{lang|fr|mot}}``, ``{{convert|10|km}}``, ``{{nowrap|…}}``) leave that text;
* links and external links leave their text; section titles become lines of their own; a section left empty goes;
* list items become lines that begin with ``- ``, indented by two spaces a level;
* formulas are kept as LaTeX between dollar signs; code and ``<nowiki>`` are kept as they are;
* digits in ``<sup>`` and ``<sub>`` become superscript and subscript digits; other tags go and leave what they enclose.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

_MAX_DEPTH = 100  # deeper nesting is no page but an attack; MediaWiki stops at 100 too (wgMaxTemplateDepth)

_MAX_LIST_DEPTH = 10

_TOKEN = re.compile(
    r"""
      (?P<comment> <!-- )
    | (?P<tag> <(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)\b[^<>]*?(?P<selfclosed>/?)> )
    | (?P<braces> \{\{+ )
    | (?P<closed_braces> \}\}+ )
    | (?P<link> \[\[ )
    | (?P<table> ^[ \t:*\#]*\{\| )
    | (?P<closed_table> ^[ \t]*\|\}(?!\}(?!\})) )
    | (?P<external> \[(?=(?:[A-Za-z][A-Za-z0-9+.-]{1,15}:)?//|mailto:) )
    | (?P<brackets> \]\]? )
    """,
    re.VERBOSE | re.MULTILINE,
)


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_DROPPED_TAGS = frozenset({"ref", "references", "table", "includeonly", "style", "script", "noprint", "rt"})
"""Tags that are dropped with what they enclose; wikitext inside them counts only for finding their end."""

_RAW_TAGS = _words(
    "nowiki pre math chem ce syntaxhighlight source score timeline templatedata templatestyles hiero graph mapframe "
    "maplink gallery imagemap inputbox categorytree section indicator"
)
"""Tags inside which there is no wikitext."""

_MATH_TAGS = frozenset({"math", "chem", "ce"})
_VERBATIM_TAGS = frozenset({"nowiki", "pre", "syntaxhighlight", "source"})
_BLOCK_TAGS = _words("br p div hr blockquote center poem ul ol dl dd dt h1 h2 h3 h4 h5 h6 tr td th caption")
_FRAMED_TAGS = _DROPPED_TAGS | {"sup", "sub"}

_SUPERSCRIPT = str.maketrans("0123456789+-−()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾")
_SUBSCRIPT = str.maketrans("0123456789+-−()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎")
_RAISED = re.compile(r"[-+−()\d]+", re.ASCII)

_TEXT_PARAMETER = {
    # Templates that only wrap running text, and which of their parameters it is (-1: the last).
    **dict.fromkeys(("lang", "langue", "transl", "transliteration", "color", "colour"), -1),
    **dict.fromkeys(
        (
            "nowrap", "nobr", "nobreak", "nbr", "small", "smaller", "big", "larger", "abbr", "abbrv", "tooltip",
            "strong", "em", "mvar", "math", "ill", "interlanguage link", "link-interwiki", "lien", "仮リンク", "ruby",
            "angbr", "sic", "not a typo", "as written", "visible anchor", "quote", "blockquote", "cquote", "quotation",
            "début citation", "citation bloc", "zitat", "цитата", "начало цитаты", "cita", "citazione", "citaat", "нп3",
            "нп4", "не переведено", "formatnum", "lc", "uc", "lcfirst", "ucfirst", "iast", "unicode", "vanchor",
            "nihongo", "nihongo2", "flag", "flagcountry", "flagu", "noflag", "proper name", "keypress", "varserif",
        ),
        1,
    ),
}  # fmt: skip
_JOINED_PARAMETERS = {
    # Templates whose first parameters stand side by side, and what stands between them.
    **dict.fromkeys(("convert", "cvt", "unité", "unite", "nombre", "val", "num"), " "),
    **dict.fromkeys(("frac", "fraction", "sfrac"), "/"),
    **dict.fromkeys(("chem", "chem2"), ""),
    **dict.fromkeys(("ship", "sclass"), " "),
}
_FIXED_TEXT = {
    **dict.fromkeys(("nbsp", "spaces", "thinsp", "thin space", "hair space", "clear space"), " "),
    **dict.fromkeys(("ndash", "en dash", "–"), "–"),
    **dict.fromkeys(("snd", "spaced ndash", "spnd"), " – "),
    **dict.fromkeys(("mdash", "em dash", "—"), "—"),
    **dict.fromkeys(("circa", "c."), "c. "),
    "'": "'",
    "'s": "'s",
    "=": "=",
}

_FILE_NAMES = _words(
    "file image media fichier datei bild archivo imagen immagine ficheiro imagem arquivo bestand afbeelding plik "
    "grafika файл изображение зображення выява датотека слика fil soubor súbor slika datoteka fájl kép fișier imagine "
    "αρχείο εικόνα dosya resim ملف صورة پرونده تصویر קובץ תמונה ファイル 画像 파일 그림 文件 檔案 档案 图像 圖像 "
    "tập_tin hình berkas gambar fail चित्र চিত্র படிமம் దస్త్రం ไฟล์ ภาพ vaizdas attēls fitxer imatge fitxategi ficheru "
    "mynd tiedosto kuva şəkil fayl сурет сүрәт պատկեր ფაილი სურათი lêer restr delwedd íomhá talaksan larawan dosiero "
    "fasciculus imago ചിത്രം പ്രമാണം"
)
_CATEGORY_NAMES = _words(
    "category catégorie kategorie categoría categoria categorie kategoria kategori категория категорія катэгорыя "
    "категорија kategorija kategória κατηγορία تصنيف رده קטגוריה カテゴリ 분류 分类 分類 thể_loại luokka "
    "श्रेणी বিষয়শ্রেণী பகுப்பு వర్గం หมวดหมู่ kategooria kategorio კატეგორია կատեգորիա kateqoriya төркем санат kategoriya "
    "kategory categuria categurìa sokajy ангилал категори jamii بؤلمه "
    "flokkur rummad categori catagóir kaarangay वर्ग വർഗ്ഗം ವರ್ಗ ଶ୍ରେଣୀ पुचः زمرہ پۆل گٹھ"
)
"""Names of the file and category namespaces in many languages with their old aliases, which no dump lists."""

_INTERLANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){0,2}|simple|tokipona")
_NO_LANGUAGE = frozenset({"voy", "doi", "rfc", "mw", "wmf", "osm"})
_MEDIA_FILE = re.compile(
    r"[^|:]+:[^|]*\.(jpe?g|png|svg|gif|tiff?|webp|xcf|og[gav]|oga|opus|webm|wav|mp3|midi?|flac|pdf|djvu|stl)\s*(\||$)",
    re.IGNORECASE,
)

_MARK = re.compile(r"\x7f(\d+)\x7f")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SWITCH = re.compile(r"__[^\W\d_a-z]+(?:_[^\W\d_a-z]+)*__")
_VARIANT = re.compile(r"-\{([^{}\n]*)\}-")
_PARAMETER_NAME = re.compile(r"[\w -]{1,30}")
_QUOTES = re.compile(r"'{2,}")
_LIST_MARKS = re.compile(r"[*#:;]+")
_EMPTY_BRACKETS = re.compile(r" ?[(（][\s,;:、，；–-]*[)）]")
_BRACKET_HOLE = re.compile(r"([(（])(?:\s*[,;、，；](?=[\s,;、，；]|\w))+\s*")
_CLOSING_HOLE = re.compile(r"(?:[\s,;、，；]+|\s:\s*)(?=[)）])")
_SPACE_BEFORE_STOP = re.compile(r"(?<=[^\s]) +(?=[,.](?:\s|$))")
_SPACES = re.compile(r"[ \t\xa0]{2,}")
_TABLE_LINE = re.compile(r"^[ \t]*(?:[|!]|\{\|).*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The prefixes of links that are not shown where they stand: files and categories, in lower case."""

    hidden: frozenset[str] = _FILE_NAMES | _CATEGORY_NAMES
    all: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: dict[int, str]) -> Namespaces:
        """From a wiki's own table of namespaces by number (6: files, 14: categories)."""
        local = {number: _prefix(name) for number, name in names.items() if name}
        return cls(
            cls().hidden | {name for number, name in local.items() if number in (-2, 6, 14)}, frozenset(local.values())
        )


def _prefix(name: str) -> str:
    return name.strip().replace(" ", "_").lower()


@dataclass(slots=True)
class _Frame:
    """An opening mark that waits for its closing one, and what was found since."""

    kind: str
    pieces: list[str] = field(default_factory=list)
    count: int = 1  # templates opened by one run of braces


class _Reader:
    """One page being read: the stack of open constructs and the stretches that are kept verbatim."""

    def __init__(self, source: str, namespaces: Namespaces) -> None:
        self.source = source.replace("\x7f", "")
        self.namespaces = namespaces
        self.stack = [_Frame("page")]
        self.open: dict[str, int] = {}
        self.verbatim: list[str] = []
        self.never_closed: set[str] = set()

    def read(self) -> str:
        """The page with inline markup undone; lists, headings and quotes are still as written."""
        source = self.source
        done = 0
        while match := _TOKEN.search(source, done):
            start, end = match.span()
            if start > done:
                self.stack[-1].pieces.append(source[done:start])
            done = self._token(match, start, end)
        self.stack[-1].pieces.append(source[done:])
        while len(self.stack) > 1:
            self._forget_top()
        return "".join(self.stack[0].pieces)

    def keep(self, text: str) -> str:
        """A mark that stands for text which must stay as it is."""
        self.verbatim.append(text)
        return f"\x7f{len(self.verbatim) - 1}\x7f"

    def _token(self, match: re.Match[str], start: int, end: int) -> int:
        """Act on one token; where reading goes on."""
        kind = match.lastgroup
        if match["tag"]:
            return self._tag(match, end)
        if kind == "comment":
            close = self.source.find("-->", end)
            return len(self.source) if close < 0 else close + 3
        if kind == "braces":
            # Three braces are a template's parameter: outside templates they mean as little as a template.
            self._push("template", (end - start) // 2)
        elif kind == "closed_braces":
            left = (end - start) // 2
            while left and self._close_to("template"):
                left -= 1
        elif kind == "link":
            self._push("link")
        elif kind == "external":
            self._push("external")
        elif kind == "table":
            self._push("table")
        elif kind == "closed_table":
            self._close_to("table")
        else:
            used = self._close_brackets(end - start)
            if used:
                return start + used
            self.stack[-1].pieces.append(match[0])
        return end

    def _push(self, kind: str, count: int = 1) -> None:
        if len(self.stack) <= _MAX_DEPTH:
            self.stack.append(_Frame(kind, count=count))
            self.open[kind] = self.open.get(kind, 0) + 1

    def _pop(self) -> _Frame:
        frame = self.stack.pop()
        self.open[frame.kind] -= 1
        return frame

    def _forget_top(self) -> None:
        """Give up on an opening mark: what came after it belongs to what was open before."""
        frame = self._pop()
        if frame.kind == "table":
            _, newline, rows = "".join(frame.pieces).partition("\n")  # the first line holds the table's attributes
            frame.pieces = [newline + _TABLE_LINE.sub("", rows)]
        self.stack[-1].pieces.extend(frame.pieces)

    def _close_to(self, kind: str) -> bool:
        """Close the innermost open construct of this kind, forgetting what is open inside; False if there is none."""
        if not self.open.get(kind):
            return False
        while self.stack[-1].kind != kind:
            self._forget_top()
        frame = self.stack[-1]
        if frame.count > 1:
            frame.count -= 1
            frame.pieces.clear()
            return True
        self._pop()
        content = "".join(frame.pieces)
        self.stack[-1].pieces.append(self._closed(kind, content))
        return True

    def _closed(self, kind: str, content: str) -> str:
        """What a closed construct leaves behind."""
        if kind == "link":
            return _link_text(content, self.namespaces)
        if kind == "template":
            return _template_text(content)
        if kind == "external":
            if "\n" in content:
                return f"[{content}]"
            return content.partition(" ")[2].strip()
        if kind in ("sup", "sub"):
            inner = html.unescape(content.strip())
            if _RAISED.fullmatch(inner):
                return inner.translate(_SUPERSCRIPT if kind == "sup" else _SUBSCRIPT)
            return content
        return ""

    def _close_brackets(self, width: int) -> int:
        """Let one or two closing square brackets close what they can; how many of them were used."""
        for frame in reversed(self.stack):
            if frame.kind == "external":
                self._close_to("external")
                return 1
            if frame.kind == "link" and width == 2:
                self._close_to("link")
                return 2
            if frame.kind in ("link", "template"):
                break
        return 0

    def _tag(self, match: re.Match[str], end: int) -> int:
        name = match["name"].lower()
        pieces = self.stack[-1].pieces
        closing, selfclosed = bool(match["slash"]), bool(match["selfclosed"])
        if name in _RAW_TAGS:
            if closing or selfclosed or name in self.never_closed:
                return end
            close = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(self.source, end)
            if close is None:
                self.never_closed.add(name)
                return end
            pieces.append(self._raw(name, self.source[end : close.start()]))
            return close.end()
        if name in _FRAMED_TAGS:
            if closing:
                self._close_to(name)
            elif not selfclosed:
                self._push(name)
        elif name == "li":
            pieces.append("\n* " if not closing else "")
        elif name in _BLOCK_TAGS:
            pieces.append("\n")
        return end

    def _raw(self, name: str, content: str) -> str:
        if name in _MATH_TAGS:
            formula = " ".join(content.split())
            return self.keep(f"${formula}$") if formula else ""
        if name not in _VERBATIM_TAGS:
            return ""
        if name == "nowiki":
            return self.keep(_entities(content))
        return "\n\n" + self.keep(_entities(content).strip("\n")) + "\n\n" if content.strip() else ""


def _entities(text: str) -> str:
    """Resolve HTML entities that end with a semicolon (others, as in ``&section=``, are no entities in wikitext)."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def _link_text(content: str, namespaces: Namespaces) -> str:
    target, bar, label = content.partition("|")
    target = target.strip()
    if target.startswith(":"):
        target = target[1:]
    else:
        written, colon, _ = target.partition(":")
        if colon:
            name = _prefix(written)
            if name in namespaces.hidden or _MEDIA_FILE.match(content):
                return ""
            if _INTERLANGUAGE.fullmatch(written) and name not in namespaces.all and name not in _NO_LANGUAGE:
                return ""
    return label if bar and label.strip() else target


def _template_text(content: str) -> str:
    name, *parameters = content.split("|")
    name = name.strip().replace("_", " ").lower()
    if name in _FIXED_TEXT:
        return _FIXED_TEXT[name]
    function, colon, _ = name.partition(":")
    if colon and function in _TEXT_PARAMETER:  # parser functions such as {{formatnum:1234}}
        return content.partition(":")[2].split("|")[0].strip()
    positional = [value.strip() for value in parameters if not _is_named(value)]
    if name in ("convert", "cvt") and (len(positional) > 3) and _ranged(positional):
        return " ".join(positional[:4])
    if name in _JOINED_PARAMETERS:
        between = _JOINED_PARAMETERS[name]
        return between.join(positional[:2] if between else positional)
    position = 1 if name.startswith("lang-") else _TEXT_PARAMETER.get(name)
    if position is None:
        return ""
    if not positional:  # {{quote|text=…}}, {{nowrap|1=…}}
        for value in parameters:
            key, _, text = value.partition("=")
            if key.strip().lower() in ("1", "text", "quote", "zitat", "texto", "texte"):
                return text.strip()
        return ""
    return positional[position if position < 0 else position - 1]


def _ranged(values: list[str]) -> bool:
    """Whether four values are a range (10, to, 20, km) or a measure in two units (5, ft, 9, in)."""
    return values[1] in ("to", "-", "–", "and", "or", "x", "by", "to(-)") or values[2][:1].isdecimal()


def _is_named(parameter: str) -> bool:
    name, equals, _ = parameter.partition("=")
    return bool(equals) and _PARAMETER_NAME.fullmatch(name.strip()) is not None


def _without_quotes(line: str) -> str:
    """Drop the quotes that mark bold and italics, and keep the apostrophes among them.

    As in MediaWiki, four quotes are an apostrophe before bold, more than five are apostrophes before five, and where
    both bold and italics are left open a triple after a one-letter word is an apostrophe before italics: l'''eau''.
    """
    runs = [len(match[0]) for match in _QUOTES.finditer(line)]
    bold = sum(run in (3, 4) or run >= 5 for run in runs)
    italic = sum(run == 2 or run >= 5 for run in runs)
    unbalanced = bold % 2 == 1 and italic % 2 == 1

    def replace(match: re.Match[str]) -> str:
        nonlocal unbalanced
        width = len(match[0])
        before = line[max(0, match.start() - 2) : match.start()]
        if width == 3 and unbalanced and before[-1:].isalpha() and not before[:-1].isalnum():
            unbalanced = False
            return "'"
        return "'" * (1 if width == 4 else max(0, width - 5))

    return _QUOTES.sub(replace, line)


def _variant(match: re.Match[str]) -> str:
    """The first form of a word that is given in several scripts (``-{zh-hans:计算机; zh-hant:電腦}-``)."""
    flags, bar, body = match[1].rpartition("|")
    if bar and flags.strip() in ("T", "H", "-", "D"):
        return ""
    first = body.split(";")[0]
    code, colon, word = first.partition(":")
    return word.strip() if colon and re.fullmatch(r"\s*[a-z]{2,3}(-[a-z]+)?\s*", code) else first.strip()


def _mend(line: str) -> str:
    """Close the holes that dropped constructs left: empty brackets, doubled spaces, spaces before full stops."""
    if "(" in line or "（" in line:
        line = _CLOSING_HOLE.sub("", _BRACKET_HOLE.sub(r"\1", _EMPTY_BRACKETS.sub("", line)))
    return _SPACE_BEFORE_STOP.sub("", _SPACES.sub(" ", line)).strip()


def _heading(line: str) -> tuple[int, str]:
    """Level (1 to 6) and title of a section heading; level 0 where the line is none."""
    if not line.startswith("="):
        return 0, ""
    line = line.rstrip()
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    title = line[level : len(line) - level].strip()
    return (level, title) if level and title else (0, "")


def _plain_line(line: str) -> str:
    """One line with list marks and quotes undone; empty where nothing is left to read."""
    marks = _LIST_MARKS.match(line)
    lead = ""
    if marks:
        line = line[marks.end() :]
        depth = min(sum(mark in "*#" for mark in marks[0]), _MAX_LIST_DEPTH)
        lead = "  " * (depth - 1) + "- " if depth else ""
    if line.startswith("----"):
        line = line.lstrip("-")
    if "''" in line:
        line = _without_quotes(line)
    text = _mend(line)
    return lead + text if text else ""


def to_text(source: str, namespaces: Namespaces | None = None) -> str:
    """The prose of a page: paragraphs parted by blank lines, section titles on lines of their own.

    Time grows linearly with the length of the source, whatever it holds.
    """
    reader = _Reader(source, namespaces or Namespaces())
    text = _SWITCH.sub("", reader.read())
    if "-{" in text:
        text = _VARIANT.sub(_variant, text)
    text = _entities(text).replace("\xa0", " ")
    blocks: list[tuple[int, str]] = []  # heading level, or 0 for text; an empty text is a blank line
    for line in text.split("\n"):
        level, title = _heading(line)
        if level:
            blocks.append((level, _plain_line(title)))
        else:
            blocks.append((0, _plain_line(line)))
    body = _laid_out(_without_empty_sections(blocks))
    return _MARK.sub(lambda match: reader.verbatim[int(match[1])], body)


def _without_empty_sections(blocks: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Leave out headings that nothing follows before the next heading of their own or a higher level."""
    kept: list[tuple[int, str]] = []
    following = 0  # level of the heading that comes next; 0: none does, the page ends
    text_follows = False
    for level, text in reversed(blocks):
        if level:
            if not text or not (text_follows or following > level):
                continue
            following, text_follows = level, False
        elif text:
            text_follows = True
        kept.append((level, text))
    kept.reverse()
    return kept


def _laid_out(blocks: list[tuple[int, str]]) -> str:
    lines: list[str] = []
    for level, text in blocks:
        if level:
            lines += ["", text, ""]
        else:
            lines.append(text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
