"""Cuts HTML into texts, start tags and end tags: one pass over its bytes, whatever they are.

Follows the tokenization of the HTML standard (https://html.spec.whatwg.org/multipage/parsing.html#tokenization).
Comments, doctypes, processing instructions and what stands inside SVG and MathML give no tokens.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.hints import ARIA_HIDDEN, HIDDEN, WORD_TABLE, style_hides, words_hints
from pipeline.extraction.html.markup import (
    ATTRIBUTE_TABLE,
    ATTRIBUTES,
    BREAKS_OUT,
    FOREIGN,
    IS_ARIA_HIDDEN,
    IS_HIDDEN,
    IS_HINT,
    IS_STYLE,
    RAW,
    RAW_TEXT,
    REFERENCES,
    RULES,
    TAG_TABLE,
    tag,
)
from pipeline.extraction.html.names import HASH_PRIME, HASH_START, find

Array = NDArray[Any]

TEXT: Final = 0
"""Kind of a token: text in which character references are to be resolved."""
VERBATIM: Final = 1
"""Kind of a token: text in which they are not."""
START: Final = 2
END: Final = 3

_SCRIPT: Final = tag("script")
_PLAINTEXT: Final = tag("plaintext")
_SVG_NAMES: Final = (tag("a"), tag("style"), tag("script"), tag("title"))
_CONTENTS: Final = ATTRIBUTES.index("#text")


class Tokens(NamedTuple):
    """The tokens of a page in order, and the attributes of its start tags in order."""

    kinds: Array
    """uint8[tokens]: TEXT, VERBATIM, START or END."""
    tags: Array
    """uint8[tokens]: number of the element's name in TAGS."""
    names: Array
    """uint32[tokens]: a hash of the element's name, which tells those apart that TAGS has not."""
    starts: Array
    """int32[tokens]: where the token begins in the source."""
    stops: Array
    """int32[tokens]: where it ends in the source."""
    hints: Array
    """uint64[tokens]: the groups of HINTS of a start tag."""
    attribute_tokens: Array
    """int32[attributes]: the token that the attribute belongs to, ascending."""
    attribute_names: Array
    """uint8[attributes]: its number in ATTRIBUTES."""
    attribute_starts: Array
    """int32[attributes]: where its value begins in the source, without quotation marks."""
    attribute_stops: Array
    """int32[attributes]: where its value ends."""


def tokenize(html: Array, scripting: bool = True) -> Tokens:
    """The tokens of a page in UTF-8 (or any bytes, uint8). With ``scripting``, as in a browser, noscript holds no markup."""
    rules = RULES
    if not scripting:
        rules = RULES.copy()
        rules[tag("noscript")] &= ~np.uint16(RAW)
    return Tokens(
        *_tokenize(
            html, rules, TAG_TABLE.keys, TAG_TABLE.values, ATTRIBUTE_TABLE.keys, ATTRIBUTE_TABLE.values, *WORD_TABLE
        )
    )


@njit(cache=True)
def _tokenize(
    html: Array,
    rules: Array,
    tag_keys: Array,
    tag_values: Array,
    attribute_keys: Array,
    attribute_values: Array,
    word_keys: Array,
    word_values: Array,
) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array, Array]:
    size = len(html)
    most = 3  # a less-than sign gives three tokens at most: a text before it, and a start and an end
    most_attributes = 1
    for byte in html:
        most += 3 * (byte == 60)
        most_attributes += (byte == 61) + (byte == 60)
    kinds = np.empty(most, np.uint8)
    tags = np.empty(most, np.uint8)
    names = np.empty(most, np.uint32)
    starts = np.empty(most, np.int32)
    stops = np.empty(most, np.int32)
    hints = np.empty(most, np.uint64)
    attribute_tokens = np.empty(most_attributes, np.int32)
    attribute_names = np.empty(most_attributes, np.uint8)
    attribute_starts = np.empty(most_attributes, np.int32)
    attribute_stops = np.empty(most_attributes, np.int32)
    count = 0
    attributes = 0
    foreign = 0  # the tag of the svg or math that is open
    foreign_depth = 0
    at = 0
    while at < size:
        # Text, up to the next markup.
        begin = at
        following = 0
        while at < size:
            if html[at] == 60 and at + 1 < size:
                following = html[at + 1]
                if 97 <= following | 32 <= 122 or following == 47 or following == 33 or following == 63:
                    break
            at += 1
        if at > begin and foreign == 0:
            kinds[count] = TEXT
            tags[count] = 0
            starts[count] = begin
            stops[count] = at
            count += 1
        if at >= size:
            break

        # What is no tag: comments, doctypes, CDATA, processing instructions.
        token_start = at
        ends = following == 47
        if following == 33 and at + 3 < size and html[at + 2] == 45 and html[at + 3] == 45:
            at += 4
            # "-->" and "--!>"; the dashes may be those of the beginning
            while at < size:
                if html[at] == 62:
                    if html[at - 1] == 45 and html[at - 2] == 45:
                        break
                    if html[at - 1] == 33 and html[at - 2] == 45 and html[at - 3] == 45 and at >= token_start + 7:
                        break
                at += 1
            at += 1
            continue
        if foreign and following == 33 and at + 8 < size and html[at + 2] == 91 and html[at + 8] == 91:
            at += 9
            while at < size and not (html[at] == 62 and html[at - 1] == 93 and html[at - 2] == 93):
                at += 1
            at += 1
            continue
        if ends and at + 2 >= size:
            break
        if not 97 <= following | 32 <= 122 and not (ends and 97 <= html[at + 2] | 32 <= 122):
            while at < size and html[at] != 62:
                at += 1
            at += 1
            continue

        # A tag: its name,
        at += 2 if ends else 1
        name_start = at
        key = HASH_START
        while at < size:
            byte = html[at]
            if byte <= 32 or byte == 47 or byte == 62:
                break
            if 65 <= byte <= 90:
                byte |= 32
            key = (key ^ np.uint64(byte)) * HASH_PRIME
            at += 1
        name_stop = at
        element = max(1, int(np.int64(find(tag_keys, tag_values, key))))
        rule = rules[element]

        # and its attributes.
        hint = np.uint64(0)
        attributes_before = attributes
        closes_itself = False
        whole = False
        while at < size:
            byte = html[at]
            if byte == 62:
                at += 1
                whole = True
                break
            if byte <= 32 or byte == 47:
                closes_itself = byte == 47
                at += 1
                continue
            closes_itself = False
            attribute_key = HASH_START
            first = at
            while at < size:
                byte = html[at]
                if byte <= 32 or byte == 47 or byte == 62 or (byte == 61 and at > first):
                    break
                if 65 <= byte <= 90:
                    byte |= 32
                attribute_key = (attribute_key ^ np.uint64(byte)) * HASH_PRIME
                at += 1
            after_name = at
            while at < size and html[at] <= 32:
                at += 1
            value_start = value_stop = at
            if at < size and html[at] == 61:
                at += 1
                while at < size and html[at] <= 32:
                    at += 1
                if at < size and (html[at] == 34 or html[at] == 39):
                    quote = html[at]
                    at += 1
                    value_start = at
                    while at < size and html[at] != quote:
                        at += 1
                    value_stop = at
                    at += 1
                else:
                    value_start = at
                    while at < size and html[at] > 32 and html[at] != 62:
                        at += 1
                    value_stop = at
            else:
                at = after_name
                value_start = value_stop = at
            if ends:
                continue
            known = int(np.int64(find(attribute_keys, attribute_values, attribute_key)))
            if known == 0:
                continue
            if known & 255 and value_stop > value_start:
                attribute_tokens[attributes] = count
                attribute_names[attributes] = known & 255
                attribute_starts[attributes] = value_start
                attribute_stops[attributes] = value_stop
                attributes += 1
            if known & IS_HINT:
                hint |= words_hints(html, value_start, value_stop, word_keys, word_values)
            elif known & IS_STYLE:
                if style_hides(html, value_start, value_stop):
                    hint |= HIDDEN
            elif known & IS_HIDDEN:
                hint |= HIDDEN
            elif known & IS_ARIA_HIDDEN and value_stop - value_start == 4 and html[value_start] | 32 == 116:  # true
                hint |= ARIA_HIDDEN
        if not whole:
            attributes = attributes_before
            break  # the page ends inside a tag, which then is none

        # Inside SVG and MathML nothing counts but what ends them.
        if foreign:
            if element == foreign:
                foreign_depth += -1 if ends else 1 - closes_itself
                attributes = attributes_before
                if foreign_depth > 0:
                    continue
            elif ends:
                if element == 1 or rule & FOREIGN or element in _SVG_NAMES:
                    continue
            elif not rule & BREAKS_OUT:
                attributes = attributes_before
                continue
            kinds[count] = END
            tags[count] = foreign
            starts[count] = stops[count] = token_start
            count += 1
            closed = foreign
            foreign = 0
            if element == closed:
                continue
            for one in range(attributes_before, attributes):
                attribute_tokens[one] = count

        kinds[count] = END if ends else START
        tags[count] = element
        names[count] = key ^ (key >> np.uint64(32))
        starts[count] = token_start
        stops[count] = at
        hints[count] = hint
        count += 1
        if ends:
            continue
        if rule & FOREIGN or element == 1:
            if closes_itself:
                kinds[count] = END
                tags[count] = element
                names[count] = names[count - 1]
                starts[count] = stops[count] = at
                count += 1
            elif rule & FOREIGN:
                foreign = element
                foreign_depth = 1
        elif rule & (RAW | RAW_TEXT | REFERENCES):
            # Up to the end tag there is no markup. A script may hold "<!-- <script> </script> -->".
            begin = at
            length = name_stop - name_start
            commented = 0
            while at < size:
                if html[at] == 60 and at + 3 < size:
                    if element == _SCRIPT and html[at + 1] == 33 and html[at + 2] == 45 and html[at + 3] == 45:
                        commented = max(1, commented)
                    slash = html[at + 1] == 47
                    first = at + 2 if slash else at + 1
                    if (slash or commented) and first + length < size and element != _PLAINTEXT:
                        after = html[first + length]
                        same = after <= 32 or after == 47 or after == 62
                        for k in range(length):
                            if not same:
                                break
                            same = html[first + k] | 32 == html[name_start + k] | 32
                        if same and slash and commented < 2:
                            break
                        if same and commented:
                            commented = 1 if slash else 2
                elif commented and html[at] == 62 and html[at - 1] == 45 and html[at - 2] == 45:
                    commented = 0
                at += 1
            if rule & (RAW_TEXT | REFERENCES):
                kinds[count] = TEXT if rule & REFERENCES else VERBATIM
                tags[count] = 0
                starts[count] = begin
                stops[count] = at
                count += 1
            elif element == _SCRIPT and at > begin:
                attribute_tokens[attributes] = count - 1
                attribute_names[attributes] = _CONTENTS
                attribute_starts[attributes] = begin
                attribute_stops[attributes] = at
                attributes += 1
    return (
        kinds[:count],
        tags[:count],
        names[:count],
        starts[:count],
        stops[:count],
        hints[:count],
        attribute_tokens[:attributes],
        attribute_names[:attributes],
        attribute_starts[:attributes],
        attribute_stops[:attributes],
    )
