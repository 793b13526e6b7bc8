"""Earlier runs that a run is deduplicated against: whether their keys can be compared with this recipe's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline import manifest
from pipeline.dedup.settings import Dedup
from pipeline.layout import Layout


def problems(dedup: Dedup) -> Iterator[str]:
    """What speaks against a recipe's references, one line each: no finished run, no keys, keys of other settings."""
    seen: set[str] = set()
    for place, out in enumerate(dedup.reference):
        where = f"dedup.reference.{place}"
        folder = Layout.of(out)
        if folder.out in seen:
            yield f"{where}: {out} is named twice"
        seen.add(folder.out)
        try:
            made = manifest.read(folder)
        except (OSError, ValueError) as error:
            yield f"{where}: {error}"
            continue
        if not made.get("keys"):
            yield f"{where}: {out} was made without dedup (or by an older version), so it has no keys to compare with"
            continue
        yield from (f"{where}: {out} {difference}" for difference in _differences(dedup.key_settings(), made["keys"]))


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """How the keys of another run differ from those that this one needs; what it has besides does no harm."""
    if ours["version"] != theirs["version"]:
        yield f"has keys of version {theirs['version']}, this version of corpusmill makes {ours['version']}: run it again"
        return
    for level, wanted in ours.items():
        had = theirs.get(level)
        if level == "version" or not wanted or had == wanted:
            continue
        if not had:
            yield f"has no keys for dedup.{level}: it was made with dedup.{level} off"
        elif isinstance(wanted, dict):
            for name, value in wanted.items():
                if had.get(name) != value:
                    yield f"was made with dedup.{level}.{name} = {had.get(name)}, this recipe has {value}"
