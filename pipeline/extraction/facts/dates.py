"""Finds a calendar date in a short piece of text, as pages write them in two dozen languages."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final

LONGEST: Final = 400
"""Characters of a text that are looked at."""

EARLIEST: Final = date(1990, 1, 1)

_MONTHS: Final = (
    # en de fr es it pt nl, then the Nordic, Slavic, Baltic and Balkan ones, Turkish, Indonesian, Greek, Russian ...
    "january januar jänner janvier enero gennaio janeiro januari styczeń stycznia leden ledna január januára siječanj "
    "siječnja ianuarie ocak ιανουαρίου ιανουάριος января январь січня януари tammikuuta jaanuar sausio jan. janv ene gen "
    "jan sty led янв січ ιαν يناير ינואר जनवरी มกราคม",
    "february februar feber février febrero febbraio fevereiro februari luty lutego únor února február februára veljača "
    "veljače februarie şubat φεβρουαρίου φεβρουάριος февраля февраль лютого февруари helmikuuta veebruar vasario feb févr "
    "febr fev lut úno фев лют φεβ فبراير פברואר फरवरी กุมภาพันธ์",
    "march märz mars marzo março maart marts marec marca březen března marzec ožujak ožujka martie mart μαρτίου μάρτιος "
    "марта март березня maaliskuuta märts kovo mar mär mrz maret мар бер μαρ مارس מרץ मार्च มีนาคม",
    "april avril abril aprile kwiecień kwietnia duben dubna apríl apríla travanj travnja aprilie nisan απριλίου απρίλιος "
    "апреля апрель квітня април huhtikuuta aprill balandžio apr avr abr kwi dub апр кві απρ أبريل אפריל अप्रैल เมษายน",
    "may mai mayo maggio maio mei maj maja květen května máj mája svibanj svibnja mayıs μαΐου μάιος мая май травня "
    "toukokuuta gegužės mag kvě тра μαΐ مايو מאי मई พฤษภาคม",
    "june juni juin junio giugno junho czerwiec czerwca červen června jún júna lipanj lipnja iunie haziran ιουνίου "
    "ιούνιος июня июнь червня юни kesäkuuta juuni birželio jun giu cze июн чер ιουν يونيو יוני जून มิถุนายน",
    "july juli juillet julio luglio julho lipiec lipca červenec července júl júla srpanj srpnja iulie temmuz ιουλίου "
    "ιούλιος июля июль липня юли heinäkuuta juuli liepos jul juil lug lip июл ιουλ يوليو יולי जुलाई กรกฎาคม",
    "august août agosto augustus augusti sierpień sierpnia srpen srpna augusta kolovoz kolovoza ağustos αυγούστου "
    "αύγουστος августа август серпня elokuuta rugpjūčio agustus aug ago sie srp авг сер αυγ أغسطس אוגוסט अगस्त สิงหาคม",
    "september septembre septiembre settembre setembro wrzesień września září septembra rujan rujna septembrie eylül "
    "σεπτεμβρίου σεπτέμβριος сентября сентябрь вересня септември syyskuuta rugsėjo sep sept set wrz сен вер σεπ سبتمبر "
    "ספטמבר सितंबर กันยายน",
    "october oktober octobre octubre ottobre outubro październik października říjen října október októbra listopada "
    "octombrie ekim οκτωβρίου οκτώβριος октября октябрь жовтня октомври lokakuuta oktoober spalio oct okt ott out paź říj "
    "окт жов οκτ أكتوبر אוקטובר अक्टूबर ตุลาคม",
    "november novembre noviembre novembro listopad listopadu novembra studeni studenoga noiembrie kasım νοεμβρίου "
    "νοέμβριος ноября ноябрь ноември marraskuuta lapkričio nov lis ноя νοε نوفمبر נובמבר नवंबर พฤศจิกายน",
    "december dezember décembre diciembre dicembre dezembro desember grudzień grudnia prosinec prosince decembra prosinac "
    "prosinca decembrie aralık δεκεμβρίου δεκέμβριος декабря декабрь грудня декември joulukuuta detsember gruodžio dec dez "
    "déc dic gru pro desember des дек гру δεκ ديسمبر דצמבר दिसंबर ธันวาคม",
)


def _plain(word: str) -> str:
    """A word without case and marks, so that ``FÉVRIER`` and ``fevrier`` are one."""
    return "".join(one for one in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(one))


_MONTH: Final = {_plain(word.rstrip(".")): number for number, words in enumerate(_MONTHS, 1) for word in words.split()}

_ISO = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.])\s?(\d\d?)\2\s?(\d\d?)(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)([01]\d)([0-3]\d)(?:T?[0-2]\d[0-5]\d(?:[0-5]\d)?Z?)?(?!\d)")
_EAST_ASIAN = re.compile(r"(?<!\d)((?:19|20)\d\d)\s?[年년]\s?(\d\d?)\s?[月월]\s?(\d\d?)\s?[日일]?")
_DAY_MONTH = re.compile(
    r"(?<![\d:])(\d\d?)(?:st|nd|rd|th|er|\.|º|°|ª)?[\s\-/,]{0,3}(?:de |of |d['’])?([^\W\d_]{3,14})[.,]?[\s\-/]{0,3}(?:de |del )?"
    r"((?:19|20|25)\d\d|['’]?\d\d(?![\d:]))",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    r"([^\W\d_]{3,14})\.?[\s\-/]{1,3}(\d\d?)(?:st|nd|rd|th)?(?:,|[\s\-/.]){1,3}((?:19|20)\d\d|['’]\d\d)(?!\d)",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(?<![\d.])(\d\d?)([./-])\s?(\d\d?)\2\s?((?:19|20)\d\d|\d\d)(?![\d:]|[./-]\d)")


def date_in(text: str, month_first: bool = False, latest: str = "9999") -> str:
    """The first date in the first ``LONGEST`` characters of a text as ``YYYY-MM-DD``; empty where there is none.

    Of ``03/04/2020`` the first number is the month only if ``month_first``. Dates before 1990 and after ``latest`` (ISO
    8601) are passed over. Nothing is converted between time zones.

    >>> date_in("Posted on May 3rd, 2019 at 4"), date_in("am 3. März 2019"), date_in("2019年5月3日")
    ('2019-05-03', '2019-03-03', '2019-05-03')
    """
    text = text[:LONGEST]
    best = (LONGEST, "")
    for found in _ISO.finditer(text):
        best = min(best, (found.start(), _valid(found[1], found[3], found[4], latest)), key=_first)
    for found in _EAST_ASIAN.finditer(text):
        best = min(best, (found.start(), _valid(found[1], found[2], found[3], latest)), key=_first)
    for found in _DAY_MONTH.finditer(text):
        if month := _MONTH.get(_plain(found[2])):
            best = min(best, (found.start(), _valid(found[3], month, found[1], latest)), key=_first)
    for found in _MONTH_DAY.finditer(text):
        if month := _MONTH.get(_plain(found[1])):
            best = min(best, (found.start(), _valid(found[3], month, found[2], latest)), key=_first)
    for found in _NUMBERS.finditer(text):
        one, other = int(found[1]), int(found[3])
        swapped = found[2] == "/" and (other > 12 or (month_first and one <= 12))
        day, month = (other, one) if swapped else (one, other)
        best = min(best, (found.start(), _valid(found[4], month, day, latest)), key=_first)
    if not best[1]:
        for found in _COMPACT.finditer(text):
            best = min(best, (found.start(), _valid(found[1], found[2], found[3], latest)), key=_first)
    return best[1]


def _first(one: tuple[int, str]) -> tuple[bool, int]:
    return (not one[1], one[0])


def _valid(year: str, month: int | str, day: int | str, latest: str) -> str:
    """The date if the calendar has it and it is neither too early nor too late."""
    number = int(year.lstrip("'’"))
    if number < 100:
        number += 2000 if number < 70 else 1900
    elif number >= 2500:
        number -= 543  # of the Buddhist era, as Thailand counts
    try:
        found = date(number, int(month), int(day))
    except ValueError:
        return ""
    text = found.isoformat()
    return text if found >= EARLIEST and text <= latest else ""
