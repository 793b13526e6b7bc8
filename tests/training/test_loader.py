"""The loader: the same tokens on any number of ranks, resumed anywhere, with targets that follow and documents told apart."""

from __future__ import annotations

import hashlib
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
from training.data.loader import IGNORED, Loader
from training.data.stream import TokenStream, checksum, checksum_of

LENGTHS = {"web": [[30, 7, 55, 20, 3, 61], [44, 18]], "books": [[90, 12, 5]], "code": [[1, 2, 33], [8], [14, 26]]}


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Corpus:
    small_batches(monkeypatch)
    return Corpus(write_corpus(tmp_path, LENGTHS))


def read_by(corpus: Corpus, world: int, micro: int, length: int, position: int, tokens: int) -> np.ndarray:
    """The inputs of ``tokens`` tokens that so many ranks read, put together in the stream's order."""
    loaders = [
        Loader(
            TokenStream(corpus, seed=3),
            micro_batch=micro,
            sequence_length=length,
            rank=rank,
            world_size=world,
            position=position,
        )
        for rank in range(world)
    ]
    steps = -(-tokens // loaders[0].tokens_per_batch)
    parts = [next(loader).inputs.ravel() for _ in range(steps) for loader in loaders]
    for loader in loaders:
        loader.close()
    return np.concatenate(parts)[:tokens]


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 40), st.integers(0, 900))
def test_the_stream_is_the_same_for_every_world_batch_and_sequence(world, micro, length, position):
    corpus = Corpus(write_corpus(Path(tempfile.mkdtemp()), LENGTHS))
    expected = TokenStream(corpus, seed=3).read(position, position + 500).tokens
    assert np.array_equal(read_by(corpus, world, micro, length, position, 500), expected)


def test_ranks_together_prove_that_an_epoch_was_read_once(corpus):
    size = sum(corpus.tokens.values())
    proofs = 0
    for rank in range(4):
        loader = Loader(TokenStream(corpus), micro_batch=1, sequence_length=1, rank=rank, world_size=4, prove=True)
        with loader:
            while loader.position + loader.tokens_per_batch <= size:
                next(loader)
        proofs += loader.proof
    rest = checksum(TokenStream(corpus), size // 4 * 4, size) if size % 4 else 0
    assert (proofs + rest) % (1 << 64) == checksum_of(corpus)


def test_targets_follow_inputs_and_batches_follow_one_another(corpus):
    with Loader(TokenStream(corpus), micro_batch=3, sequence_length=16) as loader:
        batches = list(itertools.islice(loader, 20))
    inputs = np.concatenate([one.inputs.ravel() for one in batches])
    targets = np.concatenate([one.targets.ravel() for one in batches])
    assert inputs.dtype == targets.dtype == np.int64
    assert np.array_equal(inputs[1:], targets[:-1])
    assert batches[0].inputs.shape == (3, 16)
    assert [one.start for one in batches] == list(range(0, 20 * 48, 48))
    assert [one.stop for one in batches] == list(range(48, 21 * 48, 48))


def test_documents_are_told_apart(corpus):
    stream = TokenStream(corpus)
    begins = stream.read(0, 4 * 2 * 25).starts
    with Loader(stream, micro_batch=2, sequence_length=25) as loader:
        for number, batch in enumerate(itertools.islice(loader, 4)):
            here = begins[(begins >= number * 50) & (begins < number * 50 + 50)] - number * 50
            assert batch.starts.tolist() == here.tolist()
            ends = batch.inputs == 0
            before = np.cumsum(ends, axis=1) - ends  # documents that have ended before each token of a row
            assert np.array_equal(batch.documents(), before)


def test_joins_can_be_taken_out_of_the_loss(corpus):
    stream = TokenStream(corpus)
    with Loader(stream, micro_batch=2, sequence_length=25, mask_joins=True) as loader:
        for batch in itertools.islice(loader, 10):
            assert np.array_equal(batch.targets == IGNORED, batch.inputs == 0)


def test_a_state_resumes_on_another_world(corpus):
    with Loader(TokenStream(corpus), micro_batch=2, sequence_length=8) as loader:
        for _ in range(7):
            next(loader)
        state = loader.state()
        expected = next(loader).inputs.ravel()
    assert state == {"tokens": 112, "digest": TokenStream(corpus).digest}
    found = []
    for rank in range(2):
        other = Loader(TokenStream(corpus), micro_batch=1, sequence_length=8, rank=rank, world_size=2)
        other.resume(state)
        with other:
            found.append(next(other).inputs.ravel())
    assert np.array_equal(np.concatenate(found), expected)


def test_seeking_skips_and_goes_back(corpus):
    loader = Loader(TokenStream(corpus), micro_batch=1, sequence_length=10)
    with loader:
        first = [next(loader).inputs for _ in range(5)]
        loader.seek(30)
        assert np.array_equal(next(loader).inputs, first[3])
        loader.seek(0)
        assert np.array_equal(next(loader).inputs, first[0])
        assert loader.position == 10


def test_a_state_of_other_data_is_refused(corpus):
    loader = Loader(TokenStream(corpus, seed=1), micro_batch=1, sequence_length=4)
    with pytest.raises(ValueError, match="other data, another seed or mixture"):
        loader.resume(Loader(TokenStream(corpus, seed=2), micro_batch=1, sequence_length=4).state())


def test_damage_met_ahead_is_raised_where_the_batch_is_asked_for(corpus):
    path = next(Path(corpus.folder).rglob("shards/train/books/*.arrow"))
    contents = bytearray(path.read_bytes())
    at = contents.find(np.arange(240, 300, dtype=np.uint16).tobytes())
    assert at > 0
    contents[at] ^= 1
    path.write_bytes(contents)
    with Loader(TokenStream(corpus), micro_batch=1, sequence_length=4) as loader, pytest.raises(DamagedShard):
        for _ in range(200):
            next(loader)
    stream = TokenStream(corpus, on_damage="skip")
    with Loader(stream, micro_batch=1, sequence_length=64) as loader:
        batches = list(itertools.islice(loader, 12))
    masked = sum(np.count_nonzero(one.targets == IGNORED) for one in batches)
    assert masked == 2 * (90 + 1)  # twice the document, with the target that its first token was
    assert all((one.targets[one.targets != IGNORED] < 1000).all() for one in batches)


@pytest.mark.parametrize(
    "wrong", [{"micro_batch": 0}, {"sequence_length": 0}, {"rank": 2, "world_size": 2}, {"rank": -1}, {"position": -1}]
)
def test_wrong_sizes_are_refused(corpus, wrong):
    with pytest.raises(ValueError, match=r"must be|ranks count"):
        Loader(TokenStream(corpus), **({"micro_batch": 1, "sequence_length": 4} | wrong))


def test_shards_of_a_url_are_fetched_checked_and_kept_within_bounds(corpus, tmp_path):
    sizes = [one.bytes for shards in corpus.sources.values() for one in shards]
    limit = 2 * max(sizes)
    cache = tmp_path / "cache"
    remote = Corpus(f"file://{corpus.folder}", cache=cache, cache_bytes=limit)
    size = sum(corpus.tokens.values())
    expected = TokenStream(corpus).read(0, 2 * size).tokens
    stream = TokenStream(remote)
    found = [stream.read(at, min(at + 50, 2 * size)).tokens for at in range(0, 2 * size, 50)]
    assert np.array_equal(np.concatenate(found), expected)
    assert stream.digest == TokenStream(corpus).digest
    kept = list(cache.iterdir())
    assert sum(one.stat().st_size for one in kept) <= limit
    assert all(hashlib.sha256(one.read_bytes()).hexdigest() == one.stem for one in kept)


def test_a_fetched_shard_that_is_not_the_manifests_is_refused(corpus, tmp_path):
    path = next(Path(corpus.folder).rglob("shards/train/web/*.arrow"))
    path.write_bytes(path.read_bytes() + b"\0")
    remote = Corpus(f"file://{corpus.folder}", cache=tmp_path / "cache")
    with pytest.raises(DamagedShard, match="the manifest says"):
        TokenStream(remote).read(0, 300)
    assert not list((tmp_path / "cache").glob("*.part"))
