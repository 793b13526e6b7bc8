"""Names of people by the words around them: titles, salutations, signatures, introductions, by-lines, contact blocks.

No list of given names and no model: what stands alone (``Angela went home``) is not found. A name is one to four words
in capitals, with the particles that names have (``van der``, ``de la``); in Chinese a surname of the common ones and one
or two characters more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import regex

from filters.pii.anchored import Anchored, Found
from filters.pii.anchors import Anchor

_WORD = r"\p{Lu}(?:\p{Ll}+(?:[\p{Lu}][\p{Ll}]+)?(?:[-'’]\p{Lu}?\p{Ll}+)?|[’']\p{Lu}\p{Ll}+)"
_INITIAL = r"\p{Lu}\."
_PARTICLE = r"(?:(?:van der|van den|van de|van|von der|von|zu|de la|de las|de los|de|del|della|di|da|dos|du|le|la|bin|al|el|ter|ten) )"
_GIVEN = rf"(?:{_WORD}|{_INITIAL})"
FULL: Final = rf"(?>{_GIVEN}(?:[ \t]{{1,2}}(?:{_PARTICLE})?{_GIVEN}){{0,3}}+)"
_FULL_NAME = regex.compile(FULL, regex.V1)
_CAPITALS_NAME = regex.compile(r"\p{Lu}{2,}(?:[ \t]\p{Lu}{2,}){1,2}(?!\w)", regex.V1)

_NAME_BEFORE = regex.compile(rf"(?<![\w’'])(?P<name>{FULL})[ \t]$", regex.V1)
_NAME_BEFORE_ADDRESS = regex.compile(
    rf"(?<![\w’'])(?P<name>{FULL})[\"']? ?[<(\[](?:mailto:)?[\w.+-]{{1,64}}$", regex.V1
)

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高梁郑谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金"
    "韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺顾毛郝龚邵万覃武钱戴严莫孔向常汤康易乔赖文"
    "張劉陳楊黃趙吳孫馬鄭謝許韓馮鄧蕭蔣葉蘇呂盧鐘譚陸範賈鄒賀顧龔萬錢嚴湯喬賴"
)
_CHINESE = rf"(?:欧阳|司马|上官|诸葛|[{_SURNAMES}])[\u4e00-\u9fff]{{1,2}}"
_CHINESE_AFTER = re.compile(rf"[\s:：,，是]{{0,3}}(?P<name>{_CHINESE})(?=[\s,，。.!！;；:：、(（)）]|$)")
_CHINESE_BEFORE = re.compile(rf"(?<![\u4e00-\u9fff])(?P<name>{_CHINESE})$")

NO_NAMES: Final = frozenset(
    (
        *("a", "admin", "administrator", "all", "america", "amigos", "an", "and", "anonymous", "any", "april"),
        *("are", "as", "associated", "at", "august", "be", "both", "brother", "bundeskanzler", "bundeskanzlerin"),
        *("but", "by", "can", "chair", "chairman", "church", "client", "cliente", "colleague", "colleagues"),
        *("committee", "company", "congeniality", "contact", "corp", "customer", "customers", "dad", "damen"),
        *("das", "december", "department", "der", "diary", "die", "do", "doktor", "dr", "each", "earth"),
        *("editor", "email", "everybody", "everyone", "facebook", "father", "february", "first", "for"),
        *("freunde", "friday", "friend", "friends", "from", "full", "get", "gmbh", "god", "google", "guest"),
        *("guests", "has", "have", "he", "here", "herren", "hiring", "his", "home", "how", "i", "if", "ihr"),
        *("in", "inc", "is", "it", "its", "january", "judge", "july", "june", "justice", "kollegen", "kunde"),
        *("kunden", "last", "leser", "llc", "lord", "ltd", "madam", "madame", "mail", "manager", "march", "may"),
        *("member", "members", "messieurs", "minister", "ministerin", "miss", "mom", "monday", "monsieur"),
        *("more", "mother", "mr", "mrs", "ms", "mum", "my", "name", "neighbor", "neighbour", "new", "no", "not"),
        *("november", "october", "of", "on", "one", "or", "other", "our", "page", "parents", "phone", "please"),
        *("post", "president", "press", "prof", "professor", "präsident", "präsidentin", "public", "read"),
        *("reader", "readers", "reporter", "reuters", "rev", "santa", "saturday", "save", "school", "secretary"),
        *("see", "selection", "september", "service", "services", "señor", "señora", "she", "sie", "sir", "sirs"),
        *("sister", "site", "so", "speaker", "staff", "street", "subscribe", "sunday", "support", "team", "that"),
        *("the", "their", "them", "there", "they", "this", "thursday", "time", "to", "today", "todos", "tous"),
        *("toutes", "tuesday", "twitter", "uk", "und", "universe", "university", "us", "usa", "user", "users"),
        *("valued", "view", "was", "we", "web", "website", "wednesday", "welcome", "what", "when", "where"),
        *("who", "why", "with", "world", "writer", "writers", "you", "your"),
    )
)

_TITLES: Final = (
    *(
        "Mr",
        "Mr.",
        "Mrs",
        "Mrs.",
        "Ms",
        "Ms.",
        "Miss",
        "Mx.",
        "Dr",
        "Dr.",
        "Prof.",
        "Professor",
        "Rev.",
        "Herr",
        "Herrn",
    ),
    *(
        "Frau",
        "Monsieur",
        "Madame",
        "Mme",
        "Mlle",
        "Sr.",
        "Sra.",
        "Srta.",
        "Señor",
        "Señora",
        "Sig.",
        "Signor",
        "Signora",
    ),
    *("Dott.", "Dña.", "Attn:", "Attn", "Attention:", "c/o", "z. Hd.", "z.Hd."),
)
_TITLE_SPELLINGS: Final = frozenset((*_TITLES, "mr.", "mrs.", "MR.", "MRS.", "DR.", "ATTN:", "attn:"))
_GREETINGS: Final = (
    *("dear", "hi", "hello", "hey", "liebe", "lieber", "hallo", "cher", "chère", "bonjour", "estimado", "estimada"),
    *("querido", "querida", "hola", "caro", "cara", "gentile", "beste", "szanowny", "prezado", "prezada"),
)
_CLOSINGS: Final = (
    *("sincerely", "yours sincerely", "sincerely yours", "yours truly", "yours faithfully", "regards", "best regards"),
    *("kind regards", "warm regards", "best wishes", "cheers", "best", "thanks", "many thanks", "thank you", "love"),
    *("mit freundlichen grüßen", "freundliche grüße", "viele grüße", "liebe grüße", "beste grüße", "mfg", "herzlichst"),
    *("cordialement", "bien à vous", "amicalement", "salutations distinguées", "atentamente", "saludos", "un saludo"),
    *("saludos cordiales", "cordiali saluti", "atenciosamente", "met vriendelijke groet", "respectfully", "xoxo"),
)
_INTRODUCTIONS: Final = (
    *("my name is", "my full name is", "my name's", "mein name ist", "ich heiße", "je m'appelle", "je m’appelle"),
    *("mon nom est", "me llamo", "mi nombre es", "mi chiamo", "meu nome é", "mijn naam is"),
    *("signed by", "prepared by", "written by", "posted by", "submitted by", "reviewed by", "reported by", "edited by"),
    *("photo by", "photograph by", "uploaded by", "created by", "authored by", "maintained by", "geschrieben von"),
    *("escrito por", "publicado por", "écrit par", "publié par", "rédigé par", "verfasst von"),
)
_LABELS: Final = (
    *("name:", "full name:", "first name:", "last name:", "contact:", "contact name:", "contact person:", "patient:"),
    *("patient name:", "customer:", "customer name:", "client:", "employee:", "owner:", "author:", "maintainer:"),
    *("applicant:", "tenant:", "recipient:", "cardholder:", "account holder:", "from:", "ansprechpartner:", "kontakt:"),
    *("nachname:", "vorname:", "inhaber:", "geschäftsführer:", "geschäftsführerin:", "nom:", "prénom:", "nombre:"),
    *("contacto:", "autor:", "auteur:", "responsable:", "cc:", "attendees:", "assigned to:", "manager:", "user:"),
    *('name":', 'owner":', 'author":', 'contact":', "signed-off-by:", "reviewed-by:", "co-authored-by:", "alert for"),
)
_CHINESE_LABELS: Final = (
    "我叫",
    "我是",
    "姓名",
    "我的名字是",
    "我的名字叫",
    "联系人",
    "收件人",
    "负责人",
    "患者",
    "尊敬的",
    "亲爱的",
    "署名",
)
_ACTIONS: Final = (
    "logged in",
    "logged out",
    "signed in",
    "signed out",
    "signed up",
    "updated profile",
    "changed password",
)
_CHINESE_TITLES: Final = ("先生", "女士", "小姐", "太太", "老师", "同学", "医生", "师傅")


class NameRecognizer(Anchored):
    """Names that their surroundings give away."""

    def __init__(self) -> None:
        self._rules = {
            **dict.fromkeys(map(str.lower, _TITLES), self._after_title),
            **dict.fromkeys(_INTRODUCTIONS, self._introduced),
            **dict.fromkeys(_LABELS, self._labelled),
            **dict.fromkeys(_ACTIONS, self._before),
            "@": self._mailed,
            **dict.fromkeys(_CHINESE_LABELS, self._chinese_after),
            **dict.fromkeys(_CHINESE_TITLES, self._chinese_before),
        }
        self._line_rules = {
            **dict.fromkeys(_GREETINGS, self._greeted),
            **dict.fromkeys(_CLOSINGS, self._signed),
            "by": self._by_line,
            "von": self._by_line,
            "par": self._by_line,
            "por": self._by_line,
        }
        super().__init__(
            "name",
            [
                *(Anchor(word, inside=word == "@") for word in self._rules),
                *(Anchor(word, line_start=True) for word in self._line_rules),
            ],
        )

    def around(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The name that a title, greeting, closing or label announces."""
        if text[start:end] == "@" and not text[max(start - 1, 0) : start].isalnum():
            return
        word = " ".join(text[start:end].lower().split())
        if rule := self._rules.get(word):
            yield from rule(text, start, end)
        if (start == 0 or text[start - 1] == "\n") and (rule := self._line_rules.get(word)):
            yield from rule(text, start, end)

    def _after_title(self, text: str, start: int, end: int) -> Iterator[Found]:
        if text[start:end] not in _TITLE_SPELLINGS:  # MS Teams
            return
        place = end + (text[end : end + 1] == ".")
        place = _skip(text, place, " \t\xa0", 2)
        if place > end:
            yield from _name(text, place, 0.6)

    def _introduced(self, text: str, start: int, end: int) -> Iterator[Found]:
        word = text[start:end].lower()
        place = _skip(text, end, " \t\xa0:", 3)
        by = word.endswith((" by", " por", " par", " von"))
        if by and not text[start].isupper():  # in running prose it names authors: "was written by Jane Austen"
            return
        least = 2 if by else 1
        if place > end:
            yield from _name(text, place, 0.6, least=least)

    def _labelled(self, text: str, start: int, end: int) -> Iterator[Found]:
        if start and text[start - 1] in "_-":  # service_name:
            return
        place = _skip(text, end, " \t\xa0\"'", 4)
        least = 1 if text[start:end].lower().endswith(("name:", "nom:", "nombre:")) else 2
        yield from _name(text, place, 0.6, least=least)

    def _greeted(self, text: str, start: int, end: int) -> Iterator[Found]:
        place = _skip(text, end, " \t\xa0", 2)
        for found in _name(text, place, 0.5) if place > end else ():
            if text[found.end : found.end + 1] in (",", ":", "!", "，", "："):
                yield found

    def _signed(self, text: str, start: int, end: int) -> Iterator[Found]:
        place = _skip(text, end, ",.!", 2)
        after = _skip(text, place, " \t\xa0\r\n-–—~*", 8)
        if "\n" not in text[place:after] and text[place:after].strip(" ") not in ("-", "–", "—"):
            return
        for found in _name(text, after, 0.5):
            if found.end == len(text) or text[found.end] in "\r\n,|(":
                yield found

    def _before(self, text: str, start: int, end: int) -> Iterator[Found]:
        if match := _NAME_BEFORE.search(text, max(start - 80, 0), start):
            for found in _name(text, match.start("name"), 0.5, least=2):
                if found.end == match.end("name"):
                    yield found

    def _mailed(self, text: str, start: int, end: int) -> Iterator[Found]:
        """The name before its address: ``Jane Roe <jane@…>``."""
        bracket = max(text.rfind(mark, max(start - 66, 0), start) for mark in "<([")
        if bracket > 0 and (match := _NAME_BEFORE_ADDRESS.search(text, max(bracket - 80, 0), start)):
            for found in _name(text, match.start("name"), 0.6, least=2):
                if found.end == match.end("name"):
                    yield found

    def _by_line(self, text: str, start: int, end: int) -> Iterator[Found]:
        place = _skip(text, end, " \t\xa0:", 2)
        if place == end or not text[start].isupper():
            return
        for found in _name(text, place, 0.5, least=2):
            rest = text[found.end : found.end + 4]
            if (
                not rest
                or rest[0] in "\r\n,|/·•("
                or rest.startswith((" |", " -", " –", " —", " on ", " / ", " · ", " • ", " am "))
            ):
                yield found

    def _chinese_after(self, text: str, start: int, end: int) -> Iterator[Found]:
        if match := _CHINESE_AFTER.match(text, end):
            yield Found(*match.span("name"), 0.5)

    def _chinese_before(self, text: str, start: int, end: int) -> Iterator[Found]:
        for length in (4, 3, 2):
            match = _CHINESE_BEFORE.search(text, max(start - length, 0), start)
            if match:
                yield Found(*match.span("name"), 0.5)
                return


def _skip(text: str, place: int, characters: str, most: int) -> int:
    """The first place from ``place`` on, ``most`` further at most, that holds none of the characters."""
    limit = min(place + most, len(text))
    while place < limit and text[place] in characters:
        place += 1
    return place


def _name(text: str, place: int, score: float, least: int = 1) -> Iterator[Found]:
    """The name that begins at the place, if it has ``least`` words and none that names do not have."""
    match = _FULL_NAME.match(text, place, place + 80) or _CAPITALS_NAME.match(text, place, place + 60)
    if match is None:
        return
    words, end = match[0].split(), match.end()
    for number, word in enumerate(words):
        if word[0].isupper() and word.lower().strip(".") in NO_NAMES:
            words = words[:number]
            end = place + len(text[place:end].split(word)[0].rstrip()) if words else place
            break
    while words and words[-1] in ("de", "von", "van", "la", "le", "du", "el", "al", "di", "da", "zu", "der", "den"):
        end = place + text[place:end].rindex(words.pop())
        end = place + len(text[place:end].rstrip())
    if words and text[place:end].endswith(("'s", "’s")):
        end -= 2
    if len(words) < least or (end < len(text) and text[end].isalnum()) or len(words[0]) + (len(words) > 1) < 2:
        return
    yield Found(place, end, score)
