"""The tokenizer that training makes: the same from the same texts, whole for every string, bounded on hostile ones."""

from __future__ import annotations

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

from tokenizer import bpe
from tokenizer.bpe import LONGEST_RUN, TokenizerSettings, bounded, sample_rank, train, well_formed

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [path.read_text(errors="replace") for path in sorted(Path(os.__file__).parent.glob("[a-d]*.py"))[:25]] + [
    "中文没有空格，真的没有。日本語のテキスト。" * 20,
    "हिन्दी में पाठ और العربية بلا توقف " * 20,
]

TRAIN = """
import hashlib, os, sys
from pathlib import Path
from tokenizer import bpe
texts = [path.read_text(errors="replace") for path in sorted(Path(os.__file__).parent.glob("[a-d]*.py"))[:25]]
if sys.argv[1] == "backwards":
    texts.reverse()
print(bpe.digest(bpe.to_text(bpe.train(texts, bpe.TokenizerSettings(vocab_size=1500)))))
"""


@pytest.fixture(scope="module")
def trained():
    return {name: train(TEXTS, TokenizerSettings(vocab_size=1500, pretokenizer=name)) for name in bpe.SPLITS}


def test_training_does_not_depend_on_hash_seed_threads_or_order():
    digests = set()
    for seed, threads, order in [("0", "1", "forwards"), ("1", "2", "forwards"), ("2", "4", "backwards")]:
        environment = os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
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


@pytest.mark.parametrize("name", bpe.SPLITS)
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


def test_sample_is_a_limit_in_bytes_and_cuts_between_characters():
    assert list(bounded(["abc", "déf", "ghi"], sample=5, distinct=1 << 20)) == ["abc", "d"]
    assert list(bounded(["abc", "def", "ghi"], sample=6, distinct=1 << 20)) == ["abc", "def"]
    assert list(bounded(["a\ud800", "b"], sample=100, distinct=1 << 20)) == ["a\ufffd", "b"]


def test_training_stops_at_the_limit_of_distinct_words():
    texts = [f"{word:04} same same" for word in range(100)]
    assert list(bounded(texts, sample=1 << 20, distinct=4 * 10 + 4)) == texts[:10]


@given(st.lists(st.tuples(st.sampled_from(["a", " ", "-", "中", "1", "\n", "é "]), st.integers(1, 900)), max_size=6))
@settings(deadline=None)
def test_long_runs_are_cut_and_nothing_is_lost(parts):
    text = "".join(part * times for part, times in parts)
    cut = list(bounded([text], sample=1 << 20, distinct=1 << 20))
    assert "".join(cut) == text
    assert max((len(run) for part in cut for run in bpe._RUN.findall(part)), default=0) <= LONGEST_RUN


def test_megabytes_without_a_space_train_in_seconds():
    started = time.process_time()
    # Uncut, the fourth is too much for the regex engine of the trainer.
    texts = ["a" * 1_000_000, "ab" * 500_000, "中" * 1_000_000, " " * 12_000_000, "\n" * 1_000_000]
    assert train(texts, TokenizerSettings(vocab_size=300)).get_vocab_size() > 257
    assert time.process_time() - started < 30


def test_save_and_load(tmp_path, trained):
    digest = bpe.save(trained["gpt4"], tmp_path / "tokenizer.json")
    text, loaded = bpe.load(tmp_path / "tokenizer.json")
    assert loaded == digest == bpe.digest(text)
    assert bpe.to_text(bpe.parse(text)) == text == bpe.to_text(trained["gpt4"])
    (tmp_path / "other.json").write_text('{"model": 1}')
    with pytest.raises(ValueError, match=r"other\.json: not a tokenizer\.json"):
        bpe.load(tmp_path / "other.json")


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
