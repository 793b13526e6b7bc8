"""All recognizers as the settings want them, and the same as presidio's engine takes them: reading whole texts.

Importing this module imports presidio, and with it spaCy (no model): two seconds and sixty megabytes. So the redactor
imports it only when it is prepared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from filters.pii import credentials, finance, gates, identity, names, network, places
from filters.pii import phones as telephone
from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor, Anchors
from filters.pii.matches import Match
from filters.pii.presidio import EntityRecognizer, RecognizerResult
from filters.pii.settings import Entity, PiiSettings, Place

if TYPE_CHECKING:
    from filters.pii.engine import EngineFinder


class DenyList(Anchored):
    """The user's own words, taken wherever they stand as words."""

    def __init__(self, entity: Entity, words: Sequence[str]) -> None:
        super().__init__(entity, [Anchor(word.strip()) for word in words])

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The word itself."""
        yield Found(start, end, 1.0)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Recognizers of numbers for certain countries, and the one gate for all of them."""

    entities: tuple[Entity, ...]
    recognizers: tuple[EntityRecognizer, ...]
    gate: gates.NumberGate


@dataclass(frozen=True, slots=True)
class Phones:
    """Recognizers of telephone numbers for certain countries."""

    plausible: telephone.PlausiblePhoneRecognizer
    written: telephone.WrittenPhoneRecognizer


class Recognizers:
    """The recognizers that the settings ask for. ``anchored`` are found by key words, all others by their windows."""

    def __init__(self, settings: PiiSettings) -> None:
        self._settings = settings
        self.email = network.DomainEmailRecognizer(examples=settings.examples)
        self.ip = network.HostIpRecognizer(private=settings.private_ips, examples=settings.examples)
        self.mac = network.DeviceMacRecognizer()
        self.iban = finance.AnyCaseIbanRecognizer()
        self.wallet = finance.WalletRecognizer()
        makers = (
            telephone.CalledPhoneRecognizer,
            network.UrlCredentialRecognizer,
            network.ProfileUrlRecognizer,
            finance.accounts,
            identity.passports,
            identity.licences,
            credentials.SecretRecognizer,
            places.DegreesRecognizer,
            places.AddressRecognizer,
            names.NameRecognizer,
        )
        found: list[Anchored] = [make() for make in makers]
        found += identity.in_context()
        found += [DenyList(entity, words) for entity, words in settings.deny.items()]
        self.anchored = [one for one in found if one.entity in settings.entities]
        self.anchors = Anchors([one.anchors for one in self.anchored])
        self._finders: dict[str, EngineFinder] = {}
        self._numbers: dict[tuple[tuple[str, ...], frozenset[Entity], bool], Numbers] = {}
        self._phones: dict[tuple[tuple[str, ...], bool], Phones] = {}

    def numbers(self, countries: tuple[str, ...], wanted: frozenset[Entity], *, code: bool) -> Numbers:
        """The recognizers of numbers with a shape or check digits of their own, as these countries have them."""
        key = countries, wanted & _NUMBERS, code
        if key not in self._numbers:
            found: list[tuple[Entity, EntityRecognizer, re.Pattern[bytes]]] = []
            found.append(("credit_card", finance.IssuedCardRecognizer(), gates.CREDIT_CARD))
            found.append(("gps", places.CoordinatesRecognizer(), places.CoordinatesRecognizer.GATE))
            if "CN" in countries and not code:
                found.append(("phone", telephone.CnMobileRecognizer(), gates.CN_MOBILE))
            found += [
                ("national_id", shape.recognizer, shape.gate)
                for shape in identity.shaped()
                if not shape.countries or set(shape.countries) & set(countries)
            ]
            found = [one for one in found if one[0] in wanted]
            entities, recognizers, triggers = zip(*found, strict=True) if found else ((), (), ())
            self._numbers[key] = Numbers(entities, recognizers, gates.NumberGate(triggers))
        return self._numbers[key]

    def phones(self, countries: tuple[str, ...], *, code: bool) -> Phones:
        """The recognizers of these countries' telephone numbers; in code a number needs its country code."""
        key = () if code else countries, code
        if key not in self._phones:
            american = code or bool({"US", "CA"} & set(countries))
            regions = (telephone.NO_REGION,) if code or not countries else countries
            self._phones[key] = Phones(
                telephone.PlausiblePhoneRecognizer(regions), telephone.WrittenPhoneRecognizer(american=american)
            )
        return self._phones[key]

    def by_engine(self, text: str, language: str, wanted: frozenset[Entity]) -> Iterator[Match]:
        """What the model of the document's language finds, if the settings name one."""
        engine = self._settings.engine
        if engine is None or language not in engine.models or not wanted & set(engine.entities.values()):
            return
        if language not in self._finders:
            from filters.pii.engine import EngineFinder

            self._finders[language] = EngineFinder(engine, language)
        yield from (match for match in self._finders[language].find(text) if match.entity in wanted)

    def asked(self, number: int, wanted: frozenset[Entity], place: Place) -> Anchored | None:
        """The anchored recognizer of this number (its anchors' owner), if it is asked in a place."""
        anchored = self.anchored[number]
        return anchored if applies(anchored, wanted, place) else None

    def whole(self, place: Place) -> list[tuple[Entity, EntityRecognizer]]:
        """The same recognizers without gates, as presidio's engine takes them: each reads the whole text."""
        wanted = self._settings.wanted(place)
        countries = self._settings.countries(place.language)
        numbers = self.numbers(countries, wanted, code=place.is_code)
        phones = self.phones(countries, code=place.is_code)
        found: list[tuple[Entity, EntityRecognizer]] = [
            ("email", self.email),
            ("ip", self.ip),
            ("mac", self.mac),
            ("iban", self.iban),
            ("crypto", self.wallet),
            ("phone", cast(EntityRecognizer, phones.plausible)),
            ("phone", phones.written),
            *zip(numbers.entities, numbers.recognizers, strict=True),
        ]
        plain = [(entity, cast(EntityRecognizer, Whole(entity, one))) for entity, one in found if entity in wanted]
        return [*plain, *((one.entity, one) for one in self.anchored if applies(one, wanted, place))]


def applies(recognizer: Anchored, wanted: frozenset[Entity], place: Place) -> bool:
    """Whether the recognizer is asked in a place."""
    return recognizer.entity in wanted and not (recognizer.prose_only and place.is_code)


_NUMBERS: frozenset[Entity] = frozenset(("credit_card", "gps", "phone", "national_id"))


class Whole(EntityRecognizer):
    """A recognizer that reads the whole text as windows are read: letters of scripts without spaces end words."""

    def __init__(self, entity: Entity, inner: EntityRecognizer) -> None:
        super().__init__(supported_entities=[entity], name=f"{entity}: {type(inner).__name__}")
        self._entity, self._inner = entity, inner

    def load(self) -> None:
        """Nothing to load; presidio asks for the method."""

    def analyze(self, text: str, entities: Sequence[str] = (), nlp_artifacts: object = None) -> list[RecognizerResult]:
        """What is found in the whole text, under the entity's name here."""
        results = cast(Any, self._inner).analyze(gates.read_whole(text), [])
        return [RecognizerResult(self._entity, one.start, one.end, one.score) for one in results]
