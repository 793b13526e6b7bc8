"""Which of the open elements a tag ends: the rules of the HTML standard's "in body", "in table" and "in cell" modes."""

from __future__ import annotations

from typing import Any, Final

from numba import njit
from numpy.typing import NDArray

from pipeline.extraction.html.markup import CLOSES_P, FORMATTING, HEADING, SPECIAL, TABLE_PART, numbers, tag

Array = NDArray[Any]

IGNORED: Final = -2
"""In place of a number of elements: the tag does nothing."""
NOT_OPEN: Final = -1
"""In place of an element: there is none."""

_P, _A, _LI, _DD, _DT, _OL, _UL, _RT, _RP = numbers("p a li dd dt ol ul rt rp")
_BUTTON, _FORM, _SELECT, _OPTION, _OPTGROUP, _TEMPLATE = numbers("button form select option optgroup template")
_TABLE, _CAPTION, _COLGROUP, _COL = numbers("table caption colgroup col")
_TBODY, _THEAD, _TFOOT, _TR, _TD, _TH = numbers("tbody thead tfoot tr td th")
_H1, _H6 = tag("h1"), tag("h6")


@njit(cache=True)
def paragraph(last: Array, scope: int) -> int:
    """Place of the open ``p`` that a block ends, or NOT_OPEN."""
    return last[_P] if last[_P] > max(scope, last[_BUTTON]) else NOT_OPEN


@njit(cache=True)
def open_after_start(
    element: int, rule: int, top: int, top_rule: int, depth: int, last: Array, scope: int, lists: int
) -> int:
    """How many of the ``depth`` open elements stay open when a start tag comes, or IGNORED.

    ``last`` has the place of the innermost open element for each tag, ``scope`` and ``lists`` that of the innermost
    barrier to end tags and to list items, ``top`` and ``top_rule`` are the innermost element and its rules. A link that
    is open is left to the caller.
    """
    keep = depth
    if rule & CLOSES_P and paragraph(last, scope) != NOT_OPEN:
        keep = last[_P]
    if element == _LI:
        if last[_LI] > lists:
            keep = min(keep, last[_LI])
    elif element in (_DD, _DT):
        if max(last[_DD], last[_DT]) > lists:
            keep = min(keep, max(last[_DD], last[_DT]))
    elif rule & HEADING:
        if top_rule & HEADING:
            keep = min(keep, depth - 1)
    elif element == _OPTION:
        if last[_OPTION] > max(scope, last[_OPTGROUP]):
            keep = last[_OPTION]
    elif element == _OPTGROUP:
        if last[_OPTGROUP] > scope:
            keep = last[_OPTGROUP]
        elif last[_OPTION] > scope:
            keep = last[_OPTION]
    elif element == _BUTTON:
        if last[_BUTTON] > scope:
            keep = last[_BUTTON]
    elif element == _SELECT:
        if last[_SELECT] >= max(0, scope):
            keep = last[_SELECT]
    elif element == _FORM:
        if last[_FORM] >= 0 and last[_TEMPLATE] < 0:
            return IGNORED
    elif element in (_RT, _RP):
        if top in (_RT, _RP):
            keep = depth - 1
    elif element == _TABLE:
        if last[_TABLE] > max(last[_TD], last[_TH], last[_CAPTION], last[_TEMPLATE]):
            keep = last[_TABLE]
    elif rule & TABLE_PART:
        if last[_TABLE] < 0:
            return IGNORED
        keep = _table_context(element, last) + 1
    return keep


@njit(cache=True)
def _table_context(element: int, last: Array) -> int:
    """Place of the innermost open element that a part of a table may be in."""
    table = last[_TABLE]
    if element == _COL:
        return max(table, last[_COLGROUP])
    if element in (_TR, _TD, _TH):
        table = max(table, last[_TBODY], last[_THEAD], last[_TFOOT])
    if element in (_TD, _TH):
        table = max(table, last[_TR])
    return table


@njit(cache=True)
def lacks_row(element: int, last: Array) -> bool:
    """Whether a cell comes where a row should begin first."""
    return element in (_TD, _TH) and last[_TABLE] >= 0 and last[_TR] < _table_context(element, last)


@njit(cache=True)
def ended(element: int, rule: int, last: Array, scope: int, special: int) -> int:
    """Place of the open element that an end tag ends, or NOT_OPEN where it ends none.

    ``special`` is the place of the innermost special element; the rest is as for ``open_after_start``. Not for ``p``.
    """
    found = last[element]
    barrier = special
    if rule & HEADING:
        for one in range(_H1, _H6 + 1):
            found = max(found, last[one])
        barrier = scope
    elif element == _TABLE:
        barrier = last[_TEMPLATE]
    elif rule & TABLE_PART:
        barrier = last[_TABLE]
    elif element == _LI:
        barrier = max(scope, last[_OL], last[_UL])
    elif rule & FORMATTING:
        barrier = scope
    elif rule & SPECIAL:
        barrier = scope - 1  # which may be the element itself
    return found if found > barrier else NOT_OPEN
