"""Segmentation against what defines it: uniseg's word boundaries and the methods of str."""

import json
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from uniseg.wordbreak import words as uniseg_words

from filters import characters, segment
from filters.document import Document, Origin

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

# One or more of every word-break class, and what goes wrong beside it.
NASTY = [
    *"aB19 \t\n\r'’\".,:;_-#°½Ⅷ²é",  # ASCII and Latin
    *"\u0301\u200d\u00ad\u200b\ufeff\u2028\x85\x0b\u3000\u00a0\u202f",  # marks, joiners, odd spaces and line ends
    *"אב״ʼ·٣٫カーｱあ中〱・ไัำกㄱ각𝒜ß",  # Hebrew, digits, kana, Han, Thai, Hangul
    *"🇩🇪👨👩❤️",
    "\r\n",
    "a.b",
    "1,000",
    "don't",
]
nasty_text = st.lists(st.sampled_from(NASTY), max_size=40).map("".join)
# uniseg has Unicode 16 and the regex package 17: unassigned characters differ, and of the others the cedilla.
any_text = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="¸"), max_size=200)
LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}]")


def slices(text: str, spans: segment.Spans | segment.Segments) -> list[str]:
    return [text[start:stop] for start, stop in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True)]


def document(text: str) -> Document:
    return Document("id", text, "test", Origin("file", 0, len(text)))


@settings(max_examples=1000)
@given(nasty_text | any_text)
def test_words_are_those_of_uniseg_that_begin_with_a_letter_or_digit(text):
    wanted = [word for word in uniseg_words(text) if LETTER_OR_DIGIT.match(word)]
    assert slices(text, document(text).words) == wanted


@given(nasty_text | any_text)
def test_lines_and_paragraphs_are_what_str_gives(text):
    text = text.replace("a.b", "\n\n\n")
    for segments, separator in ((document(text).lines, "\n"), (document(text).paragraphs, "\n\n")):
        assert slices(text, segments) == [line for line in map(str.strip, text.split(separator)) if line]


@given(nasty_text | any_text)
def test_sentences_are_stripped_ascending_and_lose_no_letter(text):
    spans = document(text).sentences
    assert all(sentence and sentence == sentence.strip() for sentence in slices(text, spans))
    assert not any("\n" in sentence for sentence in slices(text, spans))
    edges = [edge for pair in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True) for edge in pair]
    assert edges == sorted(edges)
    assert "".join(LETTER_OR_DIGIT.findall(text)) == "".join(LETTER_OR_DIGIT.findall(" ".join(slices(text, spans))))


@given(st.lists(nasty_text, max_size=12))
def test_equal_words_and_lines_have_equal_hashes_and_others_have_not(parts):
    text = "\n".join(parts)
    for spans in (document(text).words, document(text).lines):
        pairs = set(zip(slices(text, spans), spans.hashes.tolist(), strict=True))
        assert len({text for text, _ in pairs}) == len({hash_ for _, hash_ in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith met J. Doe. They talked!", ["Dr. Smith met J. Doe.", "They talked!"]),
        ('He said "Stop!" and left. "Why?" she asked.', ['He said "Stop!" and left.', '"Why?" she asked.']),
        ("It cost 3.50 euro… or so. Fine", ["It cost 3.50 euro… or so.", "Fine"]),
        ("你好。我很好！“真的吗？”是的", ["你好。", "我很好！", "“真的吗？”", "是的"]),
        ("One\n***\nTwo", ["One", "Two"]),
        ("「行くの？」と聞いた。「はい」", ["「行くの？」", "と聞いた。", "「はい」"]),
        ("Sie rief: „Halt!“ Dann blieb sie stehen.", ["Sie rief: „Halt!“", "Dann blieb sie stehen."]),
        ("यह पहला है।यह दूसरा है। तीसरा", ["यह पहला है।", "यह दूसरा है।", "तीसरा"]),
        ("ما اسمك؟أنا علي. وأنت؟", ["ما اسمك؟", "أنا علي.", "وأنت؟"]),
        ("یہ ایک ہے۔یہ دو ہے۔", ["یہ ایک ہے۔", "یہ دو ہے۔"]),
        ("មាត្រា១។មាត្រា២។", ["មាត្រា១។", "មាត្រា២។"]),
        ("ပထမ။ဒုတိယ။", ["ပထမ။", "ဒုတိယ။"]),
        ("ሰላም።ደህና", ["ሰላም።", "ደህና"]),
        ("ภาษาไทย ไม่มี\nเครื่องหมาย", ["ภาษาไทย ไม่มี", "เครื่องหมาย"]),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    assert slices(text, document(text).sentences) == sentences


def test_white_space_words_are_those_of_split():
    for text in ("", " ", "a b", "中文 字\u3000x\x1cy\u2028z "):
        words = text.split()
        assert segment.white_space_words(segment.codepoints(text)) == (len(words), sum(map(len, words)))


def test_a_changed_text_has_new_views():
    changing = document("one two")
    assert len(changing.words) == 2
    changing.replace_text("one two three")
    assert len(changing.words) == 3


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_words_of_all_languages_equal_uniseg():
    import zstandard

    with zstandard.open(SHARED / "multilingual" / "udhr2.jsonl.zst", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"][:300] for line in lines]
    assert len(texts) > 300
    for text in texts:
        assert slices(text, document(text).words) == [w for w in uniseg_words(text) if LETTER_OR_DIGIT.match(w)]


@pytest.mark.parametrize("text", ["", "One two, 3rd.\nÉt 天地 ก็", "can't U.S. 1,5 🇩🇪 e\u0301"])
def test_folded_words_are_words_with_folded_hashes(text: str) -> None:
    points = segment.codepoints(text)
    words, folded = segment.words(points), segment.folded_words(points)
    assert folded.starts.tolist() == words.starts.tolist()
    assert folded.stops.tolist() == words.stops.tolist()
    assert folded.hashes.tolist() == segment.folded_hashes(points, words).tolist()
    fresh = Document("a", text, "test", Origin("", 0, 0))
    assert fresh.folded_words.hashes.tolist() == folded.hashes.tolist()
    assert fresh.words.hashes.tolist() == words.hashes.tolist()
    fresh.forget_views()
    assert fresh.words.starts.tolist() == fresh.folded_words.starts.tolist()
    fresh.replace_text("other words")
    assert len(fresh.folded_words) == 2


def test_there_are_no_characters_where_the_tables_do_not_look() -> None:
    looked_at = {point for stretch in characters.ASSIGNED for point in stretch}
    rest = "".join(chr(point) for point in range(0x110000) if point not in looked_at)
    classes = "".join(rf"\p{{WB={name}}}" for name in characters._CLASS_NAMES.values())
    assert not regex.search(rf"[{classes}\w\d\p{{L}}\p{{Lowercase}}\p{{Uppercase}}\p{{Extended_Pictographic}}]", rest)
    for pattern in characters._FLAG_PATTERNS.values():
        assert not regex.search(pattern, rest)
