"""The tokenizer that training makes: the same from the same texts, whole for every string, bounded on hostile ones."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from tokenizer import bpe, words
from tokenizer.bpe import TokenizerSettings, well_formed
from tokenizer.draws import sample_rank

NAMES = ("gpt2", "gpt4", "llama3")
ROOT = Path(__file__).resolve().parents[2]
TEXTS = [path.read_text(errors="replace") for path in sorted(Path(os.__file__).parent.glob("[a-d]*.py"))[:25]] + [
    "中文没有空格，真的没有。日本語のテキスト。" * 20,
    "हिन्दी में पाठ और العربية بلا توقف " * 20,
]

TRAIN = """
import hashlib, os, sys
from pathlib import Path
from tokenizer import bpe, words
texts = [path.read_text(errors="replace") for path in sorted(Path(os.__file__).parent.glob("[a-d]*.py"))[:25]]
if sys.argv[1] == "backwards":
    texts.reverse()
settings = bpe.TokenizerSettings(vocab_size=1500)
table = words.table(words.count_words(texts, settings.pattern), 1 << 24)
print(bpe.digest(bpe.to_text(bpe.train(table, settings))))
"""


def train(texts, settings: TokenizerSettings):
    return bpe.train(words.table(words.count_words(texts, settings.pattern), 1 << 24), settings)


@pytest.fixture(scope="module")
def trained():
    return {name: train(TEXTS, TokenizerSettings(vocab_size=1500, pretokenizer=name)) for name in NAMES}


def by_hugging_face(texts, settings: TokenizerSettings) -> Tokenizer:
    """What the trainer of tokenizers makes of the same texts."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(settings.pattern), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def model_of(tokenizer: Tokenizer) -> tuple[dict, list]:
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], model["merges"]


@pytest.mark.parametrize(
    "chosen",
    [
        {"vocab_size": 4000, "pretokenizer": "gpt2"},
        {"vocab_size": 4000, "pretokenizer": "gpt4", "min_frequency": 1},
        {"vocab_size": 2500, "digits": "single", "special_tokens": ("<|endoftext|>", "<|ünï|>", "<|pad|>")},
        {"vocab_size": 100_000, "min_frequency": 3},
    ],
)
def test_training_finds_the_merges_of_hugging_face(chosen):
    settings = TokenizerSettings(**chosen)
    assert model_of(train(TEXTS, settings)) == model_of(by_hugging_face(TEXTS, settings))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text("abc ", max_size=40), max_size=12), st.integers(1, 3), st.integers(0, 60))
def test_training_on_anything_finds_the_merges_of_hugging_face(texts, least, merges):
    # Few letters make pairs that overlap, tokens made in two ways, and ties.
    settings = TokenizerSettings(vocab_size=257 + merges, min_frequency=least)
    assert model_of(train(texts, settings)) == model_of(by_hugging_face(texts, settings))


def test_training_does_not_depend_on_hash_seed_threads_or_order():
    digests = set()
    for seed, threads, order in [("0", "1", "forwards"), ("1", "2", "forwards"), ("2", "4", "backwards")]:
        environment = os.environ | {"PYTHONHASHSEED": seed, "NUMBA_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", TRAIN, order]
        digests.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(digests) == 1


def test_special_tokens_come_first_and_every_byte_has_an_id(trained):
    vocabulary = trained["gpt4"].get_vocab()
    assert vocabulary["<|endoftext|>"] == 0
    assert sorted(vocabulary[character] for character in bpe.byte_alphabet()) == list(range(1, 257))
    assert len(vocabulary) == 1500


def test_byte_alphabet_is_gpt2s():
    alphabet = bpe.byte_alphabet()
    assert sorted(alphabet.values()) == list(range(256))
    assert [alphabet[character] for character in "Aé\u0120\u010a\u0100\u0143"] == [0x41, 0xE9, 0x20, 0x0A, 0x00, 0xAD]


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
@settings(deadline=None)
def test_every_string_survives_the_round_trip(trained, name, text):
    text = well_formed(text)
    assert trained[name].decode(trained[name].encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("name", "text", "pieces"),
    [
        ("gpt2", "I'll SAY 12345  (x)\n\n y", ["I", "'ll", " SAY", " 12345", " ", " (", "x", ")", "\n\n", " y"]),
        ("gpt4", "I'Ll SAY 12345  (x)\n\n y", ["I", "'Ll", " SAY", " ", "123", "45", " ", " (", "x", ")\n\n", " y"]),
        ("llama3", "a.b\n  \n c", ["a", ".b", "\n  \n", " c"]),
    ],
)
def test_splits_are_the_published_ones(trained, name, text, pieces):
    found = trained[name].pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:stop] for _, (start, stop) in found] == pieces


def test_too_small_a_sample_gives_a_smaller_vocabulary_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        tokenizer = train(["so few words, so few"], TokenizerSettings(vocab_size=2000))
    assert 257 < tokenizer.get_vocab_size() < 300
    assert "instead of 2000" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"vocab_size": 256}, "need 257 ids"),
        ({"vocab_size": 258, "special_tokens": ("<|a|>", "<|b|>", "<|c|>")}, "need 259 ids"),
        ({"special_tokens": ()}, "at least 1"),
        ({"special_tokens": ("<|a|>", "<|a|>")}, "twice"),
        ({"special_tokens": ("a",)}, "two characters"),
        ({"pretokenizer": "gpt5"}, "gpt2"),
        ({"vocabsize": 1000}, "Extra inputs"),
    ],
)
def test_settings_that_can_not_work_are_refused(chosen, message):
    with pytest.raises(ValidationError, match=message):
        TokenizerSettings(**chosen)


def test_a_smaller_vocabulary_is_fine_with_a_given_tokenizer():
    assert TokenizerSettings(vocab_size=10, path="tokenizer.json").path == "tokenizer.json"


def test_a_special_token_that_texts_contain_is_refused():
    with pytest.raises(ValueError, match="'stop' is also a word"):
        train(["stop stop stop stop"], TokenizerSettings(vocab_size=300, special_tokens=("stop",)))


def test_megabytes_without_a_space_train_in_seconds():
    started = time.process_time()
    texts = ["a" * 1_000_000, "ab" * 500_000, "中" * 1_000_000, " " * 12_000_000, "\n" * 1_000_000]
    assert train(texts, TokenizerSettings(vocab_size=300)).get_vocab_size() > 257
    assert time.process_time() - started < 30


def test_what_is_written_is_read(trained):
    text = bpe.to_text(trained["gpt4"])
    assert bpe.to_text(bpe.parse(text)) == text
    with pytest.raises(ValueError, match=r"not a tokenizer\.json"):
        bpe.parse('{"model": 1}')


def test_sample_rank_never_changes():
    assert [sample_rank("https://example.org/"), sample_rank("https://example.org/", 1), sample_rank("")] == [
        1058890666129813769,
        2255995014635134654,
        13476331504543672566,
    ]
    with pytest.raises(ValueError, match="seed"):
        sample_rank("a", -1)


def test_surrogates():
    assert well_formed("a\ud83d\ude00b\udc00\ud800") == "a\U0001f600b\ufffd\ufffd"
