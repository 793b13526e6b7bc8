"""The stream of tokens: one order for every way to cut it, every token once an epoch, sources in their proportions."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from corpora import small_batches, write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer.shard import DamagedShard
from training.data.corpus import Corpus
from training.data.order import permutation
from training.data.stream import TokenStream, checksum, checksum_of

DOCUMENTS = st.lists(st.lists(st.integers(0, 60), max_size=25), min_size=1, max_size=4)
CORPORA = st.dictionaries(st.sampled_from(["web", "wikipedia", "books", "code"]), DOCUMENTS, min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small_batches(monkeypatch)


def opened(lengths) -> Corpus | None:
    """A corpus of these lengths; None where none of its sources has tokens."""
    lengths = {name: shards for name, shards in lengths.items() if sum(map(sum, shards))}
    if not lengths:
        return None
    return Corpus(write_corpus(Path(tempfile.mkdtemp()), lengths))


@settings(max_examples=60)
@given(CORPORA, st.data())
def test_any_cut_gives_the_same_stream(lengths, data):
    corpus = opened(lengths)
    if corpus is None:
        return
    weights = None
    if data.draw(st.booleans()):
        weights = {name: data.draw(st.floats(0.01, 100)) for name in corpus.sources}
    size = min(5 * sum(corpus.tokens.values()), 6000)
    whole = TokenStream(corpus, weights, seed=7).read(0, size)
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=12))})
    again = TokenStream(corpus, weights, seed=7)
    parts = [(a, again.read(a, b)) for a, b in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate([part.tokens for _, part in parts]), whole.tokens)
    assert [a + start for a, part in parts for start in part.starts] == whole.starts.tolist()
    for start in data.draw(st.lists(st.integers(0, size - 1), max_size=4)):  # from anywhere, also backwards
        stop = min(size, start + 50)
        fresh = TokenStream(corpus, weights, seed=7)
        assert np.array_equal(fresh.read(start, stop).tokens, whole.tokens[start:stop])
        assert np.array_equal(again.read(start, stop).tokens, whole.tokens[start:stop])


@settings(max_examples=40)
@given(CORPORA, st.integers(0, 3), st.data())
def test_an_epoch_reads_every_token_once(lengths, seed, data):
    corpus = opened(lengths)
    if corpus is None:
        return
    stream = TokenStream(corpus, seed=seed)
    size = stream.epoch_tokens
    assert size == sum(corpus.tokens.values())
    for epoch in (0, 1, 2):
        cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=6))})
        sums = [checksum(stream, epoch * size + a, epoch * size + b) for a, b in itertools.pairwise(cuts)]
        assert sum(sums) % (1 << 64) == checksum_of(corpus)
        pieces = stream.pieces(epoch * size, (epoch + 1) * size)
        seen = [(piece.batch.file.path, piece.batch.number, piece.row) for piece in pieces]
        assert len(seen) == len(set(seen))


def test_the_checksum_sees_a_lost_a_doubled_and_a_swapped_token(tmp_path):
    corpus = Corpus(write_corpus(tmp_path, {"web": [[30, 50, 20], [10, 40]], "code": [[70]]}))
    stream = TokenStream(corpus)
    whole, size = checksum_of(corpus), stream.epoch_tokens
    assert checksum(stream, 0, size) == whole
    assert checksum(stream, 0, size - 1) != whole
    assert checksum(stream, 0, size + 1) != whole
    assert (checksum(stream, 0, size) + checksum(stream, 5, 6) - checksum(stream, 6, 7)) % (1 << 64) != whole


def test_documents_are_whole_and_begin_where_the_part_says(tmp_path):
    corpus = Corpus(write_corpus(tmp_path, {"web": [[5, 9, 12, 3]], "code": [[7, 8], [6]]}))
    part = TokenStream(corpus, seed=3).read(0, 50)
    documents = np.split(part.tokens, part.starts[1:])
    assert sorted(map(len, documents)) == [3, 5, 6, 7, 8, 9, 12]
    assert all(one[-1] == 0 and 0 not in one[:-1] for one in documents)


@settings(max_examples=30)
@given(CORPORA, st.data())
def test_sources_are_exact_to_a_document_over_any_window(lengths, data):
    corpus = opened(lengths)
    if corpus is None:
        return
    weights = {name: data.draw(st.integers(1, 50)) for name in corpus.sources}
    stream = TokenStream(corpus, weights)
    size = 4000
    given = {name: np.zeros(size + 1, np.int64) for name in weights}
    at = 0
    for piece in stream.pieces(0, size):
        given[piece.batch.file.source][at + 1 : at + 1 + piece.stop - piece.start] = 1
        at += piece.stop - piece.start
    assert at == size
    begin, end = sorted((data.draw(st.integers(0, size)), data.draw(st.integers(0, size))))
    longest = {name: max(map(max, (one for one in lengths[name] if one))) for name in weights}
    for name, counted in given.items():
        read = int(counted[begin + 1 : end + 1].sum())
        fair = (end - begin) * weights[name] / sum(weights.values())
        # At each end of the window a source may stand out by its document, or be held up by the others'.
        assert abs(read - fair) <= 2 * sum(longest.values()) + 2


def test_epochs_differ_and_seeds_differ(tmp_path):
    corpus = Corpus(write_corpus(tmp_path, {"web": [[11] * 30, [13] * 30]}))
    size = sum(corpus.tokens.values())
    stream = TokenStream(corpus, seed=1)
    first, second = stream.read(0, size).tokens, stream.read(size, 2 * size).tokens
    assert not np.array_equal(first, second)
    assert np.array_equal(np.sort(first), np.sort(second))
    assert not np.array_equal(first, TokenStream(corpus, seed=2).read(0, size).tokens)
    assert TokenStream(corpus, seed=1).digest == stream.digest != TokenStream(corpus, seed=2).digest


def test_the_order_never_changes(tmp_path):
    # By the published outputs of splitmix64 for the seed 0: e220…, 6e78…, 06c4…, f88b…, 1b39…
    assert permutation(5, 0).tolist() == [2, 4, 1, 0, 3]
    corpus = Corpus(write_corpus(tmp_path, {"web": [[3, 1, 4], [1, 5]], "code": [[9, 2, 6]]}))
    assert TokenStream(corpus, seed=5).read(0, 31).starts.tolist() == [0, 4, 10, 13, 22, 23, 28, 30]


def test_weights_repeat_a_small_source_in_new_orders(tmp_path):
    corpus = Corpus(write_corpus(tmp_path, {"web": [[20] * 200], "books": [[5] * 10]}))
    stream = TokenStream(corpus, {"web": 1, "books": 1})
    assert stream.epochs(4000) == {"web": 0.5, "books": 40.0}
    pieces = stream.pieces(0, 200)
    books = [(piece.batch.number, piece.row) for piece in pieces if piece.batch.file.source == "books"]
    assert len(set(books[:10])) == 10
    assert set(books[:10]) == set(books[10:20])
    assert books[:10] != books[10:20]


def test_vocabularies_beyond_16_bits(tmp_path):
    corpus = Corpus(write_corpus(tmp_path, {"web": [[70_000, 5]]}, vocabulary=70_001))
    part = TokenStream(corpus).read(0, 70_005)
    assert part.tokens.dtype == np.uint32
    assert part.tokens.max() == 69_999
    into = np.empty(70_005, np.int64)
    assert np.array_equal(TokenStream(corpus).read(0, 70_005, into).tokens, part.tokens)


def damaged(folder: Path) -> Path:
    """A corpus of three record batches with a bit flipped in the tokens of one."""
    write_corpus(folder, {"web": [[40, 40, 40]]})
    path = next((folder / "shards").rglob("*.arrow"))
    contents = bytearray(path.read_bytes())
    at = contents.find(np.arange(41, 80, dtype=np.uint16).tobytes())
    assert at > 0
    contents[at + 10] ^= 4
    path.write_bytes(contents)
    return folder


def test_a_damaged_batch_stops_the_reading_with_its_place(tmp_path):
    stream = TokenStream(Corpus(damaged(tmp_path)))
    with pytest.raises(DamagedShard, match=r"00000-of-00001\.arrow: batch 1 has crc32"):
        stream.read(0, 120)


def test_a_damaged_batch_can_be_skipped_and_is_counted(tmp_path):
    stream = TokenStream(Corpus(damaged(tmp_path)), on_damage="skip")
    part = stream.read(0, 120)
    ((begin, end),) = part.unreadable
    assert end - begin == 40
    assert not part.tokens[begin:end].any()
    assert np.count_nonzero(part.tokens) == 78
    assert stream.skipped == {("shards/train/web/00000-of-00001.arrow", 1): 40}


def test_what_can_not_be_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="has not finished"):
        Corpus(tmp_path)
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(ValueError, match="no manifest"):
        Corpus(tmp_path)
    (tmp_path / "manifest.json").write_text('{"files": []}')
    with pytest.raises(ValueError, match="no validation shards"):
        Corpus(tmp_path, "validation")
    corpus = Corpus(write_corpus(tmp_path, {"web": [[5]]}))
    with pytest.raises(ValueError, match="no tokens from 3 to 3"):
        TokenStream(corpus).read(3, 3)
    with pytest.raises(ValueError, match="the mixture names books"):
        TokenStream(corpus, {"books": 1})


def test_a_manifest_of_another_run_is_noticed(tmp_path):
    write_corpus(tmp_path / "one", {"web": [[5, 6]]})
    write_corpus(tmp_path / "two", {"web": [[5, 7]]})
    shard = "shards/train/web/00000-of-00001.arrow"
    (tmp_path / "one" / shard).write_bytes((tmp_path / "two" / shard).read_bytes())
    with pytest.raises(DamagedShard, match="the manifest says 2 documents and 11 tokens"):
        TokenStream(Corpus(tmp_path / "one")).read(0, 5)
