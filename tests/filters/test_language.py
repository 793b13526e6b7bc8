"""Language identification with the model that comes with the installation."""

import importlib
import json
from pathlib import Path

import pytest

from filters import language_codes
from filters.document import Document, Origin
from filters.filter import Judge
from filters.language import Language
from filters.language_codes import short_code
from filters.length import Length
from filters.line_language import LineLanguage

MODELS = importlib.import_module("test_models")  # the hand-made models of the tests beside this one

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

ENGLISH = "The children walked along the river until the sun went down behind the hills. "
GERMAN = "Die Kinder gingen am Fluss entlang, bis die Sonne hinter den Hügeln verschwand. "
CHINESE = "孩子们沿着河边走，直到太阳落在山后。"


def run(text: str, **settings: object) -> Document:
    document = Document("id", text, "test", Origin("file", 0, len(text)))
    Judge(Language(**settings))(document)
    return document


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (GERMAN, "de"), (CHINESE, "zh")])
def test_every_document_is_labelled(text, language):
    assert run(text).language == language
    assert run(text).removed_by == ""
    assert run(text, keep=("en",)).removed_by == ("" if language == "en" else "language.not_kept")
    assert run(text, keep=("en", "zh")).removed_by == ("" if language in ("en", "zh") else "language.not_kept")


def test_scores():
    kept = run(ENGLISH, keep=("en",)).signals
    assert kept["language.score"] == kept["language.kept_score"] > 0.9
    other = run(GERMAN, keep=("en",)).signals
    assert other["language.score"] > 0.9
    assert other["language.kept_score"] == 0


def test_a_newline_separates_words():
    assert run("the\nand\nhave\nwith\nthat").signals == run("the and have with that").signals


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_blank_text_has_no_language(text):
    assert run(text).language == ""
    assert run(text).signals == {"language.kept_score": 0}
    assert run(text, keep=("en",)).removed_by == "language.not_kept"


def test_a_sample_from_all_of_the_text_decides_where_it_is_sure():
    assert run(ENGLISH * 50 + GERMAN * 5).language == "en"
    page = ENGLISH * 13 + GERMAN * 60  # the first thousand characters are English, and sure
    assert run(page[:1000]).signals["language.score"] > 0.9
    assert run(page).language == run(page, sample=100_000).language == "de"


def test_in_doubt_all_is_read():
    mixed = "OK menu info 123 >> login " * 8 + GERMAN * 20
    assert run(mixed, sample=64, margin=1).signals == run(mixed, sample=100_000).signals
    assert run(mixed, sample=64, margin=1, max_characters=200).signals == run(mixed[:200]).signals
    assert run(mixed, sample=64, min_score=None).language in ("de", "en")


def test_thresholds_by_language():
    short = "Am 3. 4. 2021 kam OK menu info login der Zug"
    score = run(short).signals["language.score"]
    assert run(short).language == "de" and 0.3 < score < 0.9
    for needed, removed in ((score - 0.01, ""), (score + 0.01, "language.not_kept")):
        assert run(short, keep=("de", "en"), min_score={"de": needed, "en": 0.2}).removed_by == removed
        assert run(short, min_score={"default": needed, "zh": 0.1}).removed_by == removed
    assert run(GERMAN, keep=("en",), min_score={"en": 0.1}).removed_by == "language.not_kept"
    assert run(short, min_score={"zh": 0.99}).removed_by == "", "a language without a threshold needs none"
    assert hash(Language(min_score={"fr": 0.5})) == hash(Language(min_score={"fr": 0.5}))
    with pytest.raises(ValueError, match="fr is not in `keep`"):
        Language(keep=("en",), min_score={"fr": 0.5})
    with pytest.raises(ValueError, match="between 0 and 1"):
        Language(min_score={"fr": 5})
    with pytest.raises(ValueError, match="knows no xx"):
        Language(min_score={"xx": 0.5}).prepare()


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("__label__eng_Latn", "en"),
        ("__label__cmn_Hani", "zh"),
        ("yue_Hani", "yue"),
        ("zho-Hant", "zh"),
        ("arb_Arab", "ar"),
        ("zsm_Latn", "ms"),
        ("__label__zh", "zh"),
        ("ceb", "ceb"),
        ("", ""),
    ],
)
def test_short_codes(label, code):
    assert short_code(label) == code


def test_a_code_for_every_language_of_the_two_letter_standard():
    import re

    pairs = re.findall(r"\b([a-z]{2}):([a-z]{3})\b", language_codes._SHORT)
    assert len({short for short, _ in pairs}) == 184  # the 183 that are in force, and "sh", which lid.176 still says
    assert len(pairs) == len({long for _, long in pairs}), "no long code stands for two short ones"


@pytest.fixture(scope="module")
def glotlid(tmp_path_factory):
    """A model with labels as GlotLID has them: English by "the", Chinese by "的"."""
    path = tmp_path_factory.mktemp("models") / "glotlid.bin"
    labels = {"__label__eng_Latn": 3.0, "__label__cmn_Hani": -3.0}
    path.write_bytes(MODELS.fasttext_model({"the": 1.0, "的": -1.0}, labels))
    return str(path)


def test_models_with_other_labels(glotlid):
    assert run("the the", model=glotlid).language == "en"
    assert run("的 的", model=glotlid).language == "zh"
    assert run("的 的", model=glotlid, codes="model").language == "cmn_Hani"
    for wanted in ("zh", "cmn_Hani"):
        assert run("的 的", model=glotlid, keep=(wanted,)).removed_by == ""
        assert run("的 的", model=glotlid, keep=(wanted,), min_score={wanted: 0.9}).removed_by == ""
        assert run("的 的", model=glotlid, keep=(wanted,), min_score={wanted: 1.0}).removed_by == "language.not_kept"
        assert run("the the", model=glotlid, keep=(wanted,)).removed_by == "language.not_kept"
    with pytest.raises(ValueError, match="knows no fr"):
        Language(model=glotlid, keep=("fr",)).prepare()


def lines(text: str, **settings: object) -> Document:
    document = run(text)
    Judge(LineLanguage(**settings))(document)
    return document


def test_lines_in_other_languages():
    page = "\n".join([ENGLISH] * 7 + ["OK", "Menu"] + [GERMAN] * 3)
    found = lines(page, min_line_share=0.7)
    assert found.language == "en"
    assert found.signals["line_language.lines"] == 10
    assert found.signals["line_language.line_share"] == 0.7
    size = {text: len(text.strip()) for text in (ENGLISH, GERMAN)}
    wanted = 7 * size[ENGLISH] / (7 * size[ENGLISH] + 3 * size[GERMAN])
    assert found.signals["line_language.character_share"] == pytest.approx(wanted)
    assert found.removed_by == ""
    assert lines(page, min_line_share=0.71).removed_by == "line_language.mixed_lines"
    assert lines(page, min_line_share=None, min_character_share=0.8).removed_by == "line_language.mixed_text"
    assert lines(page, max_lines=5).signals["line_language.lines"] == 5
    assert lines("OK\nMenu").signals.get("line_language.line_share") is None


def test_a_line_is_judged_by_its_letters():
    assert lines("中" * 39).signals["line_language.lines"] == 0
    assert lines("中" * 40).signals["line_language.lines"] == 1
    assert lines("a 1 " * 39).signals["line_language.lines"] == 0
    assert LineLanguage().measure(Document("id", ENGLISH, "test", Origin("file", 0, 1))) == {}


def test_filters_for_some_languages_only():
    for text, removed in ((ENGLISH, "length.too_few_words"), (GERMAN, "")):
        document = run(text)
        Judge(Length(min_words=100, languages=("en", "fr")))(document)
        assert document.removed_by == removed
        assert ("length.words" in document.signals) == bool(removed)


def test_loading_says_nothing(capfd):
    Language().prepare()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_unknown_languages_and_models_are_errors(tmp_path):
    with pytest.raises(ValueError, match="knows no eng"):
        Language(keep=("eng",)).prepare()
    with pytest.raises(FileNotFoundError, match=r"none\.bin"):
        Language(model=str(tmp_path / "none.bin")).prepare()
    broken = tmp_path / "broken.bin"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match="not a fastText model"):
        Language(model=str(broken)).prepare()
    assert Language(model=str(broken)).files() == (str(broken),)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_declarations_of_human_rights():
    import zstandard

    wanted = {"eng": "en", "fra": "fr", "spa": "es", "rus": "ru", "jpn": "ja", "kor": "ko", "vie": "vi", "tha": "th"}
    found = {}
    with zstandard.open(SHARED / "multilingual" / "udhr2.jsonl.zst", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["id"] in wanted:
                found[row["id"]] = run(row["text"]).language
    assert found == wanted
