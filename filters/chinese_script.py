"""Writes Chinese in one of its two scripts, and full-width letters and digits as plain ones: a cleaning step.

Traditional characters become simplified ones, or the other way round, by OpenCC's dictionaries: phrase by phrase, since one
simplified character may stand for several traditional ones. The wording stays (``軟體`` becomes ``软体``, not ``软件``). Letters, digits
and ``％＋－＝＠＃＆`` of full width become ASCII; Chinese punctuation stays as it is.

``converted`` is the share of the characters that changed, white space left out. Nothing is removed for it unless ``max_converted`` says so.
Which script a text is in is measured by ``chinese`` (``chinese.traditional``): put it before this filter.
"""

# ChineseWebText removes traditional text, C4's Chinese heirs convert it. Data-Juicer has a mapper of its own (by OpenCC as well).

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from filters.document import Document
from filters.filter import Filter, Rule, Signal, ratio, register, rule_when

_SCHEMES: Final = {"simplified": "t2s", "traditional": "s2t"}
_FULL_WIDTH: Final = "".join(
    chr(ord(plain) + 0xFEE0) for plain in map(chr, range(0x21, 0x7F)) if plain.isalnum() or plain in "%+-=@#&"
)
_TO_PLAIN: Final = {ord(wide): chr(ord(wide) - 0xFEE0) for wide in _FULL_WIDTH}
_ANY_FULL_WIDTH: Final = re.compile(f"[{re.escape(_FULL_WIDTH)}]")


@register
class ChineseScript(Filter):
    """Convert between simplified and traditional characters, and full-width letters to plain ones."""

    name: ClassVar[str] = "chinese_script"
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("chinese_script.converted", 0, 1, "share of the characters that were converted"),
    )

    languages: tuple[str, ...] = Field(
        ("zh",), description="only documents in these languages are converted; none: all"
    )
    to: Literal["simplified", "traditional"] | None = Field("simplified", description="the script; null: as it is")
    plain_letters: bool = Field(True, description="whether full-width letters and digits become plain ones")
    max_converted: float | None = None

    def prepare(self) -> None:
        """Loads the dictionaries."""
        if self.to:
            _converter(_SCHEMES[self.to])

    def clean(self, document: Document) -> None:
        """Converts the text; the share that changed goes into the signals."""
        before = document.text
        after = _converter(_SCHEMES[self.to]).convert(before) if self.to else before
        if self.plain_letters and _ANY_FULL_WIDTH.search(after):
            after = after.translate(_TO_PLAIN)
        document.replace_text(after)
        changed = sum(old != new for old, new in zip(before, after, strict=False)) if before != after else 0
        document.signals["chinese_script.converted"] = min(ratio(changed, len("".join(before.split()))), 1.0)

    def measure(self, document: Document) -> Mapping[str, float]:
        """Nothing but what ``clean`` has noted."""
        return {}

    def rules(self) -> tuple[Rule, ...]:
        """None unless the recipe gives a threshold."""
        return rule_when(self.max_converted, "chinese_script.converted", ">", "chinese_script.converted_too_much")


@functools.cache
def _converter(scheme: str) -> Any:
    """OpenCC's converter. Raises ValueError where it is not installed."""
    try:
        from opencc import OpenCC
    except ImportError as error:
        raise ValueError("converting Chinese needs the package opencc: pip install opencc") from error
    return OpenCC(scheme)
