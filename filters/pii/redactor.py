"""Finds personal data, judges it as the recipe says, and rewrites the text.

The recognizers decide what is personal data; cheap gates (``filters.pii.gates``, ``filters.pii.anchors``) decide where it
is worth while to ask them. The result is what the recognizers find in the whole text, but for two limits that keep the
time of hostile texts linear: ``PHONE_TRIES`` here, and the length of rows in ``gates.phone_clusters``. No value that was
found is kept, logged or put in an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from filters.pii import gates
from filters.pii.lookalikes import is_lookalike
from filters.pii.matches import Match, resolve
from filters.pii.rewriting import replacement
from filters.pii.settings import ANYWHERE, ENTITIES, Entity, PiiSettings, Place

if TYPE_CHECKING:
    from filters.pii.recognizers import Recognizers

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


class Redactor:
    """Finds and replaces personal data as the settings say; keeps the recognizers and nothing of what it reads."""

    def __init__(self, settings: PiiSettings) -> None:
        self.settings = settings
        self._recognizers: Recognizers | None = None
        self._allowed = frozenset(value.casefold() for value in settings.allow)

    def prepare(self) -> Recognizers:
        """Load the recognizers (this imports presidio: seconds) and return them."""
        if self._recognizers is None:
            if self.settings.engine is not None:
                import presidio_analyzer  # noqa: F401 - whole, with what models need (see filters.pii.presidio)
            from filters.pii.recognizers import Recognizers

            self._recognizers = Recognizers(self.settings)
        return self._recognizers

    def find(self, text: str, place: Place = ANYWHERE) -> list[Match]:
        """The personal data in the text, in order and without overlaps (``resolve`` says which of two is taken)."""
        return self._find(text, place, {})

    def redact(self, text: str, place: Place = ANYWHERE) -> tuple[str, dict[str, int]]:
        """The text with placeholders in place of personal data, and how many of each entity were found.

        What is written depends on the value, the entity and the recipe alone. Redacting the result again changes nothing
        (short of texts made to lay bare something new more than ``MAX_PASSES`` times).
        """
        counts: dict[Entity, int] = {}
        known: Known = {}
        code = (place.code or "code") if place.is_code else ""
        counted_only = {entity for entity, action in self.settings.actions.items() if action == "count"}
        for turn in range(MAX_PASSES):
            matches = self._find(text, place, known)
            rewritten = [match for match in matches if match.entity not in counted_only]
            for match in rewritten if turn else matches:
                counts[match.entity] = counts.get(match.entity, 0) + 1
            if not rewritten:
                break
            pieces: list[str] = []
            done = 0
            for match in rewritten:
                pieces += text[done : match.start], replacement(text, match, self.settings, code)
                done = match.end
            text = "".join(pieces) + text[done:]
        return text, {entity: counts[entity] for entity in ENTITIES if entity in counts}

    def too_many(self, counts: dict[str, int]) -> Entity | None:
        """The first entity of which a document holds more than ``drop_above`` allows, None if there is none."""
        return next((one for one, most in self.settings.drop_above.items() if counts.get(one, 0) > most), None)

    def judge(self, text: str, candidates: Iterable[Match]) -> list[Match]:
        """The findings that count: sure enough, not allowed by name, no look-alikes; the best of those that overlap."""
        return resolve(
            match
            for match in candidates
            if match.score >= self.settings.threshold(match.entity)
            and not is_lookalike(text, match)
            and not (self._allowed and text[match.start : match.end].casefold() in self._allowed)
        )

    def _find(self, text: str, place: Place, known: Known) -> list[Match]:
        return self.judge(text, self._candidates(text, place, known))

    def _candidates(self, text: str, place: Place, known: Known) -> Iterator[Match]:
        own = self.prepare()
        wanted = self.settings.wanted(place)
        read = gates.readable(text)
        points = np.frombuffer(read.image, np.uint8) if read.points is None else read.points
        for number, spans in own.anchors.find(points).items():
            if anchored := own.asked(number, wanted, place):
                for start, end, score in anchored.find(text, spans):
                    yield Match(start, end, anchored.entity, score)
        digits = gates.digit_positions(read.image)
        for entity, recognizer, windows in self._windows(read, digits, place, wanted):
            for window in windows:
                for found in recognizer.analyze(read.slice(window), []):
                    yield Match(window.start + found.start, window.start + found.end, entity, found.score)
        if "phone" in wanted and gates.digit_runs(digits, gates.MIN_PHONE_DIGITS):
            yield from self._phones(read, place, known)
        yield from own.by_engine(text, place.language, wanted)

    def _windows(
        self, read: gates.Readable, digits: NDArray[np.int64], place: Place, wanted: frozenset[Entity]
    ) -> Iterator[tuple[Entity, Any, Iterable[gates.Window]]]:
        """The windows that the gates open, with the recognizer that shall read them."""
        own = self.prepare()
        image = read.image
        runs = gates.digit_runs(digits, gates.MIN_RUN_DIGITS)
        if "email" in wanted:
            yield "email", own.email, gates.email_windows(image)
        if "ip" in wanted:
            yield "ip", own.ip, gates.ip_windows(image, digits)
        if "mac" in wanted:
            yield "mac", own.mac, gates.mac_windows(image)
        if "iban" in wanted:
            yield "iban", own.iban, gates.iban_windows(image, digits)
        if "crypto" in wanted or "iban" in wanted:
            words = gates.long_words(image, gates.SHORTEST_IBAN)
            if "iban" in wanted:
                yield "iban", own.iban, gates.lower_iban_windows(image, words)
            if "crypto" in wanted:
                yield "crypto", own.wallet, gates.wallet_windows(image, words)
        if runs:
            numbers = own.numbers(self.settings.countries(place.language), wanted, code=place.is_code)
            for place_, which in gates.number_windows(image, runs, numbers.gate):
                for one in which:
                    yield numbers.entities[one], numbers.recognizers[one], (place_,)

    def _phones(self, read: gates.Readable, place: Place, known: Known) -> Iterator[Match]:
        own = self.prepare()
        phones = own.phones(self.settings.countries(place.language), code=place.is_code)
        tries = 0
        for first, last, (start, end) in gates.phone_clusters(read.image):
            cluster = (read.slice(gates.Window(start, end)), first - start, last - start)
            if cluster not in known:
                results, spent = phones.written.analyze(cluster[0], []), 0
                # One number in all of the cluster that looks like one: whatever phonenumbers finds there loses to it.
                if not any(one.start <= cluster[1] and one.end >= cluster[2] for one in results):
                    plausible, spent = phones.plausible.analyze_cluster(*cluster)
                    results += plausible
                known[cluster] = [(found.start, found.end, found.score) for found in results]
                tries += spent
            for found_start, found_end, score in known[cluster]:
                yield Match(start + found_start, start + found_end, "phone", score)
            if tries > PHONE_TRIES:
                return
