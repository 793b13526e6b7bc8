"""MinHash: equal to datasketch bit for bit, unbiased, the right shingles for each script, candidates as the theory says."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.planted import Corpus
from filters import segment
from filters.document import Document, Origin
from filters.segment import Array
from pipeline.dedup import bands, minhash
from pipeline.dedup.settings import Dedup, Near

ENGLISH = (
    "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs! How vexingly quick daft zebras "
    "jump. 我能吞下玻璃而不伤身体。 Sphinx of black quartz, judge my vow."
)
CHINESE = "我能吞下玻璃而不伤身体。天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。"


def document(text: str) -> Document:
    return Document("a", text, "test", Origin("f", 0, 0))


def of(text: str, near: Near) -> tuple[Array, Array]:
    """The shingles and the signature of a text."""
    made = document(text)
    return minhash.shingles(made, near), minhash.signature(made, near)


def datasketch(shingles: Array, near: Near) -> list[int]:
    reference = MinHash(num_perm=near.permutations, seed=near.seed, hashfunc=int)
    reference.update_batch(shingles)
    values: list[int] = reference.hashvalues.tolist()
    return values


@pytest.mark.parametrize(("count", "seed"), [(112, 1), (64, 7), (17, 0), (1, 4294967295)])
@pytest.mark.parametrize(
    "text", [ENGLISH, CHINESE, ENGLISH * 400]
)  # the last has more shingles than are permuted at once
def test_signature_equals_datasketch(text: str, count: int, seed: int) -> None:
    near = Near(bands=1, rows=count, seed=seed)
    found, ours = of(text, near)
    assert ours.dtype == np.uint32
    assert ours.tolist() == datasketch(found, near)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab cdé世界天地.\n１2'กข"), max_size=120), st.integers(1, 6), st.integers(1, 6))
def test_signature_equals_datasketch_on_any_text(text: str, ngram: int, characters: int) -> None:
    near = Near(ngram=ngram, characters=characters, bands=3, rows=5)
    found, ours = of(text, near)
    if len(found) == 0:
        assert len(ours) == 0, "a text shorter than a shingle must not cluster"
    else:
        assert ours.tolist() == datasketch(found, near)


@pytest.mark.parametrize("count", [1, 2, 112, 113, 256])
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_permutations_are_those_of_datasketch(count: int, seed: int) -> None:
    multipliers, increments = minhash.permutations(count, seed)
    expected = MinHash(num_perm=count, seed=seed).permutations
    assert multipliers.tolist() == expected[0].tolist()
    assert increments.tolist() == expected[1].tolist()


def rolling(units: list[int], size: int) -> list[int]:
    """The definition of a shingle's hash, in Python's integers."""
    mask = (1 << 64) - 1
    found = []
    for start in range(len(units) - size + 1):
        running = 0
        for unit in units[start : start + size]:
            running = (running * 0x9E3779B97F4A7C15 + unit) & mask
        found.append((((running ^ (running >> 32)) * 0xD6E8FEB86659FD93) & mask) >> 32)
    return found


def test_shingles_are_runs_of_words_where_words_have_spaces() -> None:
    made = document(ENGLISH)
    assert not minhash.unspaced(made)
    words = segment.folded_hashes(made.codepoints, made.words).tolist()
    assert of(ENGLISH, Near())[0].tolist() == rolling(words, 5)
    assert of(ENGLISH, Near(ngram=1))[0].tolist() == rolling(words, 1)
    assert of(ENGLISH, Near(ngram=len(words)))[0].tolist() == rolling(words, len(words))


def test_shingles_are_runs_of_characters_where_words_have_no_spaces() -> None:
    letters = [ord(letter) for letter in CHINESE if letter.isalnum()]
    assert of(CHINESE, Near())[0].tolist() == rolling(letters, 8)
    assert of(CHINESE, Near(characters=3))[0].tolist() == rolling(letters, 3)
    narrow = CHINESE.replace("，", " ,\n").replace("。", " ")
    assert of(narrow, Near())[0].tolist() == rolling(letters, 8), "punctuation and white space do not count"


@pytest.mark.parametrize(
    ("script", "sample"),
    [
        ("Han", "天地玄黄宇宙洪荒"),
        ("Hiragana and Katakana", "すべての人間はコンピュータである"),
        ("Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระ"),
        ("Lao", "ມະນຸດທຸກຄົນເກີດມາມີກຽດ"),
        ("Khmer", "មនុស្សទាំងអស់កើតមកមានសេរីភាព"),
        ("Myanmar", "လူတိုင်းသည်တူညီလွတ်လပ်သော"),
        ("Tibetan", "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ"),
        ("Yi", "ꊿꂷꃅꄿꐨꐥ"),
    ],
)
def test_scripts_without_spaces(script: str, sample: str) -> None:
    assert minhash.unspaced(document(sample)), script
    assert minhash.unspaced(document(f"{sample} (ok)")), "a little Latin does not change it"
    assert not minhash.unspaced(document(f"{sample} {'a long sentence in another script ' * 3}"))
    marks = [c for c in sample if unicodedata.category(c)[0] in "LN"]
    assert len(of(sample, Near(characters=2))[0]) >= len(marks) - 1


@pytest.mark.parametrize(
    "sample", ["모든 인간은 태어날 때부터", "Все люди рождаются", "सभी मनुष्यों को", "كل الناس", "", "… !"]
)
def test_scripts_with_spaces(sample: str) -> None:
    assert not minhash.unspaced(document(sample))


@pytest.mark.parametrize("text", ["", "  \n", "...", "four words are few", "天地玄黄宇宙洪"])
def test_texts_shorter_than_a_shingle_have_no_signature(text: str) -> None:
    found, ours = of(text, Near())
    assert len(ours) == 0
    assert found.tolist() == []


def test_jaccard_is_of_sets() -> None:
    near = Near(ngram=1, bands=1, rows=64)

    def shingle_set(text: str) -> Array:
        made = document(text)
        return minhash.shingle_set(made, near)

    assert minhash.jaccard(shingle_set("a b c a a"), shingle_set("b c d")) == 2 / 4
    assert minhash.jaccard(shingle_set("a b"), shingle_set("A. B! ")) == 1
    assert minhash.jaccard(shingle_set("a"), shingle_set("b")) == 0
    assert minhash.jaccard(shingle_set(""), shingle_set("")) == 0, "nothing is not similar to nothing"


@pytest.mark.parametrize(("threshold", "count"), [(0.3, 64), (0.5, 128), (0.7, 112), (0.8, 128), (0.9, 256), (0.9, 64)])
def test_threshold_gives_the_bands_of_datasketch(threshold: float, count: int) -> None:
    reference = MinHashLSH(threshold=threshold, num_perm=count)
    near = Near(threshold=threshold, permutations=count)
    assert (near.bands, near.rows, near.permutations) == (reference.b, reference.r, count)


def test_settings_agree_or_say_so() -> None:
    assert Near().permutations == 112
    assert Near(bands=20, rows=5).permutations == 100
    assert Near(bands=20, rows=5, permutations=128).permutations == 128
    assert Near(threshold=0.6).min_similarity == 0.6
    assert Near(threshold=0.6, min_similarity=0.8).min_similarity == 0.8
    written = Near(threshold=0.8).model_dump()
    assert Near(**written) == Near(threshold=0.8), "what a run writes down can be read again"
    with pytest.raises(ValidationError, match="name bands and rows or a threshold"):
        Near(threshold=0.8, bands=14)
    with pytest.raises(ValidationError, match="need 200 values"):
        Near(bands=20, rows=10, permutations=112)
    with pytest.raises(ValidationError, match="less than 1"):
        Near(threshold=1)


def test_the_curve_is_the_published_one() -> None:
    """14 bands of 8 rows as FineWeb's paper and datatrove's documentation print them."""
    for similarity, chance in [(0.7, 0.56), (0.75, 0.77), (0.8, 0.92), (0.85, 0.988)]:
        assert bands.candidate_probability(similarity, 14, 8) == pytest.approx(chance, abs=0.006)


@pytest.fixture(scope="module")
def planted() -> tuple[Array, Array, Array, Array]:
    """Signatures of a made corpus, and its similar pairs with their true similarity."""
    corpus = Corpus(8000, seed=5)
    near = Near()
    signatures = np.zeros((corpus.count, near.permutations), np.uint32)
    for place, text in enumerate(corpus.texts(0, corpus.count).to_pylist()):
        signatures[place] = of(text, near)[1]
    left, right, similarity = corpus.truth()
    return signatures, left, right, similarity


def test_the_estimate_is_unbiased(planted: tuple[Array, Array, Array, Array]) -> None:
    signatures, left, right, similarity = planted
    error = (signatures[left] == signatures[right]).mean(axis=1) - similarity
    spread = np.sqrt(similarity * (1 - similarity) / signatures.shape[1])
    assert len(error) > 3000
    # pairs of one family share an original, so they count for fewer: six standard errors of 1,000 independent ones
    assert abs(error.mean()) < 6 * np.sqrt((spread**2).mean() / 1000)
    sure = spread > 0
    assert (error[~sure] == 0).all(), "equal documents have equal signatures"
    assert np.sqrt(((error[sure] / spread[sure]) ** 2).mean()) == pytest.approx(1, abs=0.1), "and no wider than theory"


@pytest.mark.parametrize(("count", "rows"), [(14, 8), (20, 5), (9, 12)])
def test_pairs_share_a_band_as_often_as_the_curve_says(
    planted: tuple[Array, Array, Array, Array], count: int, rows: int
) -> None:
    signatures, left, right, similarity = planted
    keys = minhash.band_keys(signatures, count, rows)
    shared = (keys[left] == keys[right]).any(axis=1)
    for low in np.arange(0.3, 1, 0.1):
        inside = (similarity >= low) & (similarity < low + 0.1)
        expected = np.mean([bands.candidate_probability(s, count, rows) for s in similarity[inside]])
        assert shared[inside].mean() == pytest.approx(expected, abs=0.06), f"from {low:.1f}"
    alike = similarity >= 0.8
    expected = np.mean([bands.candidate_probability(s, count, rows) for s in similarity[alike]])
    assert shared[alike].mean() > expected - 0.015
    assert shared[similarity == 1].all()


def test_band_keys_depend_on_the_band_and_all_its_rows() -> None:
    signatures = np.arange(12, dtype=np.uint32).reshape(1, 12)
    keys = minhash.band_keys(np.tile(signatures[:, :4], 3), 3, 4)
    assert len(set(keys[0].tolist())) == 3, "equal values in different bands are different keys"
    for place in range(12):
        other = signatures.copy()
        other[0, place] += 1
        differs = (minhash.band_keys(signatures, 3, 4) != minhash.band_keys(other, 3, 4))[0].tolist()
        assert differs == [band == place // 4 for band in range(3)]
    assert minhash.band_keys(signatures, 2, 4).shape == (1, 2), "values beyond the last band are for verification only"


def test_the_recipe_takes_defaults() -> None:
    assert Dedup().near == Near()
