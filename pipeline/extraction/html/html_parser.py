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

from pipeline.extraction.html.character_references import REFERENCE_TABLE, copy_text
from pipeline.extraction.html.html_tokens import END, START, TEXT, VERBATIM, Tokens, tokenize
from pipeline.extraction.html.implied_ends import IGNORED, NOT_OPEN, ended, lacks_row, open_after_start, paragraph
from pipeline.extraction.html.markup import (
    FORMATTING,
    LIST_SCOPE,
    METADATA,
    MUTED,
    NO_TEXT,
    RULES,
    SCOPE,
    SPECIAL,
    TABLE_PART,
    VOID,
    numbers,
)
from pipeline.extraction.html.tree import Tree

Array = NDArray[Any]

MAX_HTML: Final = 8 << 20
"""Bytes of a page that are parsed; crawlers cut pages at one to five million."""

MAX_DEPTH: Final = 512
"""Elements that are open at once (browsers' limit); deeper ones are side by side at this depth."""

_OTHER: Final = 1
_HTML, _HEAD, _BODY, _P, _BR, _A, _LI, _OPTION = numbers("html head body p br a li option")
_FORM, _TABLE, _TR, _TD, _TH, _TEMPLATE, _IMAGE, _IMG = numbers("form table tr td th template image img")

_BEFORE_HEAD, _IN_HEAD, _AFTER_HEAD, _IN_BODY = range(4)
_BLANK: Final = 64
"""Bytes of white space that may stand in a link before the block that it is around."""
_SAME_NAMES: Final = 16
"""Open elements of unknown names among which an end tag looks for its own."""


def parse(html: bytes, scripting: bool = True) -> Tree:
    """The tree of a page in UTF-8. Never raises, whatever the bytes are; what is beyond ``MAX_HTML`` is left out.

    With ``scripting`` what stands in ``noscript`` is dropped, as in a browser.
    """
    source = html[:MAX_HTML]
    page = np.frombuffer(source, np.uint8)
    tokens = tokenize(page, scripting)
    nodes = _build(page, *tokens[:6], RULES, REFERENCE_TABLE.keys, REFERENCE_TABLE.values)
    return Tree(source, *nodes[:-1], *_attributes(tokens, nodes[-1]))


def _attributes(tokens: Tokens, node_of_token: Array) -> tuple[Array, Array, Array, Array]:
    """The attributes of the tree: those of the tags that were not ignored, in the order of their nodes."""
    nodes = node_of_token[tokens.attribute_tokens]
    names, starts, stops = tokens.attribute_names, tokens.attribute_starts, tokens.attribute_stops
    if len(nodes) and (nodes.min() < 0 or np.any(nodes[1:] < nodes[:-1])):
        kept = np.flatnonzero(nodes >= 0)
        order = kept[np.argsort(nodes[kept], kind="stable")]
        return nodes[order], names[order], starts[order], stops[order]
    return nodes, names, starts, stops


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
    most = 2 * count + 3  # a cell may need a row; the page has html, head and body
    tag_of = np.empty(most, np.uint8)
    parent = np.empty(most, np.int32)
    end = np.empty(most, np.int32)
    depth_of = np.empty(most, np.int16)
    start = np.empty(most, np.int32)
    stop = np.empty(most, np.int32)
    hints = np.empty(most, np.uint64)
    node_of_token = np.full(count, -1, np.int32)
    room = 0
    for token in range(count):
        if kinds[token] <= VERBATIM:
            room += (token_stops[token] - token_starts[token]) * 6 // 5 + 1
    text = np.empty(room, np.uint8)
    used = 0

    # The open elements, and what was the case before each was opened.
    stack = np.empty(MAX_DEPTH, np.int32)  # the node, or -1 where it is open no more
    stack_token = np.empty(MAX_DEPTH, np.int32)
    stack_name = np.empty(MAX_DEPTH, np.uint32)
    ended_early = np.zeros(MAX_DEPTH, np.bool_)
    same_before = np.empty(MAX_DEPTH, np.int32)
    scope_before = np.empty(MAX_DEPTH, np.int32)
    special_before = np.empty(MAX_DEPTH, np.int32)
    lists_before = np.empty(MAX_DEPTH, np.int32)
    # Places in the stack of the innermost element: of each name, that is a barrier to end tags, that is special, and
    # that is a barrier to list items.
    last = np.full(256, NOT_OPEN, np.int32)
    scope = special = lists = 0
    muted = 0
    too_deep = np.zeros(256, np.int32)  # elements without a place in the stack whose end tags are still to come

    tag_of[0], parent[0], depth_of[0], start[0], hints[0] = _HTML, -1, 0, 0, 0
    stack[0], stack_token[0], stack_name[0] = 0, -1, 0
    same_before[0] = scope_before[0] = special_before[0] = lists_before[0] = NOT_OPEN
    last[_HTML] = 0
    n = depth = 1
    mode = _BEFORE_HEAD
    body = -1
    at_token = 0
    while at_token < count:
        token = at_token
        at_token += 1
        kind = kinds[token]
        element = int(tags[token])
        rule = int(rules[element])
        top = int(tag_of[stack[depth - 1]])
        top_rule = int(rules[top])
        implied = 0  # an element that the page leaves out; the token comes again when it is open

        if kind <= VERBATIM:
            if muted:
                continue
            if top_rule & NO_TEXT and _is_blank(html, token_starts[token], token_stops[token]):
                continue
            if mode != _IN_BODY and top in (_HTML, _HEAD):
                implied = _BODY
            else:
                if not (tag_of[n - 1] == 0 and parent[n - 1] == stack[depth - 1]):
                    tag_of[n], parent[n], start[n], hints[n] = 0, stack[depth - 1], used, 0
                    depth_of[n] = depth_of[parent[n]] + 1
                    n += 1
                    end[n - 1] = n
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
                continue
        elif kind == START:
            if mode != _IN_BODY and last[_TEMPLATE] == NOT_OPEN and element not in (_HTML, _HEAD, _BODY):
                if not rule & METADATA:
                    implied = _BODY
                elif mode == _BEFORE_HEAD:
                    implied = _HEAD
            elif lacks_row(element, last):
                implied = _TR
        if implied:
            at_token = token
            token = -1
            kind = START
            element = implied
            rule = int(rules[element])

        # How many of the open elements stay open; which of them is ended while blocks inside it stay; what is opened.
        keep = depth
        early = NOT_OPEN
        opens = True
        if kind == START:
            if element == _HTML:
                node_of_token[token] = 0
                hints[0] |= token_hints[token]
                continue
            if element == _BODY:
                if mode == _IN_BODY:
                    if token >= 0 and body >= 0:
                        node_of_token[token] = body
                        hints[body] |= token_hints[token]
                    continue
                mode = _IN_BODY
                body = n
                keep = 1
            elif element == _HEAD:
                if mode != _BEFORE_HEAD:
                    continue
                mode = _IN_HEAD
            elif element == _A:
                if last[_A] > special:
                    keep = last[_A]
                elif last[_A] > scope:
                    early = last[_A]
            else:
                if element == _IMAGE:
                    element = _IMG
                keep = open_after_start(element, rule, top, top_rule, depth, last, scope, lists)
                if keep == IGNORED:
                    continue
        elif element == _P:
            found = paragraph(last, scope)
            if found != NOT_OPEN:
                keep = found
                opens = False
            elif mode != _IN_BODY:
                continue  # in the body an end tag without its start tag stands for an empty paragraph
        elif element != _BR:
            opens = False
            if element in (_HTML, _BODY) or rule & VOID:
                continue
            if too_deep[element]:
                too_deep[element] -= 1
                continue
            found = ended(element, rule, last, scope, special)
            if element == _OTHER:
                for _ in range(_SAME_NAMES):
                    if found <= special or stack_name[found] == names[token]:
                        break
                    found = same_before[found]
                if found <= special or stack_name[found] != names[token]:
                    continue
            if found == NOT_OPEN:
                continue
            if element == _HEAD:
                mode = max(mode, _AFTER_HEAD)
            if found < special and (rule & FORMATTING or element == _FORM):
                early = found
            else:
                keep = found

        if early != NOT_OPEN:
            closing = tag_of[stack[early]]
            ended_early[early] = True
            last[closing] = same_before[early]
            if closing == _A:
                _end_link(
                    early, depth, n, used, text, stack, stack_token, node_of_token,
                    tag_of, parent, end, depth_of, start, stop, hints,
                )  # fmt: skip

        while depth > keep or stack[depth - 1] < 0:
            depth -= 1
            node = stack[depth]
            scope, special, lists = scope_before[depth], special_before[depth], lists_before[depth]
            if node >= 0:
                end[node] = n
                stop[node] = used
                closing = tag_of[node]
                if not ended_early[depth]:
                    last[closing] = same_before[depth]
                if rules[closing] & MUTED:
                    muted -= 1
        if not opens:
            continue

        node = n
        n += 1
        tag_of[node], parent[node], start[node], stop[node], end[node] = element, stack[depth - 1], used, used, n
        depth_of[node] = depth_of[parent[node]] + 1
        hints[node] = 0
        if token >= 0:
            node_of_token[token] = node
            if kind == START:
                hints[node] = token_hints[token]
        if rule & VOID or kind == END:
            continue
        if element == _FORM and (top == _TABLE or (top_rule & TABLE_PART and top not in (_TD, _TH))):
            continue
        if depth == MAX_DEPTH:
            if not rule & TABLE_PART and element not in (_LI, _OPTION):
                too_deep[element] += 1
            continue
        stack[depth] = node
        stack_token[depth] = token
        stack_name[depth] = names[token] if token >= 0 else 0
        ended_early[depth] = False
        same_before[depth] = last[element]
        scope_before[depth], special_before[depth], lists_before[depth] = scope, special, lists
        last[element] = depth
        if rule & SCOPE:
            scope = depth
        if rule & SPECIAL:
            special = depth
        if rule & LIST_SCOPE:
            lists = depth
        if rule & MUTED:
            muted += 1
        depth += 1

    while depth > 0:
        depth -= 1
        if stack[depth] >= 0:
            end[stack[depth]] = n
            stop[stack[depth]] = used
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


@njit(cache=True)
def _is_blank(text: Array, start: int, stop: int) -> bool:
    for at in range(start, stop):  # noqa: SIM110 - numba wants a loop
        if text[at] > 32:
            return False
    return True


@njit(cache=True)
def _end_link(
    place: int,
    depth: int,
    n: int,
    used: int,
    text: Array,
    stack: Array,
    stack_token: Array,
    node_of_token: Array,
    tag_of: Array,
    parent: Array,
    end: Array,
    depth_of: Array,
    start: Array,
    stop: Array,
    hints: Array,
) -> None:
    """End the link at a place of the stack while blocks inside it stay open: what follows in them is no link.

    That is what the standard's adoption agency comes to: a link that has words before the blocks ends there; one that
    is nothing but around them changes places with them, and ends with what they hold so far.
    """
    node = stack[place]
    stack[place] = -1
    innermost = start[stack[depth - 1]]
    if innermost - start[node] <= _BLANK and _is_blank(text, start[node], innermost):
        hint = hints[node]
        for one in range(place + 1, depth):
            inner = stack[one]
            if inner >= 0:
                tag_of[node] = tag_of[inner]
                hints[node] = hints[inner]
                if stack_token[one] >= 0:
                    node_of_token[stack_token[one]] = node
                stack[one] = node
                node = inner
        tag_of[node] = _A
        hints[node] = hint
        node_of_token[stack_token[place]] = node
        end[node] = n
        stop[node] = used
    else:
        one = place + 1
        while stack[one] < 0:
            one += 1
        first = stack[one]
        parent[first] = parent[node]
        end[node] = first
        stop[node] = start[first]
        for inner in range(first, n):
            depth_of[inner] -= 1
