"""Personal data: what is found and what stays, actions, code, hostile texts, recall on labelled sets."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard
from pydantic import ValidationError

from filters.pii import Match, PiiSettings, Place, Redactor, resolve

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="no shared data beside the checkout")

REDACTOR = Redactor(PiiSettings(examples=True))
DEFAULT = Redactor(PiiSettings())


def redact(text: str, **options: object) -> str:
    return (Redactor(PiiSettings.model_validate(options)) if options else REDACTOR).redact(text)[0]


def zst_lines(name: str) -> list[dict]:
    with (SHARED / name).open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as raw:
        return [json.loads(line) for line in io.TextIOWrapper(raw, encoding="utf-8", newline="\n")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # e-mail: alone, at both ends, touching punctuation, other scripts and each other
        ("li@example.com", "<EMAIL>"),
        ("Write to li.wei+news@mail.example.co.uk.", "Write to <EMAIL>."),
        ("<a@example.com>,b@example.org;", "<<EMAIL>>,<EMAIL>;"),
        ("邮箱li@example.com或电话", "邮箱<EMAIL>或电话"),
        ("メールーuser@example.jpへ", "メールー<EMAIL>へ"),
        ("이메일kim@example.kr으로", "이메일<EMAIL>으로"),
        ("josé.garcía@example.es", "<EMAIL>"),
        ("?to=li@example.com&x=1", "?to=<EMAIL>&x=1"),
        ("email='li@example.com'", "email='<EMAIL>'"),
        ("git clone git@github.com:li/x.git", None),
        ("a@example.com\nb@example.org", "<EMAIL>\n<EMAIL>"),
        ("a@example.comX@example.org", "a@example.comX@example.org"),
        ("@example.com a@ a@b a@b.notatld a@1.2 a.@example.com", None),
        ("decorators: @app.route, @user_name", None),
        # telephone: the regions' own ways to write, and any country with a plus
        ("Call (415) 555-2671 now", "Call <PHONE> now"),
        ("(415) 217-8895", "<PHONE>"),
        ("Tel. 020 7946 0958", "Tel. <PHONE>"),
        ("Tel.: 030 901820, Fax", "Tel.: <PHONE>, Fax"),
        ("01 42 68 53 00", "<PHONE>"),
        ("+44 (0)20 7946 0958 / +39 06 6982", "<PHONE> / <PHONE>"),
        ("+33 6 12 34 56 78", "<PHONE>"),
        ("1-800-356-9377 ext. 12", "<PHONE>"),
        ("电话010-62345678。", "电话<PHONE>。"),
        ("（０１０）６２３４５６７８", "<PHONE>"),
        ("call2124567890", None),  # runs on from a Latin word
        ("$2124567890", None),
        ("2019-05-01 and 01.05.2019 and 1914-1918", None),
        ("version 1.2.3, chapter 4.5.6.7.8", None),
        ("2194 1 0 10 17", None),
        ("ISBN 978-3-16-148410-0", None),
        ("in 1999, 2000, 2001 and 2002", None),
        ("1,234,567.89", None),
        ("0.4152178895 and 5149.62890", None),
        # IP addresses
        ("from 8.8.8.8.", "from <IP>."),
        ("8.8.4.4/24,9.9.9.9:53", "<IP>,<IP>:53"),
        ("服务器8.8.8.8上", "服务器<IP>上"),
        ("2001:4860:4860::8888", "<IP>"),
        ("[2001:4860:4860:0:0:0:0:8888]:80", "[<IP>]:80"),
        ("::ffff:8.8.8.8", "<IP>"),
        ("127.0.0.1 10.1.2.3 192.168.0.1/16 255.255.255.0 203.0.113.9 ::1 fe80::1%eth0 2001:db8::1", None),
        ("OID 1.3.6.1.4.1 and 256.1.1.1 and 08.8.8.8", None),
        ("std::string a::b 12:34:56 dead:beef", None),
        # cards: Luhn
        ("4111 1111 1111 1111", "<CREDIT_CARD>"),
        ("card:5555-5555-5555-4444,", "card:<CREDIT_CARD>,"),
        ("卡号378282246310005。", "卡号<CREDIT_CARD>。"),
        ("4111 1111 1111 1112", None),
        # IBAN: ISO 13616 check digits
        ("DE89 3704 0044 0532 0130 00", "<IBAN>"),
        ("to GB29NWBK60161331926819.", "to <IBAN>."),
        ("账号GB29NWBK60161331926819。", "账号<IBAN>。"),
        ("GB28NWBK60161331926819", None),
        # Chinese identity cards: GB 11643; the first is the standard's example
        ("11010519491231002X", "<NATIONAL_ID>"),
        ("身份证号440524188001010014，", "身份证号<NATIONAL_ID>，"),
        ("身份证11010519491231002x\n", "身份证<NATIONAL_ID>\n"),
        ("110105194912310021", None),  # wrong check digit
        ("11010519490230002X 110105194912310029", None),  # 30 February
        ("A11010519491231002X", None),
        # Chinese mobile numbers
        ("手机13800138000", "手机<PHONE>"),
        ("+86 138-0013-8000", "<PHONE>"),
        ("(+86)13800138000", "<PHONE>"),
        ("0086 138 0013 8000", "<PHONE>"),
        ("8613800138000", "<PHONE>"),
        ("1380013800", None),
        ("a13800138000", None),
        ("0.13800138000", None),
    ],
)
def test_golden(text: str, expected: str | None) -> None:
    assert redact(text) == (text if expected is None else expected)


def test_offsets_are_characters() -> None:
    text = "\U0001f600é中 li@example.com"
    assert REDACTOR.find(text) == [Match(4, 18, "email", 1.0)]


def test_settings_change_what_is_found() -> None:
    text = "li@uni-ulm.de 10.0.0.1 (415) 217-8895"
    assert redact(text, entities=["ip"], private_ips=True) == "li@uni-ulm.de <IP> (415) 217-8895"
    assert redact(text, min_score=0.5) == "<EMAIL> 10.0.0.1 (415) 217-8895"
    assert redact(text, min_scores={"email": 1, "phone": 0.5}) == "<EMAIL> 10.0.0.1 (415) 217-8895"
    assert redact(text, allow=["LI@uni-ulm.de"]) == "li@uni-ulm.de 10.0.0.1 <PHONE>"
    assert redact("JANE ROE met jane roebuck", deny={"name": ["Jane Roe"]}) == "<NAME> met jane roebuck"
    assert redact(text, regions=["CN"], entities=["phone"], placeholders={"phone": "[tel]"}).endswith("[tel]")
    assert redact("0121 496 0123", regions=["US"]) == "0121 496 0123"


@pytest.mark.parametrize(
    "wrong",
    [
        {"entities": ["cn_id"]},
        {"actions": {"email": "pseudonym"}},
        {"deny": {"name": [" "]}},
        {"drop_above": {"mail": 3}},
        {"engine": {"models": {}}},
        {"regions": ["UK"]},
        {"placeholders": {"email": "email@example.com"}},
        {"placeholders": {"ip": "0.0.0.0"}},
        {"min_score": 2},
        {"spacy": True},
    ],
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        PiiSettings.model_validate(wrong)


def test_resolution_of_overlaps() -> None:
    assert resolve([Match(0, 9, "phone", 0.4), Match(2, 5, "ip", 0.6)]) == [Match(2, 5, "ip", 0.6)]
    assert resolve([Match(0, 5, "phone", 0.4), Match(4, 12, "phone", 0.4)]) == [Match(4, 12, "phone", 0.4)]
    assert resolve([Match(3, 8, "phone", 0.4), Match(0, 5, "phone", 0.4)]) == [Match(0, 5, "phone", 0.4)]
    assert resolve([Match(0, 5, "phone", 0.5), Match(0, 5, "phone", 0.5)]) == [Match(0, 5, "phone", 0.5)]
    chain = [Match(0, 4, "ip", 0.6), Match(3, 7, "email", 1.0), Match(6, 10, "ip", 0.6), Match(10, 12, "ip", 0.6)]
    assert resolve(chain) == [chain[1], chain[3]]
    assert [m.entity for m in REDACTOR.find("5500005555555559")] == ["credit_card"]


def test_counts_and_independence_of_neighbours() -> None:
    text, counts = REDACTOR.redact("b@example.com a@example.com 8.8.8.8")
    assert text == "<EMAIL> <EMAIL> <IP>"
    assert counts == {"email": 2, "ip": 1}
    assert list(counts) == ["email", "ip"]
    assert REDACTOR.redact("nothing here") == ("nothing here", {})


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        redact("li@example.com GB28NWBK60161331926819 4111111111111112 (415) 217-8895 8.8.8.8 11010519491231002X")
    for value in ("example.com", "NWBK", "4111", "217-8895", "8.8.8", "11010519"):
        assert value not in caplog.text


def test_no_network_and_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    redactor = Redactor(PiiSettings())
    assert redactor.redact("li@uni-ulm.de")[0] == "<EMAIL>"
    assert list(tmp_path.iterdir()) == []


def test_import_alone_loads_no_presidio_and_order_of_hashes_is_no_matter() -> None:
    code = (
        "import sys; from filters.pii import PiiSettings, Redactor; assert 'presidio_analyzer' not in sys.modules\n"
        "print(Redactor(PiiSettings()).find('4111111111111111 13800138000 (415) 217-8895 a@example.com 8.8.8.8'))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "phone" in outputs.pop()


@needs_data
def test_recall_and_precision_on_labelled_sets() -> None:
    redactor = Redactor(PiiSettings(private_ips=True))
    names = {"EMAIL_ADDRESS": "email", "IP_ADDRESS": "ip", "CREDIT_CARD": "credit_card", "IBAN_CODE": "iban"}
    names["PHONE_NUMBER"] = "phone"
    rows = [
        (row["text"], [(a["start"], a["end"], names.get(a["entity_type"])) for a in row["annotations"]])
        for row in zst_lines("pii/pii-anon-technology.jsonl.zst")[::3]
    ]
    with (SHARED / "pii/presidio-generated_large.json.zst").open("rb") as packed:
        generated = json.loads(zstandard.ZstdDecompressor().stream_reader(packed).read())
    rows += [
        (
            row["full_text"],
            [(s["start_position"], s["end_position"], names.get(s["entity_type"])) for s in row["spans"]],
        )
        for row in generated
    ]
    labelled, covered, found, right = (dict.fromkeys(names.values(), 0) for _ in range(4))
    for text, spans in rows:
        matches = redactor.find(text)
        for start, end, name in spans:
            if name:
                labelled[name] += 1
                covered[name] += any(m.start <= start and end <= m.end for m in matches if m.entity == name)
        for match in matches:
            if match.entity in found:
                found[match.entity] += 1
                right[match.entity] += any(match.start < e and s < match.end for s, e, n in spans if n == match.entity)
    recall = {name: covered[name] / labelled[name] for name in labelled}
    precision = {name: right[name] / found[name] for name in found}
    # The sets are made up: two fifths of their telephone numbers exist in no numbering plan, and many real ones in them
    # are not labelled, so that precision says nothing; a dozen addresses begin with Chinese or Korean given names.
    assert recall["email"] >= 0.99
    assert recall["ip"] == recall["credit_card"] == 1.0
    assert recall["iban"] >= 0.85  # those in lower case are missed
    assert recall["phone"] >= 0.55
    assert min(precision[name] for name in ("email", "ip", "credit_card", "iban")) == 1.0


@needs_data
def test_business_prose_is_left_alone() -> None:
    counts: dict[str, int] = {}
    for row in zst_lines("pii/enterprise_pii_classification.jsonl.zst"):
        for match in REDACTOR.find(row["query"]):
            counts[match.entity] = counts.get(match.entity, 0) + 1
    names = counts.pop("name")
    assert counts == {"email": 4, "phone": 2}  # all six are what they seem
    assert 200 < names < 500  # letters and references: "Dear …", "Mr. …"


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "9",
        "@",
        ".",
        ":",
        "a@",
        "a!",
        "a.a@",
        "@a-",
        "1.",
        "1:",
        "AB12",
        "1 ",
        "11 ",
        "52 17 ",
        " ",
        "-",
        "中1",
        "ext 1 ",
        "Mr. Al ",
        "\nDear Al, ",
        "tel 1 ",
        "12 A St ",
        "路1",
        "°1",
        "(a@",
        "http://?a&token=",
        "password=",
        "-----BEGIN PRIVATE KEY-----",
        ".eyJ",
        "account 11 ",
        "1a:",
        "-0a",
        "SSN 1",
    ],
)
def test_hostile_texts_take_seconds(unit: str) -> None:
    text = unit * (MEGABYTE // len(unit))
    start = time.process_time()
    REDACTOR.find(text)
    assert time.process_time() - start < 12  # a few seconds of work, on a busy machine too; quadratic would be hours


def test_edges_that_could_be_quadratic() -> None:
    start = time.process_time()
    for text in (
        "1" + " " * MEGABYTE + "x",
        "a." * (MEGABYTE // 2) + "@b.example.com",
        "@a" + "-" * MEGABYTE,
        "1::1%" + "a" * MEGABYTE + "é",
        "a.a＃" * (MEGABYTE // 4) + "@example.com",
    ):
        REDACTOR.find(text)
    assert time.process_time() - start < 5


def test_a_directory_is_read_to_its_end() -> None:
    lines = [f"(415) {200 + i % 700}-{1000 + i % 9000}" for i in range(2000)]
    text, counts = REDACTOR.redact("\n".join(lines))
    assert counts == {"phone": 2000}
    assert set(text.split("\n")) == {"<PHONE>"}


ENGLISH, CODE = Place("en"), Place(kind="code", code="Python")


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("SSN 457-55-5462 or 457-55-5462", ENGLISH, "SSN <NATIONAL_ID> or <NATIONAL_ID>"),
        ("part 000-12-3456 and 12345-457-55-5462", ENGLISH, None),
        ("ITIN: 912-70-1234", ENGLISH, "ITIN: <NATIONAL_ID>"),
        ("NHS number 943 476 5919", ENGLISH, "NHS number <NATIONAL_ID>"),
        ("DNI 12345678Z, DNI 12345678A", Place("es"), "DNI <NATIONAL_ID>, DNI 12345678A"),
        ("RSSMRA85T10A562S", Place("it"), "<NATIONAL_ID>"),
        ("Passport number: C01234567", ENGLISH, "Passport number: <PASSPORT>"),
        ("C01234567", ENGLISH, None),
        ("护照号：E12345678", Place("zh"), "护照号：<PASSPORT>"),
        ("account number 1254948659", ENGLISH, "account number <BANK_ACCOUNT>"),
        ("mac d2:d5:33:1f:76:68", ENGLISH, "mac <MAC>"),
        ("12:34:56:78:90:12:33 00:00:00:00:00:00", ENGLISH, None),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", ENGLISH, "<CRYPTO>"),
        ("gb29nwbk60161331926819", ENGLISH, "<IBAN>"),
        ("https://bob:pw123@uni-ulm.de/a", ENGLISH, "https://<URL>@uni-ulm.de/a"),
        ("https://a.de/?token=abcdef0123456789&page=2", ENGLISH, "https://a.de/?token=<URL>&page=2"),
        ("see https://twitter.com/jane_roe.", ENGLISH, "see https://twitter.com/<URL>."),
        ("https://twitter.com/search", ENGLISH, None),
        ("37.774929, -122.419416", ENGLISH, "<GPS>"),
        ("48° 51' 24\" N, 2° 21' 07\" E", ENGLISH, "<GPS>"),
        ("37.77, -122.41", ENGLISH, None),
        ("My name is John van der Berg and", ENGLISH, "My name is <NAME> and"),
        ("Dear Mary,\nthanks\nBest regards,\nJohn Smith\n", ENGLISH, "Dear <NAME>,\nthanks\nBest regards,\n<NAME>\n"),
        ("Dear Customer, MS Teams and Miss Universe", ENGLISH, None),
        ("Jane Roe <jane@uni-ulm.de>", ENGLISH, "<NAME> <<EMAIL>>"),
        ("我叫王小明，住在北京市海淀区中关村大街27号。", Place("zh"), "我叫<NAME>，住在<ADDRESS>。"),
        ("at 12 Oak Street, Springfield, IL 62704.", ENGLISH, "at <ADDRESS>."),
        ("Hauptstraße 12, 10115 Berlin", Place("de"), "<ADDRESS>"),
        ("12 rue de la Paix, 75002 Paris", Place("fr"), "<ADDRESS>"),
        ("Calle Mayor 12, 28013 Madrid", Place("es"), "<ADDRESS>"),
        ("During 1985 in Spring 2018, the 1920s Dr. No", ENGLISH, None),
        ("version 93.184.216.34, http://93.184.216.34", ENGLISH, "version 93.184.216.34, http://<IP>"),
        ("ISBN 0060513047", ENGLISH, None),
        ("Mr. Smith lives at 12 Oak Street", Place("en", "books"), None),
        ("li@example.org 8.8.8.8 192.0.2.1 2001:db8::1 call 911", ENGLISH, None),
        ("Tel. 021-4006034, call (234) 567-8901", ENGLISH, "Tel. <PHONE>, call <PHONE>"),
        ("mail = 'li@uni-ulm.de'", CODE, "mail = 'REDACTED_EMAIL'"),
        ("card = 4111111111111111", CODE, "card = 0"),
        ("card = '4111111111111111'", CODE, "card = 'REDACTED_CREDIT_CARD'"),
        (
            'db_password = "S3cr3t!x"; password = getpass()',
            CODE,
            'db_password = "REDACTED_SECRET"; password = getpass()',
        ),
        ("key = 'AKIAQYLPMN5HHHFPZAM2'", CODE, "key = 'REDACTED_SECRET'"),
        (
            'k = "-----BEGIN PRIVATE KEY-----\\nMIIEowIBAAKCAQEA\\n-----END PRIVATE KEY-----"',
            CODE,
            'k = "-----BEGIN PRIVATE KEY-----\\nREDACTED_SECRET\\n-----END PRIVATE KEY-----"',
        ),
        ('import "github.com/jane/x"', CODE, None),
    ],
)
def test_golden_by_place(text: str, place: Place, expected: str | None) -> None:
    assert DEFAULT.redact(text, place)[0] == (text if expected is None else expected)


def test_pseudonyms_follow_from_value_and_key_alone() -> None:
    def made(text: str, key: str = "a secret of ours") -> str:
        return redact(text, actions={"email": "pseudonym", "ip": "count"}, key=key)

    first, second = made("li@uni-ulm.de"), made("b@c.fr x LI@uni-ulm.de 93.184.216.34")
    assert first.startswith("<EMAIL-") and len(first) == len("<EMAIL-bcdfghjklmnp>")
    assert second.endswith(f"x {first} 93.184.216.34") and not second.startswith(first)
    assert made("li@uni-ulm.de", "another secret") != first
    assert made(second) == second


def test_documents_above_a_count() -> None:
    redactor = Redactor(PiiSettings(drop_above={"email": 1}))
    assert redactor.too_many(redactor.redact("a@uni-ulm.de b@uni-ulm.de")[1]) == "email"
    assert redactor.too_many(redactor.redact("a@uni-ulm.de")[1]) is None


def test_names_by_a_model_that_the_user_has(tmp_path: Path) -> None:
    import spacy

    model = spacy.blank("en")
    model.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Angela"}])
    model.to_disk(tmp_path / "tiny")
    engine = {"models": {"en": str(tmp_path / "tiny")}}
    redactor = Redactor(PiiSettings.model_validate({"engine": engine}))
    assert redactor.redact("So Angela went home.", ENGLISH) == ("So <NAME> went home.", {"name": 1})
    assert redactor.redact("So Angela went home.", Place("de"))[1] == {}
    missing = Redactor(PiiSettings.model_validate({"engine": {"models": {"en": "en_no_such_model"}}}))
    with pytest.raises(ValueError, match="not installed"):
        missing.redact("So Angela went home.", ENGLISH)
