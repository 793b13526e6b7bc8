r"""Renders a paper's TeX as the prose that a reader sees, formulas kept as LaTeX between dollar signs.

The paper is one string here: inlined, without comments, macros written out. It is read once from left to right; braces
and environments are paired beforehand, so that what is dropped is stepped over and time grows linearly with the paper.

* Section titles, list items, captions and displayed formulas get lines of their own; everything else is paragraphs.
* Preamble and bibliography go; of figures and tables the captions stay; footnotes follow the paragraph they are in.
* Citations and references go, ``\cref{sec:x}`` leaves the kind ("Section"): their numbers are nowhere in the source.
* Unknown commands go and leave what stands in their braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.sources.latex import commands
from pipeline.sources.latex.layout import laid_out, one_line
from pipeline.sources.latex.macros import Expansion, paired_braces, take_definitions
from pipeline.sources.latex.source_text import MARK

_TOKEN = re.compile(
    r"""
      \\(?P<name>[A-Za-z@]+)(?P<star>\*?)
    | \\(?P<sign>.)
    | (?P<math>\$\$?)
    | (?P<brace>[{}])
    | (?P<tie>~)
    | (?P<quote>``|''|,,|`)
    | (?P<dash>---?)
    | (?P<cell>&)
    """,
    re.VERBOSE | re.DOTALL,
)
_ENVIRONMENT = re.compile(r"\\(begin|end)\s{0,3}\{([A-Za-z@]{1,40}\*?)\}")
_SPACE = re.compile(r"[ \t]*\n?[ \t]*")
_IN_FORMULA = re.compile(r"\\.|[{$]|\n[ \t]*\n", re.DOTALL)
_NOT_IN_FORMULA = re.compile(
    r"\\(?:label|tag\*?)\s?\{[^{}]{0,200}\}|\\(?:nonumber|notag|xspace|ensuremath|displaystyle)(?![A-Za-z])"
)
_BODY = re.compile(r"\\begin\s{0,3}\{document\}")
_END = re.compile(r"\\end\s{0,3}\{document\}|\\bye(?![A-Za-z])|\\endinput(?![A-Za-z])")
_TITLE = re.compile(r"\\(?:title|Title|icmltitle|chaptitle)(?![A-Za-z])")
_AUTHOR = re.compile(r"\\(?:author|authors|icmlauthor|Author)(?![A-Za-z])")
_THEOREM = re.compile(
    r"\\(?:newtheorem|defthm)\*?\s?\{([A-Za-z]{1,30})\*?\}(?:\[[^\[\]]{0,40}\])?\{([^{}\\]{1,40})\}(?:\{[^{}]{0,40}\})?"
)
_NOT_AN_AUTHOR = re.compile(
    r"\\(?:thanks|altaffilmark|altaffiltext|inst|affil|email|footnote|footnotemark|textsuperscript|orcid\w*|IEEE\w+|ref)\b"
)
_BETWEEN_AUTHORS = re.compile(r"\\and(?![A-Za-z])|\\And(?![A-Za-z])|\\AND(?![A-Za-z])|\\\\|\s{2,}and\s{1,}|[,;]\s")
_BIBLIOGRAPHY_ITEM = re.compile(
    r"\\bibitem\s{0,3}\[\s{0,3}\{{0,2}(?P<authors>[^\[\]()]{2,200}?)\}?\s{0,3}\(\{?(?P<year>\d{4}[a-z]?)\}?\)[^\[\]]{0,600}\]\s{0,3}%?\s{0,3}\{(?P<key>[^{}]{1,100})\}"
)
_LONGEST_OPTION = 400
_DEEPEST = 80


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper's text, and the title and authors that its source names ("" where none)."""

    text: str
    title: str = ""
    authors: str = ""


def to_paper(source: str, lifted: list[str], max_chars: int) -> Paper:
    """Render a paper from its inlined source; ``lifted`` holds the verbatim stretches that its marks stand for.

    ``max_chars`` bounds what macros may add.
    """
    kinds = {match[1]: match[2].strip() for match in _THEOREM.finditer(source)}
    source = _THEOREM.sub("", source)
    source, macros = take_definitions(source)
    source = Expansion(macros, min(max_chars, 4 * len(source) + 100_000)).expand(source)
    start = begin.end() if (begin := _BODY.search(source)) else 0
    end = _END.search(source, start)
    reader = _Reader(source, {**commands.THEOREMS, **kinds})
    title = reader.named(_TITLE)
    body = laid_out(reader.render(start, end.start() if end else len(source)), reader.footnotes)
    text = f"{title}\n\n{body}" if title and not body.startswith(title) else body
    return Paper(MARK.sub(lambda mark: lifted[int(mark[1])], text), title, reader.authors())


class _Reader:
    """One paper being read: where its braces and environments end, and the footnotes found."""

    def __init__(self, source: str, theorems: Mapping[str, str]) -> None:
        self.source = source
        self.footnotes: list[str] = []
        self._theorems = theorems
        self._braces = paired_braces(source)
        self._ends = _paired_environments(source)
        self._labels = _citation_labels(source)
        self._next: dict[str, tuple[int, int]] = {}
        self._handlers = {
            **dict.fromkeys(commands.SECTIONS, self._section),
            **dict.fromkeys(commands.RUN_IN, self._run_in),
            **dict.fromkeys(commands.CAPTIONS, self._section),
            **dict.fromkeys(commands.REFERENCES, self._reference),
            "ensuremath": self._ensuremath,
            "begin": self._begin,
            "item": self._item,
            "footnote": self._footnote,
            "footnotetext": self._footnote,
            "url": self._address,
            "path": self._address,
            "nolinkurl": self._address,
        }

    def named(self, what: re.Pattern[str]) -> str:
        """The argument of the first command that matches, on one line."""
        for match in what.finditer(self.source):
            place = self._after_options(match.end(), len(self.source))
            if place in self._braces:
                return one_line(self.render(place + 1, self._braces[place]))
        return ""

    def authors(self) -> str:
        """The names of the authors, separated by semicolons, as far as they can be told."""
        names: list[str] = []
        for match in _AUTHOR.finditer(self.source):
            place = self._after_options(match.end(), len(self.source))
            if place not in self._braces or len(names) > 500:
                continue
            written = self.source[place + 1 : self._braces[place]][:20_000]
            written = _NOT_AN_AUTHOR.sub(r"\\label", written)  # which goes with its argument
            for name in _BETWEEN_AUTHORS.split(written):
                inner = _Reader(name, {})
                shown = one_line(re.sub(r"\$[^$]*\$", "", inner.render(0, len(name)))).strip(" ,;*")
                if shown and len(shown) < 60 and any(letter.isalpha() for letter in shown):
                    names.append(shown.removeprefix("and "))
        return "; ".join(dict.fromkeys(names))

    def render(self, start: int, stop: int, depth: int = 0) -> str:
        """What stands from ``start`` to ``stop``; line breaks in it are as in the source, hard ones are U+001E."""
        if depth > _DEEPEST:
            return ""
        pieces: list[str] = []
        done = start
        while match := _TOKEN.search(self.source, done, stop):
            pieces.append(self.source[done : match.start()])
            text, done = self._token(match, stop, depth)
            pieces.append(text)
        pieces.append(self.source[done:stop])
        return "".join(pieces)

    def _token(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        """What a token leaves behind, and where reading goes on."""
        end = match.end()
        if name := match["name"]:
            if name in commands.ACCENTS:
                return self._accent(name, end, stop, depth)
            if handler := self._handlers.get(name):
                return handler(match, stop, depth)
            return self._command(name, end, stop, depth)
        if sign := match["sign"]:
            if sign in "([":
                return self._delimited(match, "\\)" if sign == "(" else "\\]", stop)
            if sign in commands.ACCENTS:
                return self._accent(sign, end, stop, depth)
            if sign == "\\":
                return "\x1e", self._after_options(end, stop)
            return commands.SYMBOLS.get(sign, ""), end
        if match["math"]:
            return self._dollars(match, stop)
        if match["tie"] or match["cell"]:
            return " ", end
        if quote := match["quote"]:
            return {"``": "“", "''": "”", ",,": ",,", "`": "'"}[quote], end
        if dash := match["dash"]:
            return "—" if len(dash) == 3 else "–", end
        return "", end

    # --- formulas

    def _dollars(self, match: re.Match[str], stop: int) -> tuple[str, int]:
        place = match.end()
        while found := _IN_FORMULA.search(self.source, place, stop):
            place = found.end()
            if found[0] == "{":
                place = min(self._braces.get(found.start(), place - 1) + 1, stop)
            elif found[0] == "$":
                formula = self.source[match.end() : found.start()]
                if len(match[0]) == 2:
                    double = self.source.startswith("$$", found.start())
                    return _displayed(f"$${_formula(formula)}$$", formula), place + double
                return _inline(formula), place
            elif found[0][0] == "\n":
                break
        return "", match.end()  # never closed: no formula

    def _delimited(self, match: re.Match[str], close: str, stop: int) -> tuple[str, int]:
        end = self._find(close, match.end())
        if not match.end() <= end < stop:
            return "", match.end()
        formula = self.source[match.end() : end]
        if close == "\\)":
            return _inline(formula), end + 2
        return _displayed(f"$${_formula(formula)}$$", formula), end + 2

    def _find(self, what: str, start: int) -> int:
        """Where ``what`` next occurs, or -1; what was found is remembered, so that hostile text is not searched twice."""
        since, found = self._next.get(what, (0, 0))
        if not since <= start <= found and not (found < 0 and since <= start):
            found = self.source.find(what, start)
            self._next[what] = (start, found)
        return found

    # --- commands

    def _command(self, name: str, end: int, stop: int, depth: int) -> tuple[str, int]:
        if name in commands.TEXT:
            # A space after the name ends it and is no text; the text of symbols such as a dash needs none.
            return commands.TEXT[name], self._after_name(end) if len(commands.TEXT[name]) == 1 else end
        if name in commands.DROPPED:
            place = end
            for _ in range(commands.DROPPED[name]):
                place = self._after_argument(self._after_options(place, stop), stop)
            return "", place
        if commands.CITATION.fullmatch(name):
            return self._citation(name, end, stop)
        for table, position in ((commands.KEPT_LAST, -1), (commands.KEPT_FIRST, 0)):
            if name in table:
                spans, place = self._arguments(end, table[name], stop)
                return (self.render(*spans[position], depth + 1) if spans else ""), place
        return "", self._after_options(end, stop) if end < stop and self.source[end] == "[" else end

    def _arguments(self, place: int, count: int, stop: int) -> tuple[list[tuple[int, int]], int]:
        """Where the insides of the next arguments in braces are, and the place behind them."""
        spans: list[tuple[int, int]] = []
        while len(spans) < count:
            begin = self._after_options(place, stop)
            close = self._braces.get(begin, stop)
            if close >= stop:
                break
            spans.append((begin + 1, close))
            place = close + 1
        return spans, place

    def _after_argument(self, place: int, stop: int) -> int:
        close = self._braces.get(place, stop)
        return close + 1 if close < stop else place

    def _after_name(self, place: int) -> int:
        return place + 1 if self.source.startswith(" ", place) else place

    def _after_options(self, place: int, stop: int) -> int:
        """The place behind a star, blanks and options in square brackets: where a braced argument may begin."""
        while True:
            space = _SPACE.match(self.source, place, stop)
            begin = space.end() if space else place
            if begin < stop and self.source[begin] == "*":
                place = begin + 1
                continue
            close = self._option_end(begin, stop) if begin < stop and self.source[begin] == "[" else -1
            if close < 0:
                return begin if begin < stop and self.source[begin] == "{" else place
            place = close + 1

    def _option_end(self, begin: int, stop: int) -> int:
        """Where the square bracket closes that opens here; -1 if it does not soon."""
        place = begin + 1
        limit = min(stop, begin + _LONGEST_OPTION)
        while place < limit:
            sign = self.source[place]
            if sign == "]":
                return place
            place = self._braces.get(place, place) + 1 if sign == "{" else place + 1
        return -1

    def _accent(self, accent: str, place: int, stop: int, depth: int) -> tuple[str, int]:
        space = _SPACE.match(self.source, place, stop)
        begin = space.end() if space else place
        close = self._braces.get(begin, stop)
        if close < stop:
            return commands.accented(accent, self.render(begin + 1, close, depth + 1)), close + 1
        if match := _TOKEN.match(self.source, begin, stop):
            if match["name"] in ("i", "j"):
                return commands.accented(accent, match["name"]), self._after_name(match.end())
            return "", place
        if accent.isalpha() and begin == place:
            return "", place
        return (commands.accented(accent, self.source[begin]), begin + 1) if begin < stop else ("", place)

    def _section(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        spans, place = self._arguments(match.end(), 2 if match["name"] == "captionof" else 1, stop)
        if not spans:
            return "", match.end()
        return f"\n\n{one_line(self.render(*spans[-1], depth + 1))}\n\n", place

    def _run_in(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        spans, place = self._arguments(match.end(), 1, stop)
        if not spans:
            return "", match.end()
        title = one_line(self.render(*spans[0], depth + 1))
        return f"\n\n{title}{'' if title.endswith(('.', ':', '?', '!')) else '.'} ", place

    def _reference(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        del depth
        spans, place = self._arguments(match.end(), 1, stop)
        if not spans:
            return "", match.end()
        labels = self.source[spans[0][0] : spans[0][1]].split(",")
        kinds = dict.fromkeys(commands.KINDS.get(label.strip().partition(":")[0].lower(), "") for label in labels)
        return " and ".join(filter(None, kinds)), place

    def _citation(self, name: str, end: int, stop: int) -> tuple[str, int]:
        """Authors that are part of the sentence are named, as the bibliography's own labels name them."""
        spans, place = self._arguments(end, 1, stop)
        if not spans or not commands.TEXTUAL_CITATION.fullmatch(name):
            return "", place
        labels = [self._labels.get(key.strip(), "") for key in self.source[slice(*spans[0])].split(",")]
        return "; ".join(filter(None, labels)), place

    def _ensuremath(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        del depth
        spans, place = self._arguments(match.end(), 1, stop)
        return (_inline(self.source[slice(*spans[0])]) if spans else ""), place

    def _item(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        place = match.end()
        space = _SPACE.match(self.source, place, stop)
        begin = space.end() if space else place
        close = self._option_end(begin, stop) if begin < stop and self.source[begin] == "[" else -1
        if close < 0:
            return "\x1e- ", place
        return f"\x1e- {self.render(begin + 1, close, depth + 1).strip()} ", close + 1

    def _footnote(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        spans, place = self._arguments(match.end(), 1, stop)
        if not spans:
            return "", match.end()
        self.footnotes.append(self.render(*spans[0], depth + 1))
        return f"\x1d{len(self.footnotes) - 1}\x1d", place

    def _address(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        del depth
        spans, place = self._arguments(match.end(), 1, stop)
        return (self.source[slice(*spans[0])].replace("\\", "").replace("~", "\u02dc") if spans else ""), place

    # --- environments

    def _begin(self, match: re.Match[str], stop: int, depth: int) -> tuple[str, int]:
        written = _ENVIRONMENT.match(self.source, match.start(), stop)
        if written is None:
            return "", match.end()
        name, begin = written[2], written.end()
        close, after = self._ends.get(match.start(), (stop, stop))
        if after > stop:
            close = after = stop
        if name in commands.HIDDEN:
            return "\n\n" if after < stop or close == stop else "", after
        if name in commands.DISPLAYED:
            formula = self.source[begin:close]
            if name in commands.UNWRAPPED:
                return _displayed(f"$${_formula(formula)}$$", formula), after
            return _displayed(f"\\begin{{{name}}} {_formula(formula)} \\end{{{name}}}", formula), after
        if name == "math":
            return _inline(self.source[begin:close]), after
        if name in commands.CAPTION_ONLY:
            return self._captions(begin, close, depth), after
        lead = ""
        if kind := self._theorems.get(name.rstrip("*")):
            option = self._option_end(begin, close) if self.source.startswith("[", begin) else -1
            named = f" ({one_line(self.render(begin + 1, option, depth + 1))})" if option >= 0 else ""
            lead, begin = f"{kind}{named}. ", option + 1 if option >= 0 else begin
        elif name not in commands.LISTS or self.source.startswith("[", begin):
            begin = self._after_options(begin, close)
            for _ in range(commands.ENVIRONMENT_ARGUMENTS.get(name, 0)):
                begin = self._after_argument(self._after_options(begin, close), close)
        return f"\n\n{lead}{self.render(begin, close, depth + 1).strip()}\n\n", after

    def _captions(self, start: int, stop: int, depth: int) -> str:
        found = []
        place = start
        while match := _CAPTION.search(self.source, place, stop):
            text, place = self._section(match, stop, depth + 1)
            place = max(place, match.end())
            found.append(text)
        return "".join(found) or "\n\n"


_CAPTION = re.compile(rf"\\(?P<name>{'|'.join(sorted(commands.CAPTIONS))})(?![A-Za-z])")


def _paired_environments(source: str) -> dict[int, tuple[int, int]]:
    r"""Where the ``\end`` of each ``\begin`` is, by the place of the latter; those without partner are left out."""
    pairs: dict[int, tuple[int, int]] = {}
    waiting: list[tuple[str, int]] = []
    open_now: dict[str, int] = {}
    for match in _ENVIRONMENT.finditer(source):
        name = match[2]
        if match[1] == "begin":
            waiting.append((name, match.start()))
            open_now[name] = open_now.get(name, 0) + 1
            continue
        while open_now.get(name):
            other, start = waiting.pop()
            open_now[other] -= 1
            if other == name:
                pairs[start] = (match.start(), match.end())
                break
    return pairs


def _citation_labels(source: str) -> dict[str, str]:
    """What natbib's ``\\bibitem[Weare et al.(2010)]{key}`` say of authors and years, by key."""
    labels = {}
    for match in _BIBLIOGRAPHY_ITEM.finditer(source):
        written = (
            match["authors"].replace("{", "").replace("}", "").replace("\\&", "&").replace("~", " ").replace("\\ ", " ")
        )
        if "\\" not in written and written.strip():
            labels[match["key"].strip()] = f"{' '.join(written.split())} ({match['year']})"
    return labels


def _formula(text: str) -> str:
    return " ".join(_NOT_IN_FORMULA.sub("", text).replace("\x1e", " ").split())


def _inline(text: str) -> str:
    formula = _formula(text)
    return f"${formula}$" if formula else ""


def _displayed(shown: str, formula: str) -> str:
    return f"\x1e{shown}\x1e" if formula.strip() else ""
