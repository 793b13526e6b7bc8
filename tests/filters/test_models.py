"""Filters that ask a model: perplexity of a hand-made language model, and a hand-made fastText classifier."""

import math
import struct

import pytest

from filters.document import Document, Origin
from filters.filter import Judge
from filters.language_models import normalize
from filters.perplexity import Perplexity
from filters.quality_classifier import QualityClassifier

# A unigram and bigram model in ARPA format; log10 probabilities, then log10 back-off weights.
ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-2.0\t<unk>
-9.9\t<s>\t0.0
-1.0\t</s>
-0.5\tcafe\t-0.3
-1.5\tbar\t-0.3

\\2-grams:
-0.2\t<s> cafe
-0.4\tcafe bar
-0.6\tbar </s>

\\end\\
"""


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return str(path)


def perplexity(model: str, text: str, **settings: object) -> float:
    return Perplexity(model=model, **settings).measure(document(text))["perplexity.perplexity"]


def test_perplexity_of_a_line(arpa):
    # <s> cafe, cafe bar, bar </s>: 0.2 + 0.4 + 0.6 = 1.2 over 2 tokens and the end.
    assert perplexity(arpa, "cafe bar") == pytest.approx(10 ** (1.2 / 3), rel=1e-5)
    # <s> cafe, then back-off 0.3 of cafe and the unigrams <unk> and </s>: 0.2 + 0.3 + 2.0 + 1.0 over 3.
    assert perplexity(arpa, "cafe tea") == pytest.approx(10 ** (3.5 / 3), rel=1e-5)


def test_lines_are_scored_one_by_one(arpa):
    # 1.2 over 3 and 1.2 over 3; were the newline dropped, "barcafe" would be an unknown word.
    assert perplexity(arpa, "cafe bar\n\n cafe  bar \n") == pytest.approx(10 ** (2.4 / 6), rel=1e-5)


def test_text_is_normalized_first(arpa):
    assert perplexity(arpa, "CAFÉ Bar") == perplexity(arpa, "cafe bar")
    assert perplexity(arpa, "CAFÉ Bar", normalize=False) > perplexity(arpa, "cafe bar")
    assert normalize("Émile’s １２ „Cafés“，…\x07\n»10 %« — 3１") == 'emile\'s 00 "cafes",...\n"00 %"  -  00'


def test_tokens_can_be_words(arpa):
    assert perplexity(arpa, "cafe, bar!", tokens="word") == perplexity(arpa, "cafe bar")
    # Two Han characters are two unknown words: (2.0 + 2.0 + 1.0) / 3; one token between spaces: (2.0 + 1.0) / 2.
    assert perplexity(arpa, "中文", tokens="word") == pytest.approx(10 ** (5 / 3), rel=1e-5)
    assert perplexity(arpa, "中文") == pytest.approx(10 ** (3 / 2), rel=1e-5)


def test_perplexity_rules(arpa):
    value = perplexity(arpa, "cafe bar")
    for settings, reason in (
        ({"max": value + 0.01, "min": value - 0.01}, ""),
        ({"max": value - 0.01}, "perplexity.too_high"),
        ({"min": value + 0.01}, "perplexity.too_low"),
    ):
        judged = document("cafe bar")
        Judge(Perplexity(model=arpa, **settings))(judged)
        assert judged.removed_by == reason


def test_a_text_without_tokens_has_no_perplexity(arpa):
    assert Perplexity(model=arpa).measure(document(" \n\n")) == {}


def test_unknown_words_alone_stay_finite(tmp_path):
    path = tmp_path / "steep.arpa"
    path.write_text(ARPA.replace("-2.0\t<unk>", "-999.0\t<unk>"), encoding="utf-8")
    assert math.isfinite(perplexity(str(path), "no word of this is known"))


def test_missing_and_broken_language_models(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.binary"):
        Perplexity(model=str(tmp_path / "none.binary")).prepare()
    (tmp_path / "broken").write_text("this is no model")
    with pytest.raises(ValueError, match="not a KenLM model"):
        Perplexity(model=str(tmp_path / "broken")).prepare()


def fasttext_model(words: dict[str, float], labels: dict[str, float]) -> bytes:
    """A supervised fastText model of one dimension in its binary format (version 12), softmax loss."""
    header = struct.pack("<2i", 793712314, 12)
    # dim, ws, epoch, minCount, neg, wordNgrams, loss (softmax), model (supervised), bucket, minn, maxn, lrUpdateRate, t
    arguments = struct.pack("<12id", 1, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100, 1e-4)
    dictionary = struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 100, -1)
    for kind, entries in enumerate((words, labels)):
        for entry in entries:
            dictionary += entry.encode() + b"\0" + struct.pack("<qb", 10, kind)
    matrices = b""
    for weights in (words, labels):
        matrices += struct.pack("<?2q", False, len(weights), 1) + struct.pack(f"<{len(weights)}f", *weights.values())
    return header + arguments + dictionary + matrices


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    # Written by hand: fastText 0.9.3 leaves memory uninitialised in training, and whether that yields NaN is chance.
    path = tmp_path_factory.mktemp("classifier") / "model.bin"
    path.write_bytes(fasttext_model({"theory": 1.0, "pills": -1.0}, {"__label__hq": 2.0, "__label__cc": -2.0}))
    return str(path)


GOOD = "theory\ntheory unknown pills"
BAD = "pills\npills"


def test_the_score_is_the_labels_probability(classifier):
    # Mean of the known words: (1 + 1 - 1) / 3, and softmax of 2/3 and -2/3. Without the newline it would be another.
    score = QualityClassifier(model=classifier).measure(document(GOOD))["quality_classifier.score"]
    assert score == pytest.approx(1 / (1 + math.exp(-4 / 3)), abs=1e-3)
    other = QualityClassifier(model=classifier, label="__label__cc").measure(document(GOOD))
    assert other["quality_classifier.score"] == pytest.approx(1 - score, abs=1e-3)


def test_the_classifier_judges(classifier):
    for text, removed in ((GOOD, ""), (BAD, "quality_classifier.low_score")):
        judged = document(text)
        Judge(QualityClassifier(model=classifier))(judged)
        assert judged.removed_by == removed


def test_only_the_beginning_is_read(classifier):
    short = QualityClassifier(model=classifier, max_characters=len(GOOD))
    assert short.measure(document(f"{GOOD} {BAD}")) == short.measure(document(GOOD))


def test_classifier_errors(classifier):
    with pytest.raises(ValueError, match="has no label __label__good"):
        QualityClassifier(model=classifier, label="__label__good").prepare()
    assert QualityClassifier(model=classifier).measure(document(" \n")) == {}
    assert QualityClassifier(model=classifier).files() == (classifier,)
