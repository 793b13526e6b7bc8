"""KenLM models with SentencePiece pieces, CCNet's normalisation and file names, and cut-offs."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import kenlm
import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from filters.document import Document, Origin
from filters.filter import Judge
from filters.language_models import Tokenizer, language_of, load, model_files, normalize
from filters.perplexity import Perplexity

TEXT = """We walked along the river until the sun was low, and nobody said a word.
Behind the mill there is a path that few people know, narrow and overgrown with nettles.
It leads to a garden which must have been splendid once; now its walls have fallen to the grass.
Shall we go in, she asked, with her hand on the gate that would not quite close.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair as CCNet publishes them: en.sp.model, and en.arpa.bin (an ARPA file is read under that name as well)."""
    made = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=iter(normalize(TEXT).splitlines() * 5), model_writer=made, vocab_size=120,
        hard_vocab_limit=False, num_threads=1, minloglevel=2,
    )  # fmt: skip
    place = tmp_path_factory.mktemp("lm")
    (place / "en.sp.model").write_bytes(made.getvalue())
    model = SentencePieceProcessor(model_proto=made.getvalue())
    pieces = [model.IdToPiece(one) for one in range(3, model.GetPieceSize())]
    ranked = [f"{-1.0 - rank / 100:.2f}\t{piece}\t0.0" for rank, piece in enumerate(pieces)]
    pair = "-0.25\t▁the ▁river"
    lines = ["\\data\\", f"ngram 1={len(ranked) + 3}", "ngram 2=1", "", "\\1-grams:", "-4.0\t<unk>", "-9\t<s>\t0.0"]
    lines += [
        "-1.5\t</s>",
        *ranked,
        "",
        "\\2-grams:",
        pair if "▁river" in pieces else f"-0.25\t{pieces[0]} {pieces[1]}",
    ]
    (place / "en.arpa.bin").write_text("\n".join([*lines, "", "\\end\\", ""]), encoding="utf-8")
    return place


def document(text: str, language: str = "") -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)), language=language)


# Golden: what CCNet's text_normalizer.normalize gives for these (digits first, then punctuation, then control characters).
@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ünïcödé ÀÉ 12３１", "unicode ae 0000"),
        ("“a” „b“ «c» 「d」《e》", '"a" "b" "c" 「d」"e"'.replace("「d」", '"d"')),
        ("it’s ´x´ — y… ．z", "it's 'x'  -  y... . z"),
        ("全角：１２，三。！？（）【】〈〉％～", "全角:00,三.!?()[]<>%~"),
        ("‘kept’", "‘kept'"),
        ("a\x00b\x1fc\x7fd\x85e", "abcde"),
        ("–━►∶；", "---:;"),
    ],
)
def test_normalisation_is_that_of_ccnet(text: str, plain: str) -> None:
    assert normalize(text) == plain


def test_the_perplexity_is_that_of_kenlm_itself(folder: Path) -> None:
    text = "The River — and nobody said: “a Wörd”.\n\n  It leads to 12 gardens,\tnow.\nxyzzy"
    model, pieces = kenlm.Model(str(folder / "en.arpa.bin")), SentencePieceProcessor(str(folder / "en.sp.model"))
    score = length = 0.0
    for line in normalize(text).split("\n"):
        tokens = pieces.EncodeAsPieces(line)
        if tokens:
            scores = [one[0] for one in model.full_scores(" ".join(tokens))]
            score, length = score + sum(scores), length + len(scores)
    found = Perplexity(model=str(folder / "en.arpa.bin")).measure(document(text))
    assert found == {"perplexity.perplexity": pytest.approx(10 ** (-score / length), rel=1e-6)}
    one_line = kenlm.Model(str(folder / "en.arpa.bin")).perplexity(" ".join(pieces.EncodeAsPieces("the river")))
    assert load(str(folder / "en.arpa.bin")).perplexity("the river") == pytest.approx(one_line, rel=1e-6)


def test_words_are_split_as_whole_lines_are(folder: Path) -> None:
    model = SentencePieceProcessor(str(folder / "en.sp.model"))
    made = Tokenizer("sentencepiece", True, "each", str(folder / "en.sp.model"))
    for line in [*TEXT.splitlines(), "a  b\u00a0c \u3000d", "…—x—", "´", "e\u0301t\u00e9"]:
        whole = " ".join(model.EncodeAsPieces(normalize(line)))
        assert list(made(line)) == ([whole] if whole else [])
        assert list(made(line)) == ([whole] if whole else [])  # the second time from memory


def test_lines_as_ccnet_and_as_one() -> None:
    text = " One\ttwo\nThree \x07four\n"
    assert list(Tokenizer("space", True, "each")(text)) == ["one two", "three four"]
    assert list(Tokenizer("space", True, "joined")(text)) == ["one two three four"]
    assert list(Tokenizer("space", True, "ccnet")(text)) == ["onetwothree four"]  # its released code joins them
    assert list(Tokenizer("space", False, "each")("Ä\x07 b")) == ["Ä\x07 b"]


def test_a_folder_holds_a_model_for_each_language(folder: Path) -> None:
    assert model_files(str(folder)) == {"en": str(folder / "en.arpa.bin")}
    assert model_files(f"{folder}/{{language}}.arpa.bin") == model_files(str(folder))
    assert model_files(f"{folder}/none-{{language}}.bin") == {}
    filter_ = Perplexity(model=str(folder), max=1)
    filter_.prepare()
    assert filter_.measure(document("the river", "en"))["perplexity.perplexity"] > 1
    assert filter_.measure(document("der Fluss", "de")) == {}
    assert set(filter_.files()) == {str(folder / "en.arpa.bin"), str(folder / "en.sp.model")}
    with pytest.raises(FileNotFoundError, match="no KenLM model"):
        Perplexity(model=f"{folder}/{{language}}.klm").prepare()


@pytest.mark.parametrize(
    ("wanted", "name", "language"),
    [
        ("en", "en", ""),
        ("en", "de", None),
        ("{language}", "zh", "zh"),
        ("x-{language}", "x-en", "en"),
        ("x-{language}", "x-", None),
    ],
)
def test_which_model_a_name_means(wanted: str, name: str, language: str | None) -> None:
    assert language_of(wanted, name) == language


def test_published_cutoffs_make_buckets(folder: Path, tmp_path: Path) -> None:
    value = load(str(folder / "en.arpa.bin")).perplexity("the river")
    assert value is not None
    table = tmp_path / "cutoff.csv"
    for (head, middle), bucket in {(value + 1, value + 2): 0, (value, value + 1): 1, (value - 1, value): 2}.items():
        table.write_text(f",de,en\n29,1,1\n30,9,{head!r}\n60,9,{middle!r}\n")
        load.cache_clear()
        _forget()
        for limit, removed in (("head", bucket > 0), ("middle", bucket > 1)):
            judged = document("the river", "en")
            Judge(Perplexity(model=str(folder), cutoffs=str(table), max=limit))(judged)
            assert judged.signals["perplexity.bucket"] == bucket
            assert (judged.removed_by == "perplexity.too_high") == removed
        for limit, removed in (("middle", bucket < 1), ("tail", bucket < 2)):
            judged = document("the river", "en")
            Judge(Perplexity(model=str(folder), cutoffs=str(table), min=limit))(judged)
            assert (judged.removed_by == "perplexity.too_low") == removed


def test_cutoffs_beside_the_model(folder: Path, tmp_path: Path) -> None:
    for name in ("en.arpa.bin", "en.sp.model"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    path = str(tmp_path / "en.arpa.bin")
    with pytest.raises(ValueError, match="head and middle are not known"):
        Perplexity(model=path, max="middle").prepare()
    about = {"kind": "perplexity", "tokens": "sentencepiece", "lines": "joined", "cutoffs": {"head": 2, "middle": 1e9}}
    (tmp_path / "en.json").write_text(json.dumps(about))
    load.cache_clear()
    filter_ = Perplexity(model=path, max="middle")
    filter_.prepare()
    joined = filter_.measure(document("the river\nthe river"))
    assert joined["perplexity.bucket"] == 1
    assert joined != Perplexity(model=path, lines="each").measure(document("the river\nthe river"))
    (tmp_path / "en.json").write_text('{"kind": "quality"}')
    load.cache_clear()
    with pytest.raises(ValueError, match=r"en\.json does not describe a perplexity model"):
        Perplexity(model=path).prepare()


def test_damaged_and_missing_pieces(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "en.arpa.bin").write_bytes((folder / "en.arpa.bin").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"ending in \.sp\.model"):
        Perplexity(model=str(tmp_path / "en.arpa.bin"), tokens="sentencepiece").prepare()
    (tmp_path / "en.sp.model").write_bytes(b"no model" * 10)
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        Perplexity(model=str(tmp_path / "en.arpa.bin"), tokens="sentencepiece").prepare()


def test_many_words_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filters.language_models._REMEMBERED", 10)
    made = Tokenizer("space", True, "each")
    words = [f"W{letter}{other}" for letter, other in itertools.product("abcdefgh", repeat=2)]
    assert list(made(" ".join(words))) == [" ".join(words).lower()]
    assert len(made._of_word) <= 10


def _forget() -> None:
    from filters import language_models

    language_models._published.cache_clear()
