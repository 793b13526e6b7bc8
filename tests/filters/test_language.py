"""Language identification with the model that comes with the installation."""

import json
from pathlib import Path

import pytest

from filters.document import Document, Origin
from filters.filter import Judge
from filters.language import Language

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


def test_doubtful_beginnings_are_read_on():
    mixed = "OK menu info 123 >> login " * 8 + GERMAN * 20
    beginning = run(mixed[:200], prefix=200)
    assert beginning.signals["language.score"] < 0.65
    assert run(mixed, prefix=200).language == "de"
    assert run(mixed, prefix=200).signals == run(mixed, prefix=100_000).signals


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
