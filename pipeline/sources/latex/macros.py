r"""Finds a paper's own macros (``\newcommand``, ``\def``) and writes out what they stand for, within bounds.

RedPajama writes out macros without arguments; those with plain arguments are no harder once braces are paired, and
without them ``\Fig{setup}`` would read "setup". What is more than text with holes (conditions, tests of the next token,
delimited arguments) stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEFINITION = re.compile(
    r"""\\(?:
          (?P<new>(?:re)?newcommand|providecommand|DeclareRobustCommand|newrobustcmd|newcommandx)\b\*?\s*\{?\s*\\(?P<name>[A-Za-z@]+|.)\s*\}?
        | (?P<operator>DeclareMathOperator)\b\*?\s*\{?\s*\\(?P<operation>[A-Za-z@]+)\s*\}?
        | (?:(?:long|global|outer|protected)\s*\\)*(?P<def>[egx]?def)(?![A-Za-z])\s*\\(?P<defined>[A-Za-z@]+|.)(?P<pattern>[^{}\n]{0,80})(?=\{)
        | (?P<let>let)(?![A-Za-z])\s*\\(?:[A-Za-z@]+|.)\s*=?\s*(?:\\[A-Za-z@]+|\\.|\S)
        | (?P<environment>(?:re)?newenvironment)\b\*?\s*\{[^{}]*\}
        )""",
    re.VERBOSE,
)
_COUNT = re.compile(r"\s*\[(\d)\]")
_DEFAULT = re.compile(r"\s*\[((?:[^\[\]{}]|\{[^{}]*\}){0,200})\]")
_SPACE = re.compile(r"\s*")
_CONTROL = re.compile(r"\\(?:([A-Za-z@]+)|(.))", re.DOTALL)
_TOO_CLEVER = re.compile(
    r"\\(?:if|else\b|fi\b|@|csname|futurelet|expandafter|catcode|[egx]?def\b|let\b|begingroup|relax|loop|the\b"
    r"|mathchoice|raisebox|[hv]box|m?kern|[rl]lap|vcenter|newcommand|advance|setcounter|begin\{(?:tikz|picture))"
)
_HOLE = re.compile(r"#([1-9])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_STANDARD = frozenset(
    {
        "section",
        "subsection",
        "subsubsection",
        "paragraph",
        "chapter",
        "part",
        "title",
        "author",
        "date",
        "abstract",
        "cite",
        "ref",
        "label",
        "input",
        "include",
        "item",
        "begin",
        "end",
        "caption",
        "footnote",
        "documentclass",
        "maketitle",
        "emph",
        "textbf",
        "textit",
        "thanks",
    }
)
"""What papers redefine for the looks of it; we know better what these mean."""

_LONGEST_BODY = 2000
_MOST_MACROS = 5000
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Macro:
    """What stands for the macro; ``#1`` to ``#9`` in it are arguments, the first with a ``default`` if it has one."""

    body: str
    arguments: int = 0
    default: str | None = None


def paired_braces(text: str) -> dict[int, int]:
    """Where each closing brace is, by the place of its opening one; braces without partner are left out."""
    pairs: dict[int, int] = {}
    waiting: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            waiting.append(match.start())
        elif match[0] == "}" and waiting:
            pairs[waiting.pop()] = match.start()
    return pairs


def take_definitions(text: str) -> tuple[str, dict[str, Macro]]:
    """The text without the definitions in it, and the macros that can be written out, by name."""
    pairs = paired_braces(text)
    macros: dict[str, Macro] = {}
    pieces: list[str] = []
    done = 0
    for match in _DEFINITION.finditer(text):
        if match.start() < done:
            continue
        end, name, macro = _definition(text, match, pairs)
        pieces.append(text[done : match.start()])
        done = end
        if macro is not None and name not in _STANDARD and len(macros) < _MOST_MACROS:
            macros[name] = macro
    pieces.append(text[done:])
    return "".join(pieces), macros


def _definition(text: str, match: re.Match[str], pairs: dict[int, int]) -> tuple[int, str, Macro | None]:
    """Where the definition ends, what it defines, and the macro unless it is too clever for us."""
    place = match.end()
    if match["let"]:
        return place, "", None
    arguments, default = 0, None
    if match["new"] or match["environment"]:
        if count := _COUNT.match(text, place):
            arguments, place = int(count[1]), count.end()
            if given := _DEFAULT.match(text, place):
                default, place = given[1], given.end()
    elif match["def"]:
        pattern = match["pattern"].strip()
        arguments = len(pattern) // 2
        if pattern != "".join(f"#{number}" for number in range(1, arguments + 1)):
            arguments = -1  # delimited arguments
    body, place = _braced(text, place, pairs)
    if body is None:
        return match.end(), "", None
    if match["environment"]:
        return _braced(text, place, pairs)[1], "", None
    if match["operator"]:
        return place, match["operation"], Macro(f"\\operatorname{{{body}}}")
    name = match["name"] or match["defined"] or ""
    if arguments < 0 or not name[0].isalpha() or len(body) > _LONGEST_BODY or _TOO_CLEVER.search(body):
        return place, "", None
    return place, name, Macro(body.strip(), arguments, default)


def _braced(text: str, place: int, pairs: dict[int, int]) -> tuple[str | None, int]:
    """What stands in the braces that begin here, and the place behind them; None where none begin."""
    space = _SPACE.match(text, place)
    start = space.end() if space else place
    end = pairs.get(start)
    return (None, place) if end is None else (text[start + 1 : end], end + 1)


class Expansion:
    """Writes macros out. ``room`` bounds the characters made; when it is used up the rest stays as written."""

    def __init__(self, macros: dict[str, Macro], room: int) -> None:
        self._macros = macros
        self._room = room

    def expand(self, text: str, depth: int = 0) -> str:
        """The text with every macro in it written out, and those in what they stand for."""
        pairs: dict[int, int] | None = None
        pieces: list[str] = []
        done = 0
        for match in _CONTROL.finditer(text):
            macro = self._macros.get(match[1]) if match[1] else None
            if macro is None or match.start() < done or self._room <= 0 or depth >= _DEEPEST:
                continue
            if macro.arguments and pairs is None:
                pairs = paired_braces(text)
            given, end = _arguments(text, match.end(), macro, pairs or {})
            if given is None:
                continue
            body = _filled(macro.body, given)
            self._room -= len(body) + 16
            pieces.append(text[done : match.start()])
            made = self.expand(body, depth + 1)
            if _ends_with_name(made) and text[end : end + 1].isalpha():
                made += " "
            pieces.append(made)
            done = end
        if not pieces:
            return text
        pieces.append(text[done:])
        return "".join(pieces)


def _filled(body: str, given: list[str]) -> str:
    """The body with the arguments in its holes."""
    return _HOLE.sub(lambda hole: given[int(hole[1]) - 1] if int(hole[1]) <= len(given) else "", body)


def _ends_with_name(text: str) -> bool:
    """Whether the text ends in a control word, which a following letter would change."""
    at = text.rfind("\\", len(text) - 40 if len(text) > 40 else 0)
    return at >= 0 and text[at + 1 :].isalpha()


def _arguments(text: str, place: int, macro: Macro, pairs: dict[int, int]) -> tuple[list[str] | None, int]:
    """The arguments given, and the place behind them; None where some are missing."""
    if not macro.arguments:
        return [], place  # TeX would eat the space that follows; who writes one wants one, and loads xspace
    given: list[str] = []
    if macro.default is not None:
        optional = _DEFAULT.match(text, place)
        given.append(optional[1] if optional else macro.default)
        place = optional.end() if optional else place
    while len(given) < macro.arguments:
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        if place in pairs:
            given.append(text[place + 1 : pairs[place]])
            place = pairs[place] + 1
        elif token := _CONTROL.match(text, place):
            given.append(token[0])
            place = token.end()
        elif place < len(text) and text[place] not in "{}":
            given.append(text[place])
            place += 1
        else:
            return None, place
    return given, place
