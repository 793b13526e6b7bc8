"""A look at a vocabulary, and settings compared by the tokens that they make of the same texts."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import sentencepiece

from tokenizer import bpe, inspection, words
from tokenizer.bpe import TokenizerSettings
from tokenizer.encode import Encoder, encoder_of
from tokenizer.sentencepiece_model import SentencePieceEncoder

TEXTS = [
    "In 1984 and 2001 there were 12345 words here, and the words were the same words. " * 9,
    "中文没有空格，真的。" * 5,
]


def trained(**chosen) -> bytes:
    settings = TokenizerSettings(vocab_size=330, **chosen)
    return bpe.to_text(bpe.train(words.table(words.count_words(TEXTS, settings.pattern), 1 << 20), settings)).encode()


@pytest.fixture(scope="module")
def sentencepiece_model() -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXTS * 5),
        model_writer=model,
        vocab_size=310,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


def test_tokens_are_spelled():
    encoder = encoder_of(trained())
    assert isinstance(encoder, Encoder)
    spelled = encoder.token_bytes()
    assert spelled[0] == b"<|endoftext|>"
    assert sorted(spelled[1:257]) == [bytes([byte]) for byte in range(256)]
    ids = encoder.encode(TEXTS)[0]
    assert b"".join(spelled[one] for one in ids) == TEXTS[0].encode()


@pytest.mark.parametrize(
    ("kind", "odd", "fine"),
    [
        ("markup", ["</div", " href", "https://"], ["a < b", " url"]),
        ("broken characters", ["Ã©", "â€™", "a\ufffdb"], ["é", "’"]),
        ("one character over and over", ["--------", " ========\n"], ["-----", "abababab"]),
        ("encoded data", ["deadbeef0042", "x8Fq2kLm9"], ["implementation", "12345678"]),
        ("boilerplate", [" Cookie", "登录"], [" cook"]),
    ],
)
def test_odd_tokens_are_found(kind, odd, fine):
    found = inspection.look([one.encode() for one in [*fine, *odd]]).odd
    assert found[kind] == tuple(odd)


def test_part_of_a_character_is_not_odd():
    assert inspection.look(["中".encode()[:2], "文".encode()[1:]]).odd == {}


def test_the_longest_come_first():
    found = inspection.look([b"a", b"ccc", b"bb", b"ddd"])
    assert found.longest == ("ccc", "ddd", "bb", "a")


def test_settings_are_compared_by_the_tokens_that_they_make():
    settings = TokenizerSettings(vocab_size=330, digits="single")
    found = {one.name: one for one in inspection.compare(TEXTS, settings)}
    size = sum(len(text.encode()) for text in TEXTS)
    assert {one.bytes for one in found.values()} == {size}
    ours = Encoder(trained(digits="single").decode())
    assert found["this recipe"].tokens == sum(map(len, ours.encode(TEXTS)))
    gpt2 = Encoder(trained(pretokenizer="gpt2").decode())
    assert found["as GPT-2"].tokens == sum(map(len, gpt2.encode(TEXTS)))
    assert found["as GPT-2"].bytes_per_token == pytest.approx(size / found["as GPT-2"].tokens)
    same = {one.name: one for one in inspection.compare(TEXTS, TokenizerSettings(vocab_size=330))}
    assert same["this recipe"].tokens == same["as Llama 3"].tokens


def test_sentencepiece_ids_are_its_own(sentencepiece_model):
    encoder = encoder_of(sentencepiece_model)
    assert isinstance(encoder, SentencePieceEncoder)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model)
    texts = [*TEXTS, "</s> ü\ud800", ""]
    assert [ids.tolist() for ids in encoder.encode(texts)] == [
        theirs.EncodeAsIds(text.replace("\ud800", "\ufffd")) for text in texts
    ]
    documents = encoder.encode_documents(texts)
    assert all(ids[-1] == encoder.end_of_text and encoder.end_of_text not in ids[:-1] for ids in documents)
    assert documents[0].dtype == np.uint16
    assert re.sub(r"\s+", " ", encoder.decode(documents[0])).strip() == TEXTS[0].strip()
    assert encoder.token_bytes()[theirs.PieceToId("<0x41>")] == b"A"


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"{}", b"[]", b"{"])
def test_what_is_neither_is_refused(data):
    with pytest.raises(ValueError, match="not a"):
        encoder_of(data)
