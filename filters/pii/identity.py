"""National identity numbers, passports and driving licences: presidio's recognizers, and a few that it has not.

Numbers with a shape of their own (``123-45-6789``) or check digits that hardly pass by chance are found wherever they
stand, if they belong to a country of the document; all the others only behind a key word.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from filters.pii.anchored import InContext
from filters.pii.presidio import EntityRecognizer, Pattern, PatternRecognizer
from filters.pii.presidio import predefined_recognizers as presidio


class CnIdRecognizer(PatternRecognizer):
    """Numbers of Chinese resident identity cards: 18 characters with a date of birth and a check digit (GB 11643)."""

    WEIGHTS: Final = tuple(pow(2, 17 - place, 11) for place in range(17))
    CHECK_DIGITS: Final = "10X98765432"

    def __init__(self) -> None:
        regex = r"(?<![0-9A-Za-z])[1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9X](?![0-9A-Za-z])"
        super().__init__("CN_ID", patterns=[Pattern("resident identity card", regex, 0.5)])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the date exists and the check digit (ISO 7064 MOD 11-2) is right."""
        try:
            datetime.date(int(pattern_text[6:10]), int(pattern_text[10:12]), int(pattern_text[12:14]))
        except ValueError:
            return False
        total = sum(int(digit) * weight for digit, weight in zip(pattern_text[:17], self.WEIGHTS, strict=True))
        return self.CHECK_DIGITS[total % 11] == pattern_text[17].upper()


class FrNirRecognizer(PatternRecognizer):
    """French social security numbers (NIR): sex, year, month, place of birth, order, and a key modulo 97 (INSEE)."""

    def __init__(self) -> None:
        regex = (
            r"(?<![0-9A-Za-z])[12][ .-]?[0-9]{2}[ .-]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ .-]?(?:[0-9]{2}|2[AB])[ .-]?[0-9]{3}"
            r"[ .-]?[0-9]{3}[ .-]?[0-9]{2}(?![0-9A-Za-z])"
        )
        super().__init__("FR_NIR", patterns=[Pattern("NIR", regex, 0.4)])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the key is 97 minus the number modulo 97; Corsica's 2A counts as 19, 2B as 18."""
        digits = re.sub(r"[ .-]", "", pattern_text).upper().replace("2A", "19").replace("2B", "18")
        return digits.isdecimal() and 97 - int(digits[:13]) % 97 == int(digits[13:])


class BrCpfRecognizer(PatternRecognizer):
    """Brazilian taxpayer numbers (CPF): nine digits and two check digits modulo 11, ``123.456.789-09``."""

    def __init__(self) -> None:
        regex = r"(?<![0-9A-Za-z.-])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![0-9A-Za-z-])"
        super().__init__("BR_CPF", patterns=[Pattern("CPF", regex, 0.5)])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether both check digits are right and not all digits the same."""
        digits = [int(one) for one in pattern_text if one.isdecimal()]
        if len(set(digits)) == 1:
            return False
        for length in (9, 10):
            total = sum(digit * (length + 1 - place) for place, digit in enumerate(digits[:length]))
            if digits[length] != total * 10 % 11 % 10:
                return False
        return True


class DashedSsnRecognizer(presidio.UsSsnRecognizer):
    """presidio's social security numbers, hyphens only, and no areas that were never given (000, 666, 900 to 999)."""

    def __init__(self) -> None:
        regex = r"(?<![\w.-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-]|\.[0-9])"
        super().__init__(patterns=[Pattern("SSN with hyphens", regex, 0.5)])


class DashedItinRecognizer(presidio.UsItinRecognizer):
    """presidio's individual taxpayer numbers, written with hyphens."""

    def __init__(self) -> None:
        regex = r"(?<![\w.-])9[0-9]{2}-(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9])-[0-9]{4}(?![\w-]|\.[0-9])"
        super().__init__(patterns=[Pattern("ITIN with hyphens", regex, 0.5)])


class Shaped(NamedTuple):
    """An identity number that is found without a key word: where (ISO 3166; empty: anywhere), how, and its gate.

    The gate is a regular expression over image bytes (``filters.pii.gates``) that matches whatever the recognizer does.
    """

    countries: tuple[str, ...]
    recognizer: EntityRecognizer
    gate: re.Pattern[bytes]


def shaped() -> tuple[Shaped, ...]:
    """Identity numbers that are told by their shape and check digits."""
    return (
        Shaped((), CnIdRecognizer(), re.compile(rb"[1-9][0-9]{16}[0-9Xx]")),
        Shaped(("US",), DashedSsnRecognizer(), re.compile(rb"[0-9]{3}-[0-9]{2}-[0-9]{4}")),
        Shaped(("US",), DashedItinRecognizer(), re.compile(rb"9[0-9]{2}-[5-9][0-9]-[0-9]{4}")),
        Shaped(
            ("GB",),
            PatternRecognizer(
                "UK_NINO",
                patterns=[
                    Pattern(
                        "NINO",
                        r"(?<![\w-])(?!BG|GB|NK|KN|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] "
                        r"[0-9]{2} [0-9]{2} [0-9]{2} [A-D](?![\w-])",
                        0.5,
                    )
                ],
                global_regex_flags=0,
            ),
            re.compile(rb"[A-Z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [A-D]"),
        ),
        Shaped(
            ("KR",),
            presidio.KrRrnRecognizer(patterns=[Pattern("RRN", r"(?<![\w-])\d{6}-[1-4]\d{6}(?![\w-])", 0.5)]),
            re.compile(rb"[0-9]{6}-[1-4][0-9]{6}"),
        ),
        Shaped(
            ("FI",),
            presidio.FiPersonalIdentityCodeRecognizer(
                patterns=[Pattern("HETU", r"(?<![\w-])\d{6}[-+A-FU-Y]\d{3}[0-9A-Y](?![\w-])", 0.5)]
            ),
            re.compile(rb"[0-9]{6}[-+A-Ya-y][0-9]{3}[0-9A-Ya-y]"),
        ),
        Shaped(
            ("ES",),
            presidio.EsNifRecognizer(patterns=[Pattern("NIF", r"(?<![\w.-])[0-9]{8}-?[A-Z](?![\w-])", 0.5)]),
            re.compile(rb"[0-9]{8}-?[A-Za-z]"),
        ),
        Shaped(
            ("ES",),
            presidio.EsNieRecognizer(patterns=[Pattern("NIE", r"(?<![\w.-])[XYZ]-?[0-9]{7}-?[A-Z](?![\w-])", 0.5)]),
            re.compile(rb"[XYZxyz]-?[0-9]{7}-?[A-Za-z]"),
        ),
        Shaped(
            (),
            presidio.ItFiscalCodeRecognizer(
                patterns=[
                    Pattern(
                        "codice fiscale", r"(?<!\w)[A-Z]{6}[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z](?!\w)", 0.5
                    )
                ]
            ),
            re.compile(rb"[A-Za-z]{6}[0-9]{2}[A-Ta-t][0-9]{2}[A-Za-z][0-9]{3}[A-Za-z]"),
        ),
        Shaped(
            ("FR",),
            FrNirRecognizer(),
            re.compile(rb"[12][ .-]?[0-9]{2}[ .-]?[0-9]{2}[ .-]?[0-9A-Ba-b]{2}[ .-]?[0-9]{3}"),
        ),
        Shaped(("BR",), BrCpfRecognizer(), re.compile(rb"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}")),
        Shaped(
            ("PL",),
            presidio.PlPeselRecognizer(
                patterns=[
                    Pattern(
                        "PESEL",
                        r"(?<![\w.,+-])[0-9]{2}(?:[02468][1-9]|[13579][012])(?:0[1-9]|[12][0-9]|3[01])[0-9]{5}(?![\w-])",
                        0.4,
                    )
                ]
            ),
            re.compile(rb"[0-9]{11}"),
        ),
        Shaped(
            ("SE",),
            presidio.SePersonnummerRecognizer(
                patterns=[Pattern("personnummer", r"(?<![\w.-])(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}(?![\w-])", 0.5)]
            ),
            re.compile(rb"[0-9]{6}[-+][0-9]{4}"),
        ),
        Shaped(
            ("TH",),
            presidio.ThTninRecognizer(),
            re.compile(rb"[1-9][0-9]{12}"),
        ),
    )


_SSN_WORDS: Final = ("ssn", "ssns", "social security", "soc sec", "ssn#")
_ES_WORDS: Final = ("dni", "nif", "nie", "documento nacional de identidad", "número de identidad", "d.n.i.", "n.i.f.")
_DE_HEALTH: Final = ("krankenversicherungsnummer", "krankenversichertennummer", "versichertennummer", "kvnr")

ID_WORDS: Final[tuple[tuple[tuple[type[Any], ...], tuple[str, ...]], ...]] = (
    ((presidio.UsSsnRecognizer,), _SSN_WORDS),
    ((presidio.UsItinRecognizer,), ("itin", "taxpayer id", "taxpayer identification", "tax id")),
    ((presidio.UsMbiRecognizer,), ("medicare", "mbi")),
    ((presidio.NhsRecognizer,), ("nhs", "national health service")),
    ((presidio.UkNinoRecognizer,), ("national insurance", "nino", "ni number", "ni no")),
    ((presidio.CaSinRecognizer,), ("social insurance", "sin number", "sin no", "assurance sociale", "numéro nas")),
    ((presidio.AuTfnRecognizer,), ("tfn", "tax file number")),
    ((presidio.AuMedicareRecognizer,), ("medicare",)),
    ((presidio.InAadhaarRecognizer,), ("aadhaar", "aadhar", "uidai", "आधार")),
    ((presidio.InPanRecognizer,), ("permanent account number", "pan number", "pan card", "pan no")),
    ((presidio.InVoterRecognizer,), ("voter id", "epic no", "epic number")),
    ((presidio.SgFinRecognizer,), ("nric", "fin number", "fin no")),
    ((presidio.PhUmidRecognizer,), ("umid", "philhealth", "crn")),
    ((presidio.NgNinRecognizer,), ("nin", "national identification number")),
    ((presidio.ZaIdNumberRecognizer,), ("id number", "identity number", "rsa id", "id no")),
    (
        (presidio.KrRrnRecognizer, presidio.KrFrnRecognizer),
        ("주민등록번호", "주민번호", "외국인등록번호", "rrn", "frn"),
    ),
    (
        (presidio.FiPersonalIdentityCodeRecognizer,),
        ("hetu", "henkilötunnus", "personbeteckning", "personal identity code"),
    ),
    ((presidio.EsNifRecognizer, presidio.EsNieRecognizer), _ES_WORDS),
    ((presidio.ItFiscalCodeRecognizer,), ("codice fiscale", "cod. fisc.", "c.f.")),
    ((presidio.ItIdentityCardRecognizer,), ("carta d'identità", "carta di identità", "carta d’identità", "cie")),
    ((presidio.PlPeselRecognizer,), ("pesel",)),
    (
        (presidio.DeTaxIdRecognizer,),
        ("steuer-id", "steuer-identifikationsnummer", "steueridentifikationsnummer", "steuer-idnr", "idnr"),
    ),
    ((presidio.DeTaxNumberRecognizer,), ("steuernummer", "steuer-nr", "st.-nr", "steuer-nummer")),
    (
        (presidio.DeSocialSecurityRecognizer,),
        ("sozialversicherungsnummer", "rentenversicherungsnummer", "sv-nummer", "versicherungsnummer"),
    ),
    ((presidio.DeHealthInsuranceRecognizer,), _DE_HEALTH),
    ((presidio.DeIdCardRecognizer,), ("personalausweis", "personalausweisnummer", "ausweisnummer", "ausweis-nr")),
    ((FrNirRecognizer,), ("sécurité sociale", "numéro de sécu", "nir", "n° ss")),
    ((BrCpfRecognizer,), ("cpf",)),
    ((presidio.SePersonnummerRecognizer,), ("personnummer", "samordningsnummer")),
    ((presidio.ThTninRecognizer,), ("เลขประจำตัวประชาชน", "เลขบัตรประชาชน")),
    ((presidio.TrNationalIdRecognizer,), ("tc kimlik", "t.c. kimlik", "kimlik no", "kimlik numarası", "tckn")),
)
"""presidio's recognizers of identity numbers and the key words that must stand before them."""

PASSPORT_WORDS: Final = (
    *("passport", "passports", "passport#", "travel document", "reisepass", "reisepassnummer", "passnummer", "pass-nr"),
    *("passeport", "pasaporte", "passaporto", "passaporte", "护照", "护照号", "護照", "パスポート", "여권", "여권번호"),
)
LICENCE_WORDS: Final = (
    *(
        "driver's license",
        "driver’s license",
        "drivers license",
        "driver license",
        "driving license",
        "driver's licence",
    ),
    *("driving licence", "driver licence", "license number", "licence number", "dl number", "dl no", "dvla"),
    *("führerschein", "führerscheinnummer", "patente di guida", "permis de conduire", "carné de conducir", "运转免许"),
    *("permiso de conducir", "licencia de conducir", "驾驶证", "驾照", "운전면허", "운전면허번호", "運転免許"),
)


def in_context() -> tuple[InContext, ...]:
    """Identity numbers behind their key words."""
    return tuple(InContext("national_id", [one() for one in classes], words) for classes, words in ID_WORDS)


def passports() -> InContext:
    """Passport numbers behind the word for passport."""
    chinese = Pattern("Chinese passport", r"(?<![0-9A-Za-z])(?:E[A-HJ-NP-Z]?|[GDSPH])[0-9]{7,8}(?![0-9A-Za-z])", 0.1)
    french = Pattern("French passport", r"(?<![0-9A-Za-z])[0-9]{2}[A-Z]{2}[0-9]{5}(?![0-9A-Za-z])", 0.1)
    classes: Sequence[type[Any]] = (
        *(presidio.UsPassportRecognizer, presidio.UkPassportRecognizer, presidio.DePassportRecognizer),
        *(presidio.EsPassportRecognizer, presidio.ItPassportRecognizer, presidio.InPassportRecognizer),
        *(presidio.KrPassportRecognizer, presidio.ZaPassportRecognizer, presidio.PhPassportRecognizer),
    )
    own = PatternRecognizer("PASSPORT", patterns=[chinese, french])
    return InContext("passport", [*(one() for one in classes), own], PASSPORT_WORDS)


def licences() -> InContext:
    """Numbers of driving licences behind the words for them."""
    classes: Sequence[type[Any]] = (
        *(presidio.UsLicenseRecognizer, presidio.UkDrivingLicenceRecognizer, presidio.DeFuehrerscheinRecognizer),
        *(presidio.ItDriverLicenseRecognizer, presidio.KrDriverLicenseRecognizer, presidio.ZaDriverLicenseRecognizer),
    )
    chinese = Pattern("Chinese licence", r"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])", 0.1)
    own = PatternRecognizer("DRIVER_LICENSE", patterns=[chinese])
    return InContext("driver_license", [*(one() for one in classes), CnIdRecognizer(), own], LICENCE_WORDS)
