"""Ids are those of tokenizers, whichever library finds them, and hostile texts neither hang nor crash the encoder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from tokenizer import bpe, encode, splits, words
from tokenizer.encode import WHITE_SPACE, Encoder, UnencodableText, cut_at_white_space

TEXTS = [path.read_text(errors="replace") for path in sorted(Path(os.__file__).parent.glob("[a-d]*.py"))[:25]] + [
    "中文没有空格，真的没有。日本語のテキスト。" * 20,
    "हिन्दी में पाठ और العربية بلا توقف, naïve cafés, it's, DON'T " * 20,
    "\n\n    \n\t\t\r\n  --- ===  \u00a0\u3000" * 50,
]
# Arbitrary Unicode, and what the splits care about more often than chance would have it.
TEXT = st.lists(
    st.one_of(
        st.text(st.characters(), max_size=8),
        st.sampled_from(
            ["'s", "'LL", "'ſ", "K", " ", "  ", "\n", "\r\n", "\t", "\u3000", "12345", "def ", "...", "中文"]
        ),
        st.sampled_from(
            ["<|endoftext|>", "\ud800", "\x1c", "\u0301", "\U00010d4a", "import", "____", "\x85", "👩‍👩‍👧"]
        ),
    ),
    max_size=12,
).map("".join)


SETTINGS = {
    "gpt2": {"pretokenizer": "gpt2"},
    "gpt4": {"pretokenizer": "gpt4"},
    "gpt2 single": {"pretokenizer": "gpt2", "digits": "single"},
    "llama3 any": {"pretokenizer": "llama3", "digits": "any"},
}


def trained_text(**chosen) -> str:
    chosen = bpe.TokenizerSettings(**({"vocab_size": 3000} | chosen))
    return bpe.to_text(bpe.train(words.table(words.count_words(TEXTS, chosen.pattern), 1 << 24), chosen))


@pytest.fixture(scope="module")
def texts_of():
    """tokenizer.json texts by name of the settings."""
    return {name: trained_text(**chosen) for name, chosen in SETTINGS.items()}


@pytest.fixture(scope="module")
def encoders(texts_of):
    return {name: Encoder(text) for name, text in texts_of.items()}


def reference(text: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(text)
    tokenizer.encode_special_tokens = True
    return tokenizer


def reference_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def references(texts_of):
    return {name: reference(text) for name, text in texts_of.items()}


def changed(text: str, **changes) -> str:
    """The tokenizer.json with some of it replaced: by section, or by ``model`` option."""
    description = json.loads(text)
    description["model"] |= changes.pop("model", {})
    return json.dumps(description | changes)


@pytest.mark.parametrize("name", SETTINGS)
@given(text=TEXT)
@settings(max_examples=400, deadline=None)
def test_tiktoken_finds_the_ids_of_tokenizers(encoders, references, name, text):
    assert encoders[name].engine == "tiktoken", encoders[name].reason
    (ids,) = encoders[name].encode([text])
    well_formed = bpe.well_formed(text)
    assert ids.dtype == np.uint16
    assert ids.tolist() == reference_ids(references[name], well_formed)
    assert encoders[name].decode(ids) == well_formed


@pytest.mark.parametrize("name", SETTINGS)
def test_ids_of_real_texts(encoders, references, name):
    assert [ids.tolist() for ids in encoders[name].encode(TEXTS)] == [
        reference_ids(references[name], text) for text in TEXTS
    ]


def test_special_tokens_in_texts_are_ordinary_text(encoders):
    encoder = encoders["gpt4"]
    assert encoder.end_of_text == 0
    for ids in encoder.encode(["<|endoftext|>", "a<|endoftext|>b", encode._NEVER]):
        assert len(ids) > 3
        assert 0 not in ids


def test_documents_end_with_the_end_of_text_token(encoders):
    encoder = encoders["gpt4"]
    plain, ended = encoder.encode(["", "a b"]), encoder.encode_documents(["", "a b"])
    assert [ids.tolist() for ids in ended] == [[*ids.tolist(), 0] for ids in plain]
    assert [ids.dtype for ids in ended] == [np.uint16, np.uint16]
    assert encoder.decode(ended[1]) == "a b<|endoftext|>"


def test_lone_surrogates_are_encoded_as_replacement_characters(encoders):
    broken, mended = encoders["gpt4"].encode(["a\udc80\ud83d\ude00", "a\ufffd\U0001f600"])
    assert broken.tolist() == mended.tolist()


def with_all_splits(text: str) -> str:
    """The tokenizer as converted from tiktoken's files, as Llama 3's: every way to make a token is a merge."""
    description = json.loads(text)
    model = description["model"]
    vocabulary = model["vocab"]
    merges = [
        (token[:cut], token[cut:])
        for token in sorted(vocabulary, key=vocabulary.__getitem__)
        if token != "<|endoftext|>"
        for cut in range(1, len(token))
        if token[:cut] in vocabulary and token[cut:] in vocabulary
    ]
    return json.dumps(description | {"model": model | {"merges": merges, "ignore_merges": True}})


@pytest.fixture(scope="module")
def llama_like(texts_of):
    text = with_all_splits(texts_of["gpt4"])
    return Encoder(text), reference(text)


@given(text=TEXT)
@settings(deadline=None)
def test_a_tokenizer_converted_from_tiktoken(llama_like, text):
    encoder, hugging_face = llama_like
    assert encoder.engine == "tiktoken", encoder.reason
    assert encoder.encode([text])[0].tolist() == reference_ids(hugging_face, bpe.well_formed(text))


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def _split(pattern, behavior="Isolated", invert=False):
    step = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [step, BYTE_LEVEL]}}


def _added(number, content, special):
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
    return {"id": number, "content": content, "special": special} | flags


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normalizer": {"type": "NFC"}}, "normalizer"),
        ({"pre_tokenizer": BYTE_LEVEL | {"add_prefix_space": True, "use_regex": True}}, "prefix space"),
        ({"pre_tokenizer": BYTE_LEVEL}, "splits in a way"),
        ({"pre_tokenizer": None}, "not ByteLevel"),
        (_split({"Regex": r"\w+|\W+"}), "splits in a way"),
        (_split({"Regex": splits.GPT4}, "MergedWithNext"), "splits in a way"),
        (_split({"String": " "}), "splits in a way"),
        ({"model": {"byte_fallback": True}}, "byte_fallback"),
        ({"model": {"end_of_word_suffix": "@"}}, "end_of_word_suffix"),
        ({"added_tokens": [_added(0, "<|endoftext|>", True), _added(3000, "import", False)]}, "not special"),
    ],
)
def test_what_tiktoken_can_not_do_is_left_to_tokenizers(texts_of, changes, reason):
    text = changed(texts_of["gpt4"], **changes)
    encoder, hugging_face = Encoder(text), reference(text)
    assert encoder.engine == "tokenizers"
    assert reason in encoder.reason
    sample = ["import os  # it's e\u0301 <|endoftext|>\n\n 中文 12345", *TEXTS[:2]]
    assert [ids.tolist() for ids in encoder.encode(sample)] == [reference_ids(hugging_face, one) for one in sample]


def test_dropout_is_left_to_tokenizers(texts_of):
    assert "dropout" in Encoder(changed(texts_of["gpt4"], model={"dropout": 0.1})).reason


def test_split_that_keeps_matches_is_the_same_split(texts_of, references):
    encoder = Encoder(changed(texts_of["gpt4"], **_split({"Regex": splits.GPT4}, "Removed", True)))
    assert encoder.engine == "tiktoken"
    assert encoder.encode(TEXTS[:1])[0].tolist() == reference_ids(references["gpt4"], TEXTS[0])


def test_truncation_and_padding_in_the_file_do_not_apply(texts_of, references):
    text = changed(
        texts_of["gpt4"],
        normalizer={"type": "NFC"},
        truncation={"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
    )
    assert len(Encoder(text).encode([TEXTS[0]])[0]) == len(reference_ids(references["gpt4"], TEXTS[0]))


def bytes_and(merges: list[tuple[str, str]], tokens: list[str], special: str = "<|endoftext|>") -> str:
    """A byte-level tokenizer.json with these tokens after the bytes, and these merges."""
    vocabulary = {token: place for place, token in enumerate([special, *sorted(bpe.byte_alphabet()), *tokens])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([special])
    return bpe.to_text(tokenizer)


@pytest.mark.parametrize(
    ("merges", "tokens", "special", "reason"),
    [
        ([("b", "c"), ("a", "b")], ["ab", "bc"], "<|endoftext|>", "not in the order of the ids"),
        # "ab" is merged before "bc", so "a" and "bc" never meet; tiktoken would make "abc" of "ab" and "c".
        ([("a", "b"), ("b", "c"), ("a", "bc")], ["ab", "bc", "abc"], "<|endoftext|>", "never reaches: ['abc']"),
        ([("a", "b")], ["ab"], "ab", "special tokens that merges make"),
    ],
)
def test_vocabularies_on_which_the_two_differ_are_seen(merges, tokens, special, reason):
    text = bytes_and(merges, [token for token in tokens if token != special], special)
    encoder = Encoder(text, end_of_text=special)
    assert reason in encoder.reason
    assert encoder.encode(["abc ab bc abcabc"])[0].tolist() == reference_ids(reference(text), "abc ab bc abcabc")


def test_tokens_that_no_merge_makes_are_never_ids_of_text():
    text = bytes_and([("a", "b")], ["ab", "ba"])
    encoder = Encoder(text)
    assert encoder.engine == "tiktoken"
    assert encoder.encode(["ba"])[0].tolist() == reference_ids(reference(text), "ba")
    assert "whole word" in Encoder(changed(text, model={"ignore_merges": True})).reason


def test_a_vocabulary_without_all_bytes_is_left_to_tokenizers():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(["abcabc"], trainers.BpeTrainer(special_tokens=["</s>"], show_progress=False))
    assert "253 bytes have no token" in Encoder(bpe.to_text(tokenizer)).reason


def test_another_model_is_left_to_tokenizers():
    tokenizer = Tokenizer(models.Unigram([("</s>", 0.0), ("a", -1.0), ("b", -2.0)], unk_id=0))
    tokenizer.add_special_tokens(["</s>"])
    encoder = Encoder(bpe.to_text(tokenizer))
    assert "Unigram" in encoder.reason
    assert encoder.encode(["aba"])[0].tolist() == [1, 2, 1]


def test_the_proof_notices_another_split(texts_of):
    encoder = Encoder(texts_of["gpt2"])
    encoder._split = splits.GPT4
    with pytest.raises(encode._NeedsTokenizers, match="splits"):
        encoder._prove()


def test_the_proof_notices_other_ids(texts_of):
    encoder = Encoder(texts_of["gpt2"])
    encoder._fast = encode._encoding(splits.GPT2, {bytes([byte]): byte for byte in range(256)})
    with pytest.raises(encode._NeedsTokenizers, match="other ids"):
        encoder._prove()


@pytest.mark.parametrize("pattern", [r"\p{L}", r"\p{N}", r"\s"])
def test_both_libraries_know_the_same_characters(pattern):
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    tiktoken = encode._encoding(pattern, {bytes([byte]): byte for byte in range(256)})
    everything = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    blocks = [everything[start : start + 4096] for start in range(0, len(everything), 4096)]
    theirs = "".join(piece for block in blocks for piece, _ in split.pre_tokenize_str(block))
    ours = "".join(bytes(encode._fast_ids(tiktoken, block).tolist()).decode() for block in blocks)
    assert ours == theirs
    if pattern == r"\s":
        assert "".join(sorted(WHITE_SPACE)) == theirs


LONG = 2 * encode._BLOCK


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("before", ["", "a", "?", "\U00010d4a"])
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(" " * LONG, id="spaces"),
        pytest.param("\n" * LONG, id="newlines"),
        pytest.param(" \n" * LONG + "  ", id="both"),
        pytest.param("\r\n" + " " * LONG, id="newlines first"),
        pytest.param("\n" + "\u2003" * LONG + "\n  ", id="newlines around"),
        pytest.param(" " * LONG + "\n", id="newline last"),
    ],
)
def test_long_white_space_does_not_change_ids(encoders, references, name, before, run):
    text = f"{before}{run}b, {before}{run}? x{run}"
    assert encoders[name].encode([text])[0].tolist() == reference_ids(references[name], text)
    parts = [part for part, _ in cut_at_white_space(text, newlines_cling=name in ("gpt4", "llama3 any"))]
    assert "".join(parts) == text
    assert len(parts) > 3


@pytest.mark.parametrize(
    ("name", "unit"),
    [*(("gpt4", unit) for unit in ("a", " ", "\u4e00", "\n", "-", " \n")), ("gpt2", " "), ("gpt2", "\n")],
)
def test_a_megabyte_of_one_thing_ends_in_seconds(encoders, references, name, unit):
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    (ids,) = encoders[name].encode([text])
    assert time.process_time() - started < 10
    assert ids.tolist() == reference_ids(references[name], text)


def test_white_space_that_is_too_much_for_tokenizers_is_an_ordinary_error(texts_of):
    encoder = Encoder(changed(texts_of["gpt4"], **_split({"Regex": splits.GPT4}, "MergedWithNext")))
    with pytest.raises(UnencodableText, match="12000002 characters"):
        encoder.encode(["x" + " " * 12_000_000 + "y"])


@pytest.mark.parametrize(("size", "dtype"), [(65_536, np.uint16), (65_537, np.uint32), (65_793, np.uint32)])
def test_ids_above_65535_need_four_bytes(size, dtype):
    alphabet = sorted(bpe.byte_alphabet())
    merges = [(first, second) for first in alphabet for second in alphabet][: size - 257]
    text = bytes_and(merges, [first + second for first, second in merges])
    encoder = Encoder(text)
    assert (encoder.vocabulary, encoder.engine, encoder.dtype) == (size, "tiktoken", np.dtype(dtype))
    sample = "\u00ff\u00fe zz " + bytes(range(0xC3, 0xC4)).decode(errors="replace") + TEXTS[0]
    (ids,) = encoder.encode([sample])
    assert ids.dtype == dtype
    assert ids.tolist() == reference_ids(reference(text), sample)
    assert encoder.encode_documents([sample])[0].dtype == dtype


def test_the_end_of_text_token_can_be_named(texts_of):
    with_two = Tokenizer.from_str(texts_of["gpt4"])
    with_two.add_special_tokens(["<|done|>"])
    assert Encoder(bpe.to_text(with_two), end_of_text="<|done|>").end_of_text == 3000
    assert Encoder(bpe.to_text(with_two)).end_of_text == 0
    with pytest.raises(ValueError, match=r"no special token '<\|no\|>'.*<\|endoftext\|>"):
        Encoder(texts_of["gpt4"], end_of_text="<|no|>")
    with pytest.raises(ValueError, match=r"no special token that ends a document; .* none"):
        Encoder(changed(texts_of["gpt4"], added_tokens=[]))


def test_a_text_that_is_no_tokenizer():
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        Encoder("{}")
