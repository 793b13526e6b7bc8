"""A finding, and the choice among findings that overlap."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import NamedTuple

from filters.pii.settings import Entity


class Match(NamedTuple):
    """Personal data in a text: characters ``[start, end)``, what it is, and how sure the recognizer is (0 to 1)."""

    start: int
    end: int
    entity: Entity
    score: float


def resolve(candidates: Iterable[Match]) -> list[Match]:
    """Matches that do not overlap, in order. Of two that do, the higher score, the longer, the earlier is taken, or
    else the one whose entity's name comes first.
    """
    resolved: list[Match] = []
    overlapping: list[Match] = []
    end = 0
    for match in sorted(candidates):
        if match.start >= end:
            resolved += _best(overlapping)
            overlapping = []
        overlapping.append(match)
        end = max(end, match.end)
    return resolved + _best(overlapping)


def _best(overlapping: list[Match]) -> list[Match]:
    """The choice among matches that hang together by overlaps, in order."""
    if len(overlapping) < 2:
        return overlapping
    chosen: list[Match] = []
    for match in sorted(overlapping, key=lambda m: (-m.score, m.start - m.end, m.start, m.entity)):
        place = bisect.bisect(chosen, match)
        after_previous = place == 0 or chosen[place - 1].end <= match.start
        if after_previous and (place == len(chosen) or match.end <= chosen[place].start):
            chosen.insert(place, match)
    return chosen
