"""Money: credit cards, IBANs, bank accounts, wallets of crypto currencies."""

from __future__ import annotations

import re
from typing import Any, Final

from filters.pii.anchored import InContext
from filters.pii.presidio import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from filters.pii.presidio import predefined_recognizers as presidio

_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"  # Discover, JCB
    r"|3(?:0[0-59]|[689]\d)\d{11}"  # Diners Club
    r"|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"  # UnionPay, Maestro
)
"""The leading digits and lengths that are issued; a tenth of all other figures would pass the check digit by chance."""


class IssuedCardRecognizer(presidio.CreditCardRecognizer):
    """presidio's credit cards that begin as an issuer's do, and are no part of a longer figure.

    presidio's pattern wants no lone digits around but takes ``0.4111111111111111`` and any figure whose check digit is
    right; three groups of a card in a row of figures would do as well.
    """

    def __init__(self) -> None:
        patterns = [
            Pattern(one.name, rf"(?<![\w.,/=&-])(?<!\d )(?:{one.regex})(?![-\w/=]| \d|[.,]\d)", one.score)
            for one in presidio.CreditCardRecognizer.PATTERNS
        ]
        union_pay = r"(?<![\w.,/=&-])62[0-9]{2} ?[0-9]{4} ?[0-9]{4} ?[0-9]{4} ?[0-9]{1,3}(?![-\w/=]| \d|[.,]\d)"
        super().__init__(patterns=[*patterns, Pattern("UnionPay of 17 to 19 digits", union_pay, 0.3)])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the number is an issuer's and its check digit (Luhn) right."""
        digits = re.sub(r"\D", "", pattern_text)
        valid = _ISSUED.fullmatch(digits) and len(set(digits)) > 1 and super().validate_result(pattern_text)
        return bool(valid)


_LOWER_IBAN = re.compile(r"(?<!\w)[a-z]{2}[0-9]{2}[a-z0-9]{11,30}(?!\w)")


class AnyCaseIbanRecognizer(presidio.IbanRecognizer):
    """presidio's IBANs, and those in lower case where they stand in one piece and pass the same checks."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: Any = None, regex_flags: Any = None
    ) -> list[RecognizerResult]:
        """The IBANs in the text."""
        results: list[RecognizerResult] = super().analyze(text, entities, nlp_artifacts, regex_flags)
        results += [
            RecognizerResult("IBAN_CODE", match.start(), match.end(), 1.0)
            for match in _LOWER_IBAN.finditer(text)
            if self.validate_result(match[0].upper())
        ]
        return results


class WalletRecognizer(presidio.CryptoRecognizer):
    """presidio's Bitcoin wallets (with check sums), and addresses of Ethereum: ``0x`` and forty hexadecimal digits.

    presidio looks inside longer words too, which would take ``1`` in the midst of base64.
    """

    def __init__(self) -> None:
        bitcoin = r"(?<!\w)(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,59}(?!\w)"
        super().__init__(patterns=[Pattern("Bitcoin", bitcoin, 0.5)])

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: Any = None, regex_flags: Any = None
    ) -> list[RecognizerResult]:
        """The wallets in the text."""
        results: list[RecognizerResult] = super().analyze(text, entities, nlp_artifacts, regex_flags)
        results += [
            RecognizerResult("CRYPTO", match.start(), match.end(), 0.6)
            for match in _ETHEREUM.finditer(text)
            if len(set(match[0][2:].lower())) > 6
        ]
        return results


_ETHEREUM = re.compile(r"(?<!\w)0x[0-9a-fA-F]{40}(?!\w)")

ACCOUNT_WORDS: Final = (
    *("account number", "account no", "account no.", "account #", "acct", "acct no", "acct #", "bank account"),
    *("account", "a/c", "a/c no", "routing number", "routing no", "routing", "aba", "sort code", "checking account"),
    *("kontonummer", "konto-nr", "kto", "kto.", "kto.-nr", "bankleitzahl", "blz", "rib", "numéro de compte"),
    *("número de cuenta", "cuenta bancaria", "numero di conto", "银行账号", "银行账户", "银行卡号", "银行卡", "账号"),
    *("帐号", "卡号", "账户", "開戶", "开户行账号", "口座番号", "계좌번호", "numer konta", "rekeningnummer"),
)


class _AccountRecognizer(PatternRecognizer):
    """Numbers as banks write them: in one piece or in groups, ten to twenty digits; British sort codes."""

    def __init__(self) -> None:
        grouped = r"(?<![\w.-])\d{4}(?:[ -]\d{4}){2,4}(?:[ -]\d{1,4})?(?![\w-]|\.\d)"
        german = r"(?<![\w.-])\d{2,4}(?: \d{2,3}){2,3}(?![\w-]|[ .]\d)"
        sort_code = r"(?<![\w.-])\d{2}-\d{2}-\d{2}(?![\w-]|\.\d)"
        piece = r"(?<![\w.-])\d{18,20}(?![\w-]|\.\d)"
        patterns = {"grouped": grouped, "German": german, "sort code": sort_code, "long": piece}
        super().__init__("BANK_ACCOUNT", patterns=[Pattern(name, regex, 0.1) for name, regex in patterns.items()])


def accounts() -> InContext:
    """Numbers of bank accounts behind their key words."""
    recognizers: list[EntityRecognizer] = [
        presidio.UsBankRecognizer(),
        presidio.AbaRoutingRecognizer(),
        _AccountRecognizer(),
    ]
    return InContext("bank_account", recognizers, ACCOUNT_WORDS, reach=25)
