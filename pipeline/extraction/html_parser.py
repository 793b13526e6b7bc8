"""Parses HTML into a ``Tree``: in linear time and bounded memory, whatever the bytes are.

What the tree construction of the HTML standard (https://html.spec.whatwg.org/multipage/parsing.html#tree-construction)
does for the pages there are, without what makes it cubic: formatting elements that are closed while blocks inside them
are open stay around these blocks and are not opened again; what stands between the cells of a table stays there.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.character_references import REFERENCE_TABLE, copy_text
from pipeline.extraction.html_tokens import END, START, TEXT, VERBATIM, tokenize
from pipeline.extraction.markup import (
    CLOSES_P,
    FORMATTING,
    HEADING,
    LIST_SCOPE,
    METADATA,
    MUTED,
    NO_TEXT,
    RULES,
    SCOPE,
    SPECIAL,
    TABLE_PART,
    TAGS,
    VOID,
    tag,
)
from pipeline.extraction.tree import Tree

Array = NDArray[Any]

MAX_HTML: Final = 8 << 20
"""Bytes of a page that are parsed; crawlers cut pages at one to five million."""

MAX_DEPTH: Final = 512
"""Elements that are open at once (browsers' limit); deeper ones are side by side at this depth."""

_HTML, _HEAD, _BODY = tag("html"), tag("head"), tag("body")
_P, _BR, _A, _LI, _DD, _DT, _OL, _UL = (tag(name) for name in "p br a li dd dt ol ul".split())
_BUTTON, _FORM, _SELECT, _OPTION, _OPTGROUP = (tag(name) for name in "button form select option optgroup".split())
_TEMPLATE, _RT, _RP, _IMAGE, _IMG = (tag(name) for name in "template rt rp image img".split())
_TABLE, _CAPTION, _COLGROUP, _COL = (tag(name) for name in "table caption colgroup col".split())
_TBODY, _THEAD, _TFOOT, _TR, _TD, _TH = (tag(name) for name in "tbody thead tfoot tr td th".split())
_H1, _H6 = tag("h1"), tag("h6")
_OTHER: Final = 1

_BEFORE_HEAD, _IN_HEAD, _AFTER_HEAD, _IN_BODY = range(4)
_BLANK: Final = 64
"""Bytes of white space before a block that a link is around."""
_SAME_NAMES: Final = 16
"""Open elements of unknown names among which an end tag looks for its own."""


def parse(html: bytes, scripting: bool = True) -> Tree:
    """The tree of a page in UTF-8. Never raises, whatever the bytes are; what is beyond ``MAX_HTML`` is left out.

    With ``scripting`` what stands in ``noscript`` is dropped, as in a browser.
    """
    source = html[:MAX_HTML]
    page = np.frombuffer(source, np.uint8)
    tokens = tokenize(page, scripting)
    tags, parents, ends, depths, starts, stops, hints, text, nodes = _build(
        page,
        tokens.kinds,
        tokens.tags,
        tokens.names,
        tokens.starts,
        tokens.stops,
        tokens.hints,
        RULES,
        REFERENCE_TABLE.keys,
        REFERENCE_TABLE.values,
    )
    of = nodes[tokens.attribute_tokens]
    attributes = (of, tokens.attribute_names, tokens.attribute_starts, tokens.attribute_stops)
    if len(of) and (of[0] < 0 or np.any(of[1:] < of[:-1])):  # tags that were ignored, and a second <body>
        kept = np.flatnonzero(of >= 0)
        order = kept[np.argsort(of[kept], kind="stable")]
        attributes = tuple(one[order] for one in attributes)  # type: ignore[assignment]
    return Tree(tags, parents, ends, depths, starts, stops, hints, text, *attributes, source)


@njit(cache=True)
def _build(
    html: Array,
    kinds: Array,
    tags: Array,
    names: Array,
    token_starts: Array,
    token_stops: Array,
    token_hints: Array,
    rules: Array,
    reference_keys: Array,
    reference_values: Array,
) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array]:
    """The arrays of the tree up to its text, and the node of each token (-1 where it has none)."""
    count = len(kinds)
    most = 2 * count + 3  # a cell may need a row
    tag_of = np.empty(most, np.uint8)
    parent = np.empty(most, np.int32)
    end = np.empty(most, np.int32)
    depth_of = np.empty(most, np.int16)
    start = np.empty(most, np.int32)
    stop = np.empty(most, np.int32)
    hints = np.empty(most, np.uint64)
    node_of_token = np.full(count, -1, np.int32)
    room = 16
    for t in range(count):
        if kinds[t] <= VERBATIM:
            room += (token_stops[t] - token_starts[t]) * 6 // 5 + 1
    text = np.empty(room, np.uint8)
    used = 0

    # The open elements, and what was the case before each was opened.
    stack = np.empty(MAX_DEPTH, np.int32)
    stack_name = np.empty(MAX_DEPTH, np.uint32)
    stack_token = np.empty(MAX_DEPTH, np.int32)
    closed_early = np.zeros(MAX_DEPTH, np.bool_)
    same_before = np.empty(MAX_DEPTH, np.int32)
    scope_before = np.empty(MAX_DEPTH, np.int32)
    special_before = np.empty(MAX_DEPTH, np.int32)
    list_before = np.empty(MAX_DEPTH, np.int32)
    # Places in the stack of the innermost element: of each name, that is a barrier to end tags, that is special, and
    # that is a barrier to list items.
    last = np.full(256, -1, np.int32)
    scope = special = lists = 0
    muted = 0
    too_deep = np.zeros(256, np.int32)  # elements without a place in the stack whose end tags are still to come

    tag_of[0], parent[0], depth_of[0], start[0], hints[0] = _HTML, -1, 0, 0, np.uint64(0)
    stack[0] = 0
    stack_name[0] = 0
    stack_token[0] = -1
    last[_HTML] = 0
    same_before[0] = scope_before[0] = special_before[0] = list_before[0] = -1
    n = 1
    depth = 1
    mode = _BEFORE_HEAD
    body = -1
    t = 0
    while t <= count:
        keep = depth  # as many of the open elements stay open
        early = -1  # one that is closed while blocks inside it stay open
        opens = False
        token = t
        if t == count:
            keep = 0
            kind = END
            element = _HTML
        else:
            kind = kinds[t]
            element = np.int64(tags[t])
        t += 1
        rule = np.int64(rules[element])
        top = np.int64(tag_of[stack[depth - 1]])

        if kind <= VERBATIM:
            if muted:
                continue
            if mode != _IN_BODY and top <= _HEAD or rules[top] & NO_TEXT:
                blank = True
                for at in range(token_starts[token], token_stops[token]):
                    if html[at] > 32:
                        blank = False
                        break
                if blank:
                    continue
            if mode != _IN_BODY and (top == _HTML or top == _HEAD):
                t = token  # the text comes again when there is a body
                kind, element, token = START, _BODY, -1
            else:
                if not (tag_of[n - 1] == 0 and parent[n - 1] == stack[depth - 1]):
                    tag_of[n] = 0
                    parent[n] = stack[depth - 1]
                    depth_of[n] = depth_of[parent[n]] + 1
                    start[n] = used
                    hints[n] = np.uint64(0)
                    end[n] = n + 1
                    n += 1
                used = copy_text(
                    html,
                    token_starts[token],
                    token_stops[token],
                    text,
                    used,
                    kind == TEXT,
                    reference_keys,
                    reference_values,
                )
                stop[n - 1] = used
                node_of_token[token] = n - 1
                continue
        elif kind == START and mode != _IN_BODY and last[_TEMPLATE] < 0:
            if rule & METADATA:
                if mode == _BEFORE_HEAD:
                    t = token
                    element, token = _HEAD, -1
            elif element != _HTML and element != _HEAD and element != _BODY:
                t = token
                element, token = _BODY, -1

        if kind == START:
            if element == _HTML or element == _HEAD or element == _BODY:
                known = 0 if element == _HTML else body if element == _BODY else -1
                if element == _HEAD and mode == _BEFORE_HEAD:
                    mode = _IN_HEAD
                    opens = True
                elif element == _BODY and mode != _IN_BODY:
                    mode = _IN_BODY
                    body = n
                    keep = 1
                    opens = True
                elif known >= 0 and token >= 0:
                    node_of_token[token] = known
                    hints[known] |= token_hints[token]
                if not opens:
                    continue
            rule = np.int64(rules[element])
            opens = True
            if element == _IMAGE:
                element = _IMG
            scope_at = scope
            if rule & CLOSES_P and last[_P] > max(scope, last[_BUTTON]):
                keep = last[_P]
            if element == _LI:
                if last[_LI] > lists:
                    keep = min(keep, last[_LI])
            elif element == _DD or element == _DT:
                if max(last[_DD], last[_DT]) > lists:
                    keep = min(keep, max(last[_DD], last[_DT]))
            elif rule & HEADING:
                if rules[top] & HEADING:
                    keep = min(keep, depth - 1)
            elif element == _A:
                if last[_A] > scope_at:
                    if last[_A] > special:
                        keep = min(keep, last[_A])
                    else:
                        early = last[_A]
            elif element == _OPTION:
                if last[_OPTION] > max(scope_at, last[_OPTGROUP]):
                    keep = last[_OPTION]
            elif element == _OPTGROUP:
                if last[_OPTGROUP] > scope_at:
                    keep = last[_OPTGROUP]
                elif last[_OPTION] > scope_at:
                    keep = last[_OPTION]
            elif element == _BUTTON:
                if last[_BUTTON] > scope_at:
                    keep = last[_BUTTON]
            elif element == _SELECT:
                if last[_SELECT] >= scope_at and last[_SELECT] >= 0:
                    keep = last[_SELECT]
            elif element == _FORM:
                if last[_FORM] >= 0 and last[_TEMPLATE] < 0:
                    continue
            elif element == _RT or element == _RP:
                if top == _RT or top == _RP:
                    keep = depth - 1
            elif element == _TABLE:
                if last[_TABLE] > max(last[_TD], last[_TH], last[_CAPTION], last[_TEMPLATE]):
                    keep = last[_TABLE]
            elif rule & TABLE_PART:
                base = last[_TABLE]
                if base < 0:
                    continue
                if element == _TR or element == _TD or element == _TH:
                    base = max(base, last[_TBODY], last[_THEAD], last[_TFOOT])
                    if element != _TR:
                        if base > last[_TR]:
                            t = token  # the cell comes again when there is a row
                            element, token = _TR, -1
                            rule = np.int64(rules[_TR])
                        base = max(base, last[_TR])
                elif element == _COL:
                    base = max(base, last[_COLGROUP])
                keep = base + 1
        elif keep > 0:
            found = -1
            if rule & VOID:
                if element != _BR:
                    continue
                opens = True
            elif element == _P:
                found = last[_P]
                if found <= max(scope, last[_BUTTON]):
                    if mode != _IN_BODY:
                        continue
                    opens = True  # an end tag without its start tag stands for an empty paragraph
                    found = -1
            elif element == _HTML or element == _BODY:
                continue
            elif element == _HEAD:
                found = last[_HEAD]
                if mode == _IN_HEAD:
                    mode = _AFTER_HEAD
            elif too_deep[element] > 0:
                too_deep[element] -= 1
                continue
            elif rule & HEADING:
                for one in range(_H1, _H6 + 1):
                    found = max(found, last[one])
                if found <= scope:
                    continue
            elif element == _TABLE:
                found = last[_TABLE]
                if found <= last[_TEMPLATE]:
                    continue
            elif rule & TABLE_PART:
                found = last[element]
                if found <= last[_TABLE]:
                    continue
            elif element == _LI:
                found = last[_LI]
                if found <= max(scope, last[_OL], last[_UL]):
                    continue
            elif element == _FORM or rule & FORMATTING:
                found = last[element]
                if found <= scope:
                    continue
                if found < special and (element != _FORM or found < depth - 1):
                    early = found
                    found = -1
            elif rule & SPECIAL:
                found = last[element]
                if found < scope:
                    continue
            else:
                found = last[element]
                if element == _OTHER:
                    for _ in range(_SAME_NAMES):
                        if found <= special or stack_name[found] == names[token]:
                            break
                        found = same_before[found]
                    if found > special and stack_name[found] != names[token]:
                        continue
                if found <= special:
                    continue
            if found >= 0:
                keep = found
            elif not opens and early < 0:
                continue

        if early >= 0:
            element_early = np.int64(tag_of[stack[early]])
            closed_early[early] = True
            last[element_early] = same_before[early]
            if element_early == _A:
                # What follows in those blocks is no link. A link that has words before them ends there; one that is
                # nothing but around them changes places with them.
                node = stack[early]
                hint = hints[node]
                blank = start[stack[depth - 1]] - start[node] <= _BLANK
                if blank:
                    for at in range(start[node], start[stack[depth - 1]]):
                        blank = blank and text[at] <= 32
                if blank:
                    for place in range(early + 1, depth):
                        inner = stack[place]
                        if inner >= 0:
                            tag_of[node] = tag_of[inner]
                            hints[node] = hints[inner]
                            if stack_token[place] >= 0:
                                node_of_token[stack_token[place]] = node
                            stack[place] = node
                            node = inner
                    tag_of[node] = _A
                    hints[node] = hint
                    end[node] = n
                    stop[node] = used
                    node_of_token[stack_token[early]] = node
                else:
                    place = early + 1
                    while stack[place] < 0:
                        place += 1
                    first = stack[place]
                    end[node] = first
                    stop[node] = start[first]
                    parent[first] = parent[node]
                    for one in range(first, n):
                        depth_of[one] -= 1
                stack[early] = -1

        while depth > keep or (depth > 0 and stack[depth - 1] < 0):
            depth -= 1
            node = stack[depth]
            if node < 0:
                scope, special, lists = scope_before[depth], special_before[depth], list_before[depth]
                continue
            closing = tag_of[node]
            end[node] = n
            stop[node] = used
            if not closed_early[depth]:
                last[closing] = same_before[depth]
            scope = scope_before[depth]
            special = special_before[depth]
            lists = list_before[depth]
            if rules[closing] & MUTED:
                muted -= 1
        if not opens:
            continue

        tag_of[n] = element
        parent[n] = stack[depth - 1]
        depth_of[n] = depth_of[parent[n]] + 1
        start[n] = used
        stop[n] = used
        end[n] = n + 1
        hints[n] = np.uint64(0)
        if token >= 0:
            node_of_token[token] = n
            if kind == START:
                hints[n] = token_hints[token]
        n += 1
        if rule & VOID or kind == END:
            continue
        if element == _FORM and (top == _TABLE or rules[top] & TABLE_PART and top != _TD and top != _TH):
            continue
        if depth == MAX_DEPTH:
            if element != _LI and element != _P and element != _OPTION and not rule & TABLE_PART:
                too_deep[element] += 1
            continue
        stack[depth] = n - 1
        stack_name[depth] = names[token] if token >= 0 else 0
        stack_token[depth] = token
        closed_early[depth] = False
        same_before[depth] = last[element]
        last[element] = depth
        scope_before[depth] = scope
        special_before[depth] = special
        list_before[depth] = lists
        if rule & SCOPE:
            scope = depth
        if rule & SPECIAL:
            special = depth
        if rule & LIST_SCOPE:
            lists = depth
        if rule & MUTED:
            muted += 1
        depth += 1
    return (
        tag_of[:n],
        parent[:n],
        end[:n],
        depth_of[:n],
        start[:n],
        stop[:n],
        hints[:n],
        text[:used],
        node_of_token,
    )


assert len(TAGS) <= 256
