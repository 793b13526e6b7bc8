"""Cutting a text: which characters repeated spans and boilerplate stand for, and what is left without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.dedup.runs import Rows

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters from ``start`` to ``stop`` that are cut, and the row that says why (of the first unit in it)."""

    start: int
    stop: int
    row: Any


def of_repeats(repeats: Rows, number: int, length: int, starts: Rows, stops: Rows) -> Iterator[Stretch]:
    """The stretches of one document that its repeats (REPEAT, by position) stand for, spans having ``length`` units.

    A document that repeats itself keeps the first occurrence whole, also where the two overlap.
    """
    why: dict[int, Any] = {}
    for row in repeats:
        position = int(row["position"])
        own = int(row["kept"]) == number
        for unit in range(position, position + length):
            if not (own and unit < int(row["kept_position"]) + length):
                why.setdefault(unit, row)
    yield from _stretches(why, starts, stops)


def of_crowds(crowds: Rows, starts: Rows, stops: Rows) -> Iterator[Stretch]:
    """The stretches of one document that its boilerplate (CROWD) stands for."""
    yield from _stretches({int(row["position"]): row for row in crowds}, starts, stops)


def _stretches(why: Mapping[int, Any], starts: Rows, stops: Rows) -> Iterator[Stretch]:
    """One stretch for every run of consecutive units."""
    units = sorted(why)
    first = 0
    for place in range(1, len(units) + 1):
        if place == len(units) or units[place] != units[place - 1] + 1:
            yield Stretch(int(starts[units[first]]), int(stops[units[place - 1]]), why[units[first]])
            first = place


def union(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that touch or overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def without(text: str, ranges: Ranges) -> str:
    """The text without these ranges (in order, apart from each other).

    Where a cut leaves newlines on both sides, the longer run of them stays: a line that is cut leaves no empty line behind, and
    paragraphs stay apart. Where it leaves blanks, those behind it stay, or one. All other characters stay as they are.
    """
    edges = [0, *(edge for one in ranges for edge in one), len(text)]
    pieces = [text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    kept: list[str] = []
    newlines, blank = 0, False  # what stood before the cuts since the last text
    for place, piece in enumerate(pieces):
        if place:
            lead = piece[: len(piece) - len(piece.lstrip(_BLANKS))]
            newlines = max(newlines, lead.count("\n"))
            piece = piece[lead.rfind("\n") + 1 :] if "\n" in lead or not newlines else piece[len(lead) :]
        body = piece.rstrip(_BLANKS) if place < len(pieces) - 1 else piece
        if body:
            between = "\n" * newlines or " " * (blank and not body[0].isspace())
            kept.append(between + body)
            newlines, blank = 0, False
        gap = piece[len(body) :]
        newlines, blank = max(newlines, gap.count("\n")), blank or bool(gap)
    return "".join(kept).strip()


_BLANKS: Final = " \t\n"
