"""A plugin whose filter does to its process what a hostile page does to a parser."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import ClassVar

from filters.document import Document
from filters.filter import Filter, Rule, Signal, register


@register
class Hostile(Filter):
    """Ends, crashes or hangs its process on texts that say so."""

    name: ClassVar[str] = "hostile"
    signals: ClassVar[tuple[Signal, ...]] = (Signal("hostile.length", 0, float("inf"), "characters"),)

    def measure(self, document: Document) -> Mapping[str, float]:
        if "please exit" in document.text:
            os._exit(3)
        if "please crash" in document.text:
            ctypes.string_at(0)
        if "please hang" in document.text:
            while True:
                pass
        if "please raise" in document.text:
            raise ValueError("raised\nas asked")
        return {"hostile.length": len(document.text)}

    def rules(self) -> tuple[Rule, ...]:
        return ()
