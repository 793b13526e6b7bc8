"""Personal data in numbers: speed on web text, the same findings as presidio's engine, recall and precision, false alarms.

    python -m benchmarks.pii [--pages 300] [--compare 40] [--warc FILE ...]

Speed is CPU time on one core over the text extracted from HTML. "engine" is presidio's AnalyzerEngine with the very same
recognizers, each reading the whole text, and an NLP engine that does nothing, in the same run on the same pages; the
findings must be equal. "presidio" in the tables is AnalyzerEngine with the pattern recognizers that it ships, with tokens
for their context words; "datatrove" is the two expressions of its PIIFormatter (formatters/pii.py; it knows no other kind).
Labelled sets and clean text are looked for in ../shared/data; without them those parts are left out.
"""

from __future__ import annotations

import argparse
import bz2
import html
import io
import ipaddress
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

from benchmarks.material import ROOT, SHARED, warcs
from filters.pii import ENTITIES, Match, PiiSettings, Place, Redactor
from pipeline.extraction.main_content import main_content
from pipeline.sources.wiki import wikitext

ENGLISH = Place("en")
Found = Iterable[tuple[int, int, str]]
Labelled = list[tuple[str, str, str, list[tuple[int, int, str]]]]  # text, language, kind of record, labels

NAMES = {
    "EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban", "MAC_ADDRESS": "mac", "SOCIAL_SECURITY_NUMBER": "national_id", "US_SSN": "national_id",
    "BANK_ACCOUNT_NUMBER": "bank_account", "US_BANK_NUMBER": "bank_account", "US_DRIVER_LICENSE": "driver_license",
    "API_KEY": "secret", "PASSWORD": "secret", "PERSON_NAME": "name", "PERSON": "name", "STREET_ADDRESS": "address",
    "ADDRESS": "address", "CRYPTO": "crypto",
}  # fmt: skip
"""Labels of the sets and of presidio as our entities."""


def pages(paths: Iterable[Path], most: int) -> list[str]:
    """The main text of the first pages of every file, ``most`` in all."""
    texts: list[str] = []
    paths = list(paths)
    for path in paths:
        with path.open("rb") as raw:
            for count, record in enumerate(ArchiveIterator(raw, record_types=WarcRecordType.response)):
                if count > most // len(paths):
                    break
                texts.append(main_content(record.reader.read(), "resiliparse", record.http_charset or ""))
    return [text for text in texts if text][:most]


def megabytes(texts: Iterable[str]) -> float:
    """Size in millions of bytes of UTF-8."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / 1e6


def cpu_seconds(work: Callable[[str], object], sample: list[str], times: int = 3) -> float:
    """CPU time for all texts once, the best of some."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        for text in sample:
            work(text)
        taken.append(time.process_time() - start)
    return min(taken)


def engine(recognizers: Iterable[Any] | None) -> Any:
    """presidio's AnalyzerEngine with these recognizers and no language model; None: those it ships."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine

    class Tokens(SpacyNlpEngine):  # type: ignore[misc]
        """Tokens of a blank model, so that presidio's context words work; nothing at all for given recognizers."""

        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

        def process_text(self, text: str, language: str) -> Any:
            document = self.nlp["en"](text if recognizers is None else "")
            words = [token.text.lower() for token in document]
            return NlpArtifacts([], document, [token.idx for token in document], words, self, language, [])

    tldextract.extract = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())  # or presidio asks the network
    registry = RecognizerRegistry(supported_languages=["en"])
    if recognizers is None:
        registry.load_predefined_recognizers(languages=["en"])
        registry.recognizers = [one for one in registry.recognizers if "Spacy" not in type(one).__name__]
    else:
        registry.recognizers = list(recognizers)
    return AnalyzerEngine(registry=registry, nlp_engine=Tokens(), supported_languages=["en"])


def speed(sample: list[str], compared: list[str]) -> None:
    """Print our speed for all entities, and the ratio to presidio's engine with the same recognizers."""
    redactor = Redactor(PiiSettings())
    own = redactor.prepare()
    redactor.redact(sample[0], ENGLISH)
    size, taken = megabytes(sample), cpu_seconds(lambda text: redactor.redact(text, ENGLISH), sample)
    print(
        f"{len(sample)} pages, {size:.1f} MB of text: {size / taken:.1f} MB/s, {taken / len(sample) * 1e3:.2f} ms a page"
    )
    whole = own.whole(ENGLISH)
    analyzer = engine(one for _, one in whole)

    def ungated(text: str) -> list[Match]:
        results = analyzer.analyze(text, "en")
        return redactor.judge(text, (Match(one.start, one.end, one.entity_type, one.score) for one in results))

    equal = sum(redactor.find(text, ENGLISH) == ungated(text) for text in compared)
    ours = cpu_seconds(lambda text: redactor.find(text, ENGLISH), compared)
    theirs = cpu_seconds(ungated, compared, times=1)
    plain = engine(None)
    shipped = cpu_seconds(lambda text: plain.analyze(text, "en"), compared, times=1)
    size = megabytes(compared)
    print(
        f"on {len(compared)} of them, {size:.2f} MB: gated {size / ours:.2f} MB/s, engine {size / theirs * 1e3:.0f} kB/s"
    )
    print(
        f"  ratio {theirs / ours:.0f}x with {len(whole)} recognizers; equal findings in {equal} of {len(compared)} pages"
    )
    print(
        f"  presidio as shipped (its own {len(plain.registry.recognizers)} recognizers): {size / shipped * 1e3:.0f} kB/s"
    )


def zst_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a packed JSONL file."""
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as raw:
        for line in io.TextIOWrapper(raw, encoding="utf-8", newline="\n"):
            yield json.loads(line)


def labelled_sets(folder: Path) -> dict[str, Labelled]:
    """The labelled texts by name of the set."""
    sets: dict[str, Labelled] = {
        "pii-anon": [
            (
                row["text"],
                row["language"],
                f"{row['data_type']}/{row['document_type']}",
                [(a["start"], a["end"], NAMES.get(a["entity_type"], "")) for a in row["annotations"]],
            )
            for row in zst_lines(folder / "pii-anon-technology.jsonl.zst")
        ]
    }
    with (folder / "presidio-generated_large.json.zst").open("rb") as packed:
        rows = json.loads(zstandard.ZstdDecompressor().stream_reader(packed).read())
    sets["presidio-research"] = [
        (
            row["full_text"],
            "en",
            "template",
            [(s["start_position"], s["end_position"], NAMES.get(s["entity_type"], "")) for s in row["spans"]],
        )
        for row in rows
    ]
    return sets


_DATATROVE_EMAIL = re.compile(
    r"\b[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?|\[(?:\d{1,3}\.){3}\d{1,3}\])"
)
_DATATROVE_IP = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)")


def datatrove(text: str) -> Found:
    """What datatrove's PIIFormatter replaces."""
    for match in _DATATROVE_EMAIL.finditer(text):
        yield match.start(), match.end(), "email"
    for match in _DATATROVE_IP.finditer(text):
        try:
            if ipaddress.ip_address(match[0]).is_global:
                yield match.start(), match.end(), "ip"
        except ValueError:
            continue


def score(sets: dict[str, Labelled]) -> None:
    """Print recall and precision by entity: the labels as they are, and without what they leave out or cannot mean.

    A label is found if one finding of its entity covers it; a finding is right if it overlaps a label of its entity.
    "fair" leaves out labels of addresses that belong to nobody (private, reserved, multicast), and, for precision, kinds
    of records in which the entity is never labelled though it stands there.
    """
    redactor, plain = Redactor(PiiSettings()), engine(None)
    finders: dict[str, Callable[[str, str], Found]] = {
        "ours": lambda text, language: ((m.start, m.end, m.entity) for m in redactor.find(text, Place(language))),
        "presidio": lambda text, language: (
            (one.start, one.end, NAMES.get(one.entity_type, ""))
            for one in plain.analyze(text, "en", score_threshold=0.4)
        ),
        "datatrove": lambda text, language: datatrove(text),
    }
    for name, rows in sets.items():
        never = {(kind, entity) for _, _, kind, _ in rows for entity in ENTITIES}
        never -= {(kind, entity) for _, _, kind, labels in rows for _, _, entity in labels}
        print(f"\n{name}: recall / precision (fair recall / fair precision)")
        print(f"{'entity':15} {'labels':>6}  " + "  ".join(f"{finder:^29}" for finder in finders))
        counts = {finder: _count(rows, find, never) for finder, find in finders.items()}
        for entity in ENTITIES:
            total = counts["ours"]["labels", entity]
            if total:
                print(f"{entity:15} {total:6}  " + "  ".join(_cells(counts[finder], entity) for finder in finders))


def _count(rows: Labelled, find: Callable[[str, str], Found], never: set[tuple[str, str]]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for text, language, kind, labels in rows:
        found = [one for one in find(text, language) if one[2]]
        for start, end, entity in labels:
            hit = any(s <= start and end <= e for s, e, other in found if other == entity)
            nobodys = entity == "ip" and not _is_somebodys(text[start:end])
            counts.update({("labels", entity): 1, ("hit", entity): hit})
            counts.update({("fair labels", entity): not nobodys, ("fair hit", entity): hit and not nobodys})
        for start, end, entity in found:
            right = any(start < e and s < end for s, e, other in labels if other == entity)
            fair = (kind, entity) not in never
            counts.update({("found", entity): 1, ("right", entity): right})
            counts.update({("fair found", entity): fair, ("fair right", entity): right and fair})
    return counts


def _is_somebodys(address: str) -> bool:
    try:
        made = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(made, ipaddress.IPv6Address) and made not in ipaddress.IPv6Network("2000::/3"):
        return False
    return made.is_global and not made.is_multicast and made.packed[-1] != 0


def _cells(counts: Counter[tuple[str, str]], entity: str) -> str:
    def part(name: str, of: str) -> str:
        return f"{counts[name, entity] / counts[of, entity]:.3f}" if counts[of, entity] else "  -  "

    fair = f"({part('fair hit', 'fair labels')} / {part('fair right', 'fair found')})"
    return f"{part('hit', 'labels')} / {part('right', 'found')} {fair}"


def clean_texts(shared: Path) -> dict[str, list[tuple[str, Place]]]:
    """Wikipedia pages, books and source files with the place they come from."""
    wiki = []
    for path in sorted((shared / "wikipedia").glob("enwiki*.xml.bz2")):
        with bz2.open(path, "rt", encoding="utf-8", errors="replace") as dump:
            sources = re.findall(r"<text[^>]*>(.*?)</text>", dump.read(), re.DOTALL)
        wiki += [wikitext.to_text(html.unescape(source)) for source in sources]
    books = zst_lines(shared / "books" / "books-plain.jsonl.zst")
    code = zst_lines(shared / "code" / "sources.jsonl.zst")
    return {
        "wikipedia": [(text, Place("en", "wikipedia")) for text in wiki if len(text) > 300],
        "books": [(row["text"], Place((row["lang"] or "")[:2], "books")) for row in books],
        "code": [(row["content"], Place("", "code", "", row["language"] or "")) for row in code if row["content"]],
    }


def false_alarms(texts: dict[str, list[tuple[str, Place]]]) -> None:
    """Print findings per million characters by entity, with what stays by default and (in brackets) with nothing kept."""
    default, everything = Redactor(PiiSettings()), Redactor(PiiSettings(keep={}))
    print("\nfindings per million characters of clean text (with names, addresses and coordinates not kept)")
    for name, rows in texts.items():
        size = sum(len(text) for text, _ in rows) / 1e6
        counts = [
            Counter(m.entity for text, place in rows for m in one.find(text, place)) for one in (default, everything)
        ]
        said = [
            f"{one} {counts[0][one] / size:.2f} ({counts[1][one] / size:.2f})" for one in ENTITIES if counts[1][one]
        ]
        print(f"{name:10} {size:5.1f} M: {', '.join(said)}")


def main() -> None:
    """Print all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warc", nargs="*", type=Path, help="WARC files with HTML")
    parser.add_argument("--pages", type=int, default=300, help="pages for the speed")
    parser.add_argument("--compare", type=int, default=40, help="pages that presidio's engine reads too")
    arguments = parser.parse_args()
    sample = pages(warcs(arguments.warc, ROOT / "build" / "benchmarks"), arguments.pages)
    step = max(len(sample) // arguments.compare, 1)
    speed(sample, sample[::step][: arguments.compare])
    if SHARED.exists():
        score(labelled_sets(SHARED / "pii"))
        false_alarms(clean_texts(SHARED))


if __name__ == "__main__":
    main()
