"""Finds personal data with presidio's pattern recognizers and writes placeholders in its place.

E-mail addresses, telephone numbers, IP addresses, credit cards, IBANs, Chinese identity cards and mobile numbers. Names
and street addresses are not looked for: that takes a language model for each language and a thousand times the time.

The recognizers decide what is personal data (``filters.pii_recognizers``); cheap gates decide where it is worth while
to ask them (``filters.pii_gates``). The result is what the recognizers find in the whole text, but for two limits
that keep the time of hostile texts linear: ``PHONE_TRIES`` here, and the length of rows in
``pii_gates.phone_clusters``. No value that was found is kept, logged or put in an error.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from filters import pii_gates as gates

if TYPE_CHECKING:
    from filters.pii_recognizers import Recognizer

Entity = Literal["email", "phone", "ip", "credit_card", "iban", "cn_id", "cn_mobile"]
ENTITIES: Final[tuple[Entity, ...]] = get_args(Entity)

PHONE_TRIES: Final = 20_000
"""What one text may cost in vain tries for telephone numbers, in groups of digits times regions: about a second.

A text that spends them is a heap of figures (web pages and books spend under a thousand), and no more numbers are
looked for in it; phonenumbers itself gives up after 65,535 tries. Tries that find a number are free, so a telephone
directory is read to its end.
"""

Known = dict[tuple[str, int, int], list[tuple[int, int, float]]]
"""What is known of places that may hold a telephone number, while one text is read; they are the costly part."""

MAX_PASSES: Final = 16
"""A placeholder may lay bare what it stands beside (digits that ran on), so texts are read until nothing is found."""


class PiiSettings(BaseModel):
    """What to remove, and what to write instead.

    The recognizers' scores: 1.0 for what passes a check (e-mail addresses with a known top-level domain; cards, IBANs
    and identity cards with the right check digits), 0.7 and 0.5 for Chinese mobile numbers with and without country
    code, 0.6 for IP addresses, 0.4 for telephone numbers. So the default ``min_score`` takes all of them, 0.5 all but
    the last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entities: tuple[Entity, ...] = ENTITIES
    min_score: float = Field(default=0.4, ge=0.0, le=1.0)
    regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "ES", "CN")
    """Where telephone numbers without country code may come from; with it they are found whatever the country."""
    private_ips: bool = False
    """Also remove private, loopback, documentation and other addresses that belong to no one."""
    placeholders: dict[Entity, str] = Field(default_factory=dict, validate_default=True)
    """What is written for an entity; those not named get ``<EMAIL>``, ``<PHONE>`` and so on."""

    @field_validator("regions")
    @classmethod
    def _known_regions(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        from phonenumbers import SUPPORTED_REGIONS

        if unknown := sorted(set(regions) - SUPPORTED_REGIONS):
            raise ValueError(f"unknown regions {unknown}: two capital letters are wanted, as in ISO 3166 (GB, not UK)")
        return regions

    @field_validator("placeholders")
    @classmethod
    def _inert(cls, placeholders: dict[Entity, str]) -> dict[Entity, str]:
        for entity, text in placeholders.items():
            if any(character in "@:" or character.isdigit() for character in text):
                raise ValueError(
                    f"placeholder {text!r} of {entity}: with a digit, '@' or ':' it may pass for personal data"
                )
        return {entity: f"<{entity.upper()}>" for entity in ENTITIES} | placeholders


class Match(NamedTuple):
    """Personal data in a text: characters ``[start, end)``, what it is, and how sure the recognizer is (0 to 1)."""

    start: int
    end: int
    entity: Entity
    score: float


class Redactor:
    """Finds and replaces personal data as the settings say; keeps the recognizers and nothing of what it reads."""

    def __init__(self, settings: PiiSettings) -> None:
        self.settings = settings
        self._recognizers: dict[str, Recognizer] | None = None

    def prepare(self) -> Mapping[str, Recognizer]:
        """Load the recognizers (this imports presidio: seconds) and return them by entity."""
        if self._recognizers is None:
            from filters.pii_recognizers import load_recognizers

            self._recognizers = load_recognizers(
                self.settings.entities, self.settings.regions, self.settings.private_ips
            )
        return self._recognizers

    def find(self, text: str) -> list[Match]:
        """The personal data in the text, in order and without overlaps (``resolve`` says which of two is taken)."""
        return self._find(text, {})

    def redact(self, text: str) -> tuple[str, dict[str, int]]:
        """The text with placeholders in place of personal data, and how many of each entity were replaced.

        What is written depends on the entity alone. Redacting the result again changes nothing (short of texts made to
        lay bare something new more than ``MAX_PASSES`` times).
        """
        counts: dict[Entity, int] = {}
        known: Known = {}
        for _ in range(MAX_PASSES):
            matches = self._find(text, known)
            if not matches:
                break
            pieces: list[str] = []
            done = 0
            for match in matches:
                pieces += text[done : match.start], self.settings.placeholders[match.entity]
                counts[match.entity] = counts.get(match.entity, 0) + 1
                done = match.end
            text = "".join(pieces) + text[done:]
        return text, {entity: counts[entity] for entity in ENTITIES if entity in counts}

    def _find(self, text: str, known: Known) -> list[Match]:
        return resolve(match for match in self._candidates(text, known) if match.score >= self.settings.min_score)

    def _candidates(self, text: str, known: Known) -> Iterator[Match]:
        recognizers = self.prepare()
        read = gates.readable(text)
        digits = gates.digit_positions(read.image)
        runs = gates.digit_runs(digits, gates.MIN_PHONE_DIGITS)
        for entity in self.settings.entities:
            if entity == "phone":
                if runs:
                    yield from self._phones(read, known)
                continue
            for window in _windows(entity, read.image, digits, runs):
                for found in recognizers[entity].analyze(read.slice(window), []):
                    yield Match(window.start + found.start, window.start + found.end, entity, found.score)

    def _phones(self, read: gates.Readable, known: Known) -> Iterator[Match]:
        from filters.pii_recognizers import PlausiblePhoneRecognizer

        recognizer = self.prepare()["phone"]
        assert isinstance(recognizer, PlausiblePhoneRecognizer)
        tries = 0
        for first, last, (start, end) in gates.phone_clusters(read.image):
            cluster = (read.slice(gates.Window(start, end)), first - start, last - start)
            if cluster not in known:
                results, spent = recognizer.analyze_cluster(*cluster)
                known[cluster] = [(found.start, found.end, found.score) for found in results]
                tries += spent
            for found_start, found_end, score in known[cluster]:
                yield Match(start + found_start, start + found_end, "phone", score)
            if tries > PHONE_TRIES:
                return


def _windows(
    entity: Entity, image: bytes, digits: NDArray[np.int64], runs: list[gates.Window]
) -> Iterator[gates.Window]:
    """The windows that an entity's gate opens."""
    match entity:
        case "email":
            return gates.email_windows(image)
        case "ip":
            return gates.ip_windows(image, digits)
        case "iban":
            return gates.iban_windows(image, digits)
        case "credit_card":
            return gates.run_windows(image, runs, gates.CREDIT_CARD)
        case "cn_id":
            return gates.run_windows(image, runs, gates.CN_ID)
        case "cn_mobile":
            return gates.run_windows(image, runs, gates.CN_MOBILE)
        case "phone":
            raise AssertionError("telephone numbers have clusters, not windows")


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
