"""Names the licence of a file of source code: from an SPDX line in it, or from the licence file of its folder.

A licence text is told by phrases that it has and its relatives have not, after punctuation, case and line breaks are
taken away: so copyright lines, other indentation and small edits do no harm. The names are SPDX's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LICENCE_FILE = re.compile(
    r"(?:mit|apache|bsd|gpl|lgpl|agpl|mpl)?[-_.]?(?:un)?licen[cs]es?(?:[-_.](?:mit|apache|bsd|gpl|lgpl|agpl|mpl|isc|cc0|zlib|2\.0|[0-9]))*"
    r"(?:\.(?:txt|md|rst|html))?|copying(?:\.(?:lib|lesser|txt|md|[0-9]))?",
    re.IGNORECASE,
)
_SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]{0,8}([A-Za-z0-9.+() -]{2,200})")
_SPDX_CHARACTERS = 8_000
_WORDS = re.compile(r"[a-z0-9]+")
_MAX_TEXT = 200_000
"""Characters of a licence file that are looked at; the longest licence has 35,000."""


@dataclass(frozen=True, slots=True)
class _Licence:
    id: str
    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    words: int = 0
    """Short licences are built into longer ones of other names; a text with more words than this is none. 0: any."""


_MIT = "permission is hereby granted free of charge to any person obtaining a copy"
_MIT_NOTICE = "the above copyright notice and this permission notice"
_BSD = "redistributions of source code must retain the above copyright notice"
_BSD_BINARY = "redistributions in binary form must reproduce the above copyright notice"
_ENDORSE = "to endorse or promote products derived from this software without specific prior written permission"
_ISC = "permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted"
_ISC_NOTICE = "provided that the above copyright notice and this permission notice appear in all copies"
_ZLIB = "the origin of this software must not be misrepresented"
_GNU = "gnu general public license"
_LESSER = "gnu lesser general public license"

_LICENCES = (
    _Licence("Apache-2.0", ("apache license version 2 0 january 2004", "grant of patent license")),
    _Licence(
        "Apache-2.0", ("licensed under the apache license version 2 0", "you may not use this file except in compliance")
    ),
    _Licence("Apache-1.1", ("this product includes software developed by the apache software foundation", _BSD)),
    _Licence("AGPL-3.0", ("gnu affero general public license version 3 19 november 2007",)),
    _Licence("LGPL-3.0", (f"{_LESSER} version 3 29 june 2007",)),
    _Licence("LGPL-2.1", (f"{_LESSER} version 2 1 february 1999",)),
    _Licence("LGPL-2.0", ("gnu library general public license version 2 june 1991",)),
    _Licence("GPL-3.0", (f"{_GNU} version 3 29 june 2007",)),
    _Licence("GPL-2.0", (f"{_GNU} version 2 june 1991",)),
    _Licence("GPL-1.0", (f"{_GNU} version 1 february 1989",)),
    _Licence("MPL-2.0", ("mozilla public license version 2 0", "1 definitions 1 1 contributor")),
    _Licence("MPL-1.1", ("mozilla public license version 1 1", "1 definitions")),
    _Licence("EPL-2.0", ("eclipse public license v 2 0", "the accompanying program is provided under the terms")),
    _Licence("EPL-1.0", ("eclipse public license v 1 0", "the accompanying program is provided under the terms")),
    _Licence("CDDL-1.0", ("common development and distribution license cddl version 1 0",)),
    _Licence("CPL-1.0", ("common public license version 1 0", "the accompanying program is provided")),
    _Licence("EUPL-1.2", ("european union public licence v 1 2",)),
    _Licence("EUPL-1.1", ("european union public licence v 1 1",)),
    _Licence("CC0-1.0", ("cc0 1 0 universal", "statement of purpose")),
    _Licence("CC-BY-SA-4.0", ("creative commons attribution sharealike 4 0 international public license",)),
    _Licence("CC-BY-NC-4.0", ("creative commons attribution noncommercial 4 0 international public license",)),
    _Licence("CC-BY-4.0", ("creative commons attribution 4 0 international public license",)),
    _Licence("CC-BY-SA-3.0", ("attribution sharealike 3 0", "the work as defined below is provided under the terms")),
    _Licence("CC-BY-3.0", ("attribution 3 0", "the work as defined below is provided under the terms"), ("sharealike",)),
    _Licence("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    _Licence("WTFPL", ("do what the fuck you want to public license",)),
    _Licence("BSL-1.0", ("boost software license version 1 0", "machine executable object code")),
    _Licence("Artistic-2.0", ("the artistic license 2 0", "package means")),
    _Licence("Artistic-1.0", ("the artistic license", "freely available"), ("2 0 copyright", "openldap")),
    _Licence("Zlib", (_ZLIB, "altered source versions must be"), ("must reproduce", "documentation is required"), 250),
    _Licence("NCSA", (_MIT, "redistributions of source code must retain", "to deal with the software")),
    _Licence("UPL-1.0", ("universal permissive license", "larger works")),
    _Licence("MS-PL", ("microsoft public license ms pl",)),
    _Licence("Python-2.0", ("python software foundation license version 2",)),
    _Licence("PostgreSQL", ("documentation for any purpose without fee and without a written agreement is hereby granted",)),
    _Licence("OFL-1.1", ("sil open font license version 1 1",)),
    _Licence("BSD-4-Clause", (_BSD, _BSD_BINARY, "must display the following acknowledgement"), words=450),
    _Licence("BSD-3-Clause-Clear", (_BSD, _BSD_BINARY, "no express or implied licenses to any party s patent rights"), words=450),
    _Licence("BSD-3-Clause", (_BSD, _BSD_BINARY, _ENDORSE), words=400),
    _Licence("BSD-2-Clause", (_BSD, _BSD_BINARY), ("endorse or promote", "neither the name", "acknowledg"), words=330),
    _Licence("0BSD", (_ISC,), (_ISC_NOTICE,), 200),
    _Licence("ISC", (_ISC, _ISC_NOTICE), ("advertising",), 250),
    _Licence("ISC", (_ISC.replace("and or distribute", "and distribute"), _ISC_NOTICE), ("advertising",), 250),
    _Licence("JSON", (_MIT, "for good not evil")),
    _Licence("X11", (_MIT, _MIT_NOTICE, "shall not be used in advertising or otherwise to promote the sale"), words=400),
    _Licence("MIT", (_MIT, _MIT_NOTICE), ("advertising", "not evil"), 450),
    _Licence("MIT-0", (_MIT, "the software is provided as is"), ("notice shall be included", "notice", "provided that"), 250),
)  # fmt: skip
"""The first that matches names the text: the stricter of relatives come before the others."""


def is_licence_file(name: str) -> bool:
    """Whether a file's name (without its folder) is one that licences are kept under: LICENSE, COPYING, LICENSE-MIT.txt."""
    return _LICENCE_FILE.fullmatch(name) is not None


def licence_of_text(text: str) -> str:
    """The SPDX identifier of a licence text; "" if it is unknown, or holds several texts."""
    words = " ".join(_WORDS.findall(text[:_MAX_TEXT].lower()))
    count = words.count(" ") + 1
    found = next((licence.id for licence in _LICENCES if _matches(licence, words, count)), "")
    return found or licence_of_line(text)


def _matches(licence: _Licence, words: str, count: int) -> bool:
    if licence.words and count > licence.words:
        return False
    return all(phrase in words for phrase in licence.has) and not any(phrase in words for phrase in licence.lacks)


def licence_of_line(text: str) -> str:
    """What an ``SPDX-License-Identifier:`` line in the beginning of a file says; "" where there is none."""
    found = _SPDX_LINE.search(text, 0, _SPDX_CHARACTERS)
    return " ".join(found[1].split()).removesuffix("-") if found else ""


def allows(expression: str, kept: frozenset[str]) -> bool:
    """Whether one may choose licences that are all kept: ``MIT OR GPL-2.0`` is allowed by MIT, ``MIT AND GPL-2.0`` by both.

    ``GPL-2.0+``, ``GPL-2.0-only`` and ``GPL-2.0-or-later`` count as ``GPL-2.0``; exceptions (``WITH …``) are ignored.
    """
    choices = re.split(r"\s+OR\s+", re.sub(r"\s+WITH\s+\S+", "", expression.replace("(", " ").replace(")", " ")))
    return any({_plain(one) for one in re.split(r"\s+AND\s+", choice)} <= kept for choice in choices)


def _plain(identifier: str) -> str:
    return identifier.strip().removesuffix("+").removesuffix("-only").removesuffix("-or-later")
