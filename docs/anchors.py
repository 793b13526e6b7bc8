"""The four texts on which the field's repetition rules disagree, what each project gives for them, and what ours do.

A is public; D, E and F are ours, written so that every published value comes out: their lengths, word lengths and line breaks
are what the values depend on. The published values are those of the projects' own functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from filters.catalog import FILTERS
from filters.document import Document, Origin

_MENU: Final = "Home\nBlog\nForum\nContact\n"

TEXTS: Final[Mapping[str, str]] = {
    "A": "Hello, World.\nHello, World.\n\nHello",
    "D": "I am a solo traveller " * 4 + "my plan was to see the whole far west coast until floods ended it.\n",
    "E": "Our uncle keeps six pale cows and some milk from these went bad.",
    "F": f"{_MENU}The old river ran slow that morning and nobody spoke about it again until noon.\n\n"
    f"{_MENU}The train to Leeds left without them because someone had lost every ticket they had.",
}
"""By name; D repeats five words four times, E nothing, F a menu of four lines."""

COLUMNS: Final = (
    "duplicate lines",
    "duplicate line characters",
    "top 2-gram",
    "top 3-gram",
    "top 4-gram",
    "duplicate 5-grams",
)

PUBLISHED: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "A": {
        "DCLM": (".667", ".839", ".800", "1.200", "0", "0"),
        "datatrove": (".333", ".382", ".412", ".765", ".882", ".500"),
        "RedPajama v2": ("", "", ".800", "1.200", "0", "0"),
        "Dolma": (".500", ".897", ".828", ".621", ".828", "0"),
        "NeMo Curator": (".333", ".419", ".765", "0", "0", "0"),
    },
    "D": {
        "DCLM": ("0", "0", ".433", ".467", ".533", ".567"),
        "datatrove": ("0", "0", ".103", ".155", ".284", ".329"),
        "RedPajama v2": ("", "", ".100", ".133", ".267", ".567"),
        "Dolma": ("0", "0", ".099", ".132", ".264", ".499"),
        "NeMo Curator": ("0", "0", ".155 or .103", ".232 or .413", ".490 or .284", ".419"),
    },
    "E": {
        "DCLM": ("0", "0", "0", "0", "0", "0"),
        "datatrove": ("0", "0", ".141", ".234", ".297", "0"),
        "RedPajama v2": ("", "", "0", "0", "0", "0"),
        "Dolma": ("0", "0", ".154", ".250", ".308", "0"),
        "NeMo Curator": ("0", "0", ".125 to .172", ".203 to .234", ".266 to .312", "0"),
    },
    "F": {
        "DCLM": (".800", ".197", ".139", ".185", ".231", ".266"),
        "datatrove": (".400", ".094", ".085", ".141", ".216", ".108"),
        "RedPajama v2": ("", "", "", "", "", ""),
        "Dolma": (".727", ".229", ".091", ".149", ".229", ".059"),
        "NeMo Curator": (".400", ".099", "0", "0", "0", ".127"),
    },
}
"""By text and project; NeMo's values where n-grams tie depend on the hash seed."""

OURS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "DCLM": (
        "gopher_repetition",
        tuple(
            f"gopher.{kind}"
            for kind in (
                "duplicate_lines", "duplicate_line_characters", "top_2_gram", "top_3_gram", "top_4_gram", "duplicate_5_grams",
            )
        ),
    ),
    "datatrove": (
        "datatrove_repetition",
        tuple(
            f"datatrove.{kind}"
            for kind in (
                "duplicate_lines", "duplicate_line_characters", "top_2_gram", "top_3_gram", "top_4_gram", "duplicate_5_grams",
            )
        ),
    ),
    "RedPajama v2": (
        "redpajama",
        ("", "", *(f"rps.doc_frac_chars_top_{n}gram" for n in (2, 3, 4)), "rps.doc_frac_chars_dupe_5grams"),
    ),
}  # fmt: skip
"""Which filter has which project's definition, and its signals in the order of the columns."""


def values(text: str, project: str) -> list[float | None]:
    """What our filter with the project's definition gives for a text, in the order of the columns."""
    name, signals = OURS[project]
    found = FILTERS[name]().measure(Document("", text, "", Origin("", 0, len(text))))
    return [found[signal] if signal else None for signal in signals]


def section() -> str:
    """The part of the filter reference that sets our values beside the published ones."""
    lines = [
        "## Values on known texts",
        "",
        "The thresholds of Gopher's repetition rules are the same in every project, what they are measured on is not. Four short texts "
        "show the difference; *ours* is what the filter measures now, beside what the project's own code gives. Dolma and NeMo "
        "Curator have no filter here: their definitions are in the notes of `gopher_repetition` and `nemo`.",
        "",
        *(f"* {name}: `{text!r}`" for name, text in TEXTS.items()),
        "",
        f"| Text | Definition | {' | '.join(COLUMNS)} |",
        "| --- | --- |" + " --- |" * len(COLUMNS),
    ]
    for name, projects in PUBLISHED.items():
        for project, published in projects.items():
            if any(published):
                lines.append(f"| {name} | {project} | {' | '.join(published)} |")
            if project in OURS:
                cells = ["" if value is None else _short(value) for value in values(TEXTS[name], project)]
                lines.append(f"| {name} | ours: `{OURS[project][0]}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    """A value with three decimals, as the table has it."""
    return "0" if value == 0 else f"{value:.3f}".removeprefix("0")
