"""What HTML knows by name: elements with their parsing rules, and the attributes that a tree keeps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.extraction.html.names import name_table

_NAMES: Final = """
html head body title base link meta style script noscript template
section nav article aside h1 h2 h3 h4 h5 h6 hgroup header footer address main search
p hr pre blockquote ol ul menu li dl dt dd figure figcaption div dir center listing xmp plaintext
a em strong small s cite q dfn abbr acronym ruby rt rp rb rtc data time code var samp kbd sub sup
i b u mark bdi bdo span br wbr ins del font big tt strike nobr marquee
picture source img image iframe embed object applet param video audio track map area svg math canvas
table caption colgroup col tbody thead tfoot tr td th
form label input button select datalist optgroup option textarea output progress meter
fieldset legend details summary dialog slot keygen
noembed noframes frame frameset basefont bgsound
"""
TAGS: Final = ("#text", "#other", *_NAMES.split())
"""Names of elements by tag number. 0 is a text node, 1 an element that HTML does not know."""

_KEPT: Final = """
href src alt datetime content property name rel lang dir type itemprop value title colspan rowspan
http-equiv charset class id role itemtype srcset data-src start
"""
ATTRIBUTES: Final = ("", *_KEPT.split(), "#text")
"""Attributes of which the tree keeps where their values stand. ``#text`` is what a script holds."""

_TELLING: Final = """
class id role itemprop itemtype property aria-label aria-roledescription
data-testid data-test data-component data-module data-type data-name data-role data-qa data-block
"""
HINT_ATTRIBUTES: Final = frozenset(_TELLING.split())
"""Attributes whose words tell what an element is for."""

# Rules of the parsing standard (https://html.spec.whatwg.org/multipage/parsing.html), one bit each.
VOID: Final = 1 << 0  # has neither content nor end tag
SPECIAL: Final = 1 << 1  # 13.2.4.2; an end tag of an ordinary element does not reach past it
SCOPE: Final = 1 << 2  # 13.2.4.2, "has an element in scope": an end tag does not reach past it
CLOSES_P: Final = 1 << 3  # its start tag ends an open p
FORMATTING: Final = 1 << 4  # 13.2.4.3; its end tag may come while blocks inside it are open
HEADING: Final = 1 << 5
METADATA: Final = 1 << 6  # begins no body
MUTED: Final = 1 << 7  # its text is not shown
NO_TEXT: Final = 1 << 8  # white space directly inside it means nothing
RAW: Final = 1 << 9  # up to its end tag there is no markup; the text is dropped
RAW_TEXT: Final = 1 << 10  # the same, but the text is kept
REFERENCES: Final = 1 << 11  # the same, the text is kept and its character references are resolved
FOREIGN: Final = 1 << 12  # what is in it is another language's markup
BREAKS_OUT: Final = 1 << 13  # 13.2.6.5: its tags end foreign markup
TABLE_PART: Final = 1 << 14
LIST_SCOPE: Final = 1 << 15  # a new list item does not end those outside of it

_RULES: Final = {
    VOID: "base link meta br hr wbr img image source embed param track area col input keygen frame basefont bgsound",
    SPECIAL: "address applet area article aside base basefont bgsound blockquote body br button caption center col "
    "colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 "
    "head header hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed noframes "
    "noscript object ol p param plaintext pre script search section select source style summary table tbody td template "
    "textarea tfoot th thead title tr track ul wbr xmp",
    SCOPE: "applet caption html table td th marquee object template select",
    CLOSES_P: "address article aside blockquote center details dialog dir div dl dt dd fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search section summary table "
    "ul xmp",
    FORMATTING: "a b big code em font i nobr s small strike strong tt u",
    HEADING: "h1 h2 h3 h4 h5 h6",
    METADATA: "base basefont bgsound link meta style script noscript template title",
    MUTED: "template object applet video audio canvas",
    NO_TEXT: "html head table caption colgroup tbody thead tfoot tr ul ol menu dl select optgroup",
    RAW: "script style iframe noembed noframes noscript",
    RAW_TEXT: "xmp plaintext",
    REFERENCES: "title textarea",
    FOREIGN: "svg math",
    BREAKS_OUT: "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing "
    "menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var",
    TABLE_PART: "caption colgroup col tbody thead tfoot tr td th",
    LIST_SCOPE: "html table td th caption object template applet marquee select ul ol menu dir dl button section article "
    "aside main nav header footer form fieldset figure blockquote center details",
}


def tag(name: str) -> int:
    """The number of an element's name in ``TAGS``. Raises ValueError for a name that is not there."""
    return TAGS.index(name)


def numbers(names: str) -> tuple[int, ...]:
    """The numbers of several names, as ``tag`` has them."""
    return tuple(tag(name) for name in names.split())


def _rules() -> NDArray[np.uint16]:
    rules = np.zeros(len(TAGS), np.uint16)
    for bit, names in _RULES.items():
        for name in names.split():
            rules[tag(name)] |= bit
    return rules


RULES: Final = _rules()
"""The rules of an element, uint16, by tag number."""

TAG_TABLE: Final = name_table({name.encode(): number for number, name in enumerate(TAGS) if number > 1})

IS_HINT: Final = 1 << 8
IS_HIDDEN: Final = 1 << 9
IS_ARIA_HIDDEN: Final = 1 << 10
IS_STYLE: Final = 1 << 11


def _attribute_values() -> dict[bytes, int]:
    values = {name.encode(): number for number, name in enumerate(ATTRIBUTES) if name and name != "#text"}
    for name in HINT_ATTRIBUTES:
        values[name.encode()] = values.get(name.encode(), 0) | IS_HINT
    values[b"hidden"] = IS_HIDDEN
    values[b"aria-hidden"] = IS_ARIA_HIDDEN
    values[b"style"] = IS_STYLE
    return values


ATTRIBUTE_TABLE: Final = name_table(_attribute_values())
"""For an attribute's name: its number in ``ATTRIBUTES`` (0 where only hints are read from it) and the bits above."""
