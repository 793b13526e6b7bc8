"""Chinese: what its characters say of a page, words by a dictionary, and both on clean text and on junk of a real crawl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.chinese import Chinese
from filters.chinese_script import ChineseScript
from filters.document import Document, Origin
from filters.filter import Judge
from filters.gopher_repetition import GopherRepetition
from filters.word_segmenter import WordSegmenter

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")

NEWS = "记者从国家卫生健康委获悉，近阶段，相关部门持续深入优化短缺药品实时监测预警与分级应对体系，全力保障人民群众临床用药需求。"


def document(text: str, language: str = "zh") -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)), language=language)


def measured(text: str) -> dict[str, float]:
    return {name.removeprefix("chinese."): value for name, value in Chinese().measure(document(text)).items()}


def declaration(code: str) -> str:
    import zstandard

    with zstandard.open(SHARED / "multilingual" / "udhr2.jsonl.zst", "rt", encoding="utf-8") as lines:
        [text] = [row["text"] for row in map(json.loads, lines) if row["id"] == code]
    return text


def test_shares_by_hand():
    # 8 Han characters, 2 full-width marks, 1 half-width mark, 2 letters: 13 characters; the space is none.
    found = measured("这是个 例子，其中有ab.\n。")
    assert found["han"] == 8 / 13
    assert found["punctuation"] == 3 / 8
    assert found["full_width_marks"] == 2 / 3
    assert found["rare"] == 0
    assert found["traditional"] == 0  # 这, and 个 too, is simplified only
    assert found["mean_line"] == (13 + 1) / 2, "the space inside a line is one of its characters"


@pytest.mark.parametrize(
    ("text", "share"),
    [("这书", 0), ("這書", 1), ("这書", 0.5), ("山水", None), ("台灣台湾", 0.5), ("后裡", 1), ("日本", None)],
)
def test_the_two_scripts(text, share):
    assert measured(text).get("traditional") == share


def test_text_that_was_decoded_wrongly_has_rare_characters():
    for wrong in (NEWS.encode().decode("gbk", "ignore"), NEWS.encode().decode("big5", "ignore")):
        assert measured(wrong)["rare"] > 0.1
    assert measured(NEWS)["rare"] == 0
    assert measured("国家機關龜龍")["rare"] == 0


def test_without_han_characters_there_is_nothing_to_say():
    assert measured("English, only.") == {"han": 0}
    assert measured(" \n") == {}


@pytest.mark.parametrize(
    ("setting", "signal", "reason"),
    [
        ("min_han", "han", "chinese.too_few_han"),
        ("max_rare", "rare", "chinese.garbled"),
        ("min_punctuation", "punctuation", "chinese.too_little_punctuation"),
        ("max_punctuation", "punctuation", "chinese.too_much_punctuation"),
        ("min_full_width_marks", "full_width_marks", "chinese.half_width_marks"),
        ("min_traditional", "traditional", "chinese.not_traditional"),
        ("max_traditional", "traditional", "chinese.not_simplified"),
        ("min_mean_line", "mean_line", "chinese.short_lines"),
    ],
)
def test_both_sides_of_every_threshold(setting, signal, reason):
    text = "這裡,有一個例子，其中殑。这里有另一个！ABC def"
    value = measured(text)[signal]
    off = dict.fromkeys(name for name in Chinese.model_fields if name.startswith(("min", "max")))
    for threshold, removed in ((value - 1e-9, setting.startswith("max")), (value + 1e-9, setting.startswith("min"))):
        for exact in (threshold, value):
            judged = document(text)
            Judge(Chinese(**off | {setting: exact}))(judged)
            assert judged.removed_by == (reason if removed and exact != value else ""), exact


@pytest.mark.parametrize(("character", "rare"), [("的", 0), ("龘", 1), ("𠀀", 1), ("〇", 0), ("a", 0), ("喆", 1)])
def test_which_characters_are_rare(character, rare):
    assert measured(f"中{character}")["rare"] == (rare / 2 if rare else 0)


def words(text: str, dictionary: bool = True) -> list[str]:
    made = document(text)
    made.dictionary_words = dictionary
    return [text[start:stop] for start, stop in zip(made.words.starts, made.words.stops, strict=True)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("我们在北京大学学习。", ["我们", "在", "北京大学", "学习"]),
        ("北京，上海", ["北京", "上海"]),
        ("iPhone手机和3.5寸U盘", ["iPhone", "手机", "和", "3.5", "寸", "U", "盘"]),
        ("北 京", ["北", "京"]),
        ("The mill", ["The", "mill"]),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("𠀀𠀁中国", ["𠀀", "𠀁", "中国"]),
        ("", []),
    ],
)
def test_words_of_a_dictionary(text, wanted):
    assert words(text) == wanted


@given(st.text(st.sampled_from([*"中国人民的大学生活北京，。 \n\r\tab1é.\u3000\ufe00𠀀\0ไท"]), max_size=60))
def test_words_are_joined_and_never_cut(text):
    plain, joined = words(text, dictionary=False), words(text)
    assert "".join(plain) == "".join(joined)
    rest = iter(plain)
    for word in joined:  # each is a run of the plain words
        made = ""
        while made != word:
            made += next(rest)
            assert word.startswith(made)


def test_equal_words_have_equal_hashes_and_dedup_sees_characters():
    made = document("中国人民，中国人民")
    folded = made.folded_words.hashes.tolist()
    Judge(WordSegmenter())(made)
    assert len(made.words) == 4
    assert made.words.hashes[:2].tolist() == made.words.hashes[2:].tolist()
    assert made.folded_words.hashes.tolist() == folded
    assert len(folded) == 8
    assert made.signals == {"word_segmenter.words": 4, "word_segmenter.mean_word_length": 2}


def test_only_chinese_is_segmented():
    for language, count in (("zh", 1), ("ja", 2)):
        made = document("中国", language)
        Judge(WordSegmenter())(made)
        assert len(made.words) == count
    made = document("中国")
    Judge(WordSegmenter())(made)
    made.replace_text("中国北京")  # a later filter has edited the text
    assert len(made.words) == 2


@pytest.mark.parametrize(
    ("text", "settings", "wanted"),
    [
        ("這條後來的路，頭髮發財。", {}, "这条后来的路，头发发财。"),
        ("头发发财，皇后后来。", {"to": "traditional"}, "頭髮發財，皇后後來。"),  # by phrases: 发 and 后 are two each
        ("ＡＢＣ１２３％，全形。", {"to": None}, "ABC123%，全形。"),
        ("ＡＢＣ這", {"plain_letters": False}, "ＡＢＣ这"),
        ("軟體 and English\n", {}, "软体 and English\n"),
        ("", {}, ""),
    ],
)
def test_one_script(text, settings, wanted):
    made = document(text)
    Judge(ChineseScript(**settings))(made)
    assert made.text == wanted
    assert len(text) == len(wanted)
    size = len("".join(text.split()))
    changed = sum(old != new for old, new in zip(text, wanted, strict=True))
    assert made.signals["chinese_script.converted"] == (changed / size if size else 0)
    judged = document(text)
    Judge(ChineseScript(**settings, max_converted=0.1))(judged)
    assert bool(judged.removed_by) == (made.signals["chinese_script.converted"] > 0.1)


def test_only_chinese_is_converted():
    made = document("學校", "ja")
    Judge(ChineseScript())(made)
    assert made.text == "學校"
    assert made.signals == {}


@needs_shared
@pytest.mark.parametrize("code", ["cmn_hans", "cmn_hant"])
def test_clean_text_in_both_scripts_is_kept(code):
    judged = document(declaration(code))
    for filter_ in (WordSegmenter(), GopherRepetition(), Chinese()):
        Judge(filter_)(judged)
    assert judged.removed_by == ""
    assert judged.signals["chinese.traditional"] == (code == "cmn_hant")


@needs_shared
def test_characters_repeat_where_words_do_not():
    """Why the dictionary is worth its price: Gopher's thresholds were made for words."""
    by_character, by_word = document(declaration("cmn_hans")), document(declaration("cmn_hans"))
    by_word.dictionary_words = True
    for made, removed in ((by_character, "gopher.duplicate_5_grams"), (by_word, "")):
        Judge(GopherRepetition())(made)
        assert made.removed_by == removed
