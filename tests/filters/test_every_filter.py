"""What holds for every filter: each rule keeps and removes, signals stay in their ranges, real pages go through."""

import importlib
import json
import math
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.catalog import FILTERS, conditions, documentation, load_plugins
from filters.datatrove.quality import DatatroveQuality
from filters.datatrove.repetition import DatatroveRepetition
from filters.document import Document, Origin
from filters.filter import Filter, Judge
from filters.gopher_quality import GopherQuality
from filters.gopher_repetition import GopherRepetition
from filters.heuristics.data_juicer import DataJuicer
from filters.heuristics.madlad import Madlad
from filters.heuristics.nemo import Nemo

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")


def document(text: str, url: str = "", programming_language: str = "", language: str = "") -> Document:
    metadata = {"programming_language": programming_language}
    return Document("id", text, "test", Origin("file", 0, len(text)), url=url, language=language, metadata=metadata)


MODELS = importlib.import_module("test_models")  # the hand-made models of the tests beside this one

PROSE = """We walked along the river until the sun was low, and nobody said a word.
Behind the mill there is a path that few people know, narrow and overgrown with nettles.
It leads to a garden which must have been splendid once; now its walls have fallen to the grass.
"Shall we go in?" she asked, with her hand on the gate that would not quite close.
I had been told to stay out of it, and of course that is why we went."""

BROKEN = "\n".join(f"line {i} of a list" for i in range(40))

# What every filter needs to be made, a document that it keeps, and for every reason one that it removes.
MADE_WITH = {
    "keywords": {"words": ("nettlespam",)},
    "language": {"keep": ("en",)},
    "chinese_script": {"languages": ()},
    "line_language": {"min_character_share": 0.5},
    "word_segmenter": {"languages": ()},
    "url": {"domains": ("blocked.com",), "words": ("casino",)},
}
CHINESE = """我们沿着河边一直走，直到太阳快要落山，谁也没有说话。
磨坊后面有一条小路，知道的人不多，又窄又长满了荨麻；它通向一座花园，从前想必十分漂亮，如今墙都塌了。"""
ENGLISH_AND_GERMAN = (
    f"{PROSE}\n{'Wir gingen am Fluss entlang, bis die Sonne tief stand, und niemand sagte ein Wort. ' * 9}"
)

KEPT = {
    "chinese": document(CHINESE),
    "line_language": document(PROSE, language="en"),
    "datatrove_c4": document("He said so. " * 5),
    "madlad": document("It is so. We all know it well. Is it not? Perhaps it is not so. Who can say that it is?"),
    "datatrove_quality": document("the walls have fallen to the grass and of course that is why we went " * 4),
    "code_quality": document("def double(x):\n    return 2 * x\n", programming_language="Python"),
    "perplexity": document("cafe bar"),
    "quality_classifier": document("theory theory"),
    "url": document(PROSE, url="https://example.org/"),
}
REMOVED = {
    "boilerplate.markup": ({}, document("A <b>bold</b> word&nbsp;here.")),
    "boilerplate.templates": ({}, document("Dear {{ first_name }}, your order ${order.id} is here.")),
    "boilerplate.too_many_links": ({}, document("See https://example.org/a/b and www.example.org for more.")),
    "boilerplate.too_many_phrases": (
        {},
        document("Your browser does not support video.\nAll rights reserved\nA line."),
    ),
    "chinese.garbled": ({}, document(CHINESE + "鏄笉瑙勭殑" * 3)),
    "chinese_script.converted_too_much": ({"max_converted": 0.1}, document("這條路很窄，後來長滿了草。")),
    "chinese.half_width_marks": (
        {"min_full_width_marks": 0.5},
        document(CHINESE.replace("，", ",").replace("。", ".")),
    ),
    "chinese.not_simplified": ({"max_traditional": 0.1}, document("這條路很窄，後來長滿了草。")),
    "chinese.not_traditional": ({"min_traditional": 0.9}, document(CHINESE)),
    "chinese.short_lines": ({}, document("首页，\n新闻，\n体育，\n")),
    "chinese.too_few_han": ({}, document(PROSE)),
    "chinese.too_little_punctuation": ({}, document("首页新闻体育财经娱乐科技汽车房产教育游戏视频图片论坛博客")),
    "chinese.too_much_punctuation": ({}, document("好，好，好，好！！好？！好，好；好：")),
    "c4.curly_bracket": ({}, document(PROSE + "\nThis line has a { in it.")),
    "c4.lorem_ipsum": ({}, document(PROSE + "\nHere follows lorem ipsum dolor sit amet.")),
    "c4.too_few_sentences": ({}, document("This is the one sentence.")),
    "code.encoded_data": ({}, document("Ab1+" * 20)),
    "code.little_visible_text": ({}, document("<p>x</p>", programming_language="HTML")),
    "code.long_encoded_data": ({"max_encoded": None}, document("Ab1+/\n" * 300)),
    "code.long_text_line": ({}, document("x " * 60_000, programming_language="Markdown")),
    "code.mostly_markup": ({}, document("word " * 30 + f"<!--{' y' * 500}-->", programming_language="HTML")),
    "code.too_few_comments": ({"min_comments": 0.01}, document("x = 1\n", programming_language="Python")),
    "code.too_many_comments": ({}, document("# only a comment", programming_language="Python")),
    "code.large_data_file": ({}, document("key: value\n" * 500, programming_language="YAML")),
    "code.long_line": ({"max_mean_line": None}, document("x" * 1001)),
    "code.long_lines": ({}, document("x" * 101)),
    "code.small_data_file": ({}, document("{}x", programming_language="JSON")),
    "code.too_few_alphanumeric": ({}, document("+-*/" * 9 + "x")),
    "code.too_few_letters": ({"min_letters": 0.25}, document("12345678")),
    "code.too_few_lines": ({}, document("")),
    "code.too_many_lines": ({"max_lines": 3}, document("x = 1\n" * 4)),
    "code.xml_header": ({}, document('<?xml version="1.0"?>')),
    "fineweb.duplicate_characters": ({}, document(PROSE + "\n" + PROSE)),
    "fineweb.empty": ({}, document("\n")),
    "fineweb.too_few_terminal_lines": ({}, document(BROKEN)),
    "fineweb.too_many_newlines": ({"max_short_lines": None}, document("Yes.\n\nNo.\n\nPerhaps.")),
    "fineweb.too_many_short_lines": ({}, document("Yes.\nNo.\nPerhaps.")),
    "gopher.duplicate_line_characters": ({"max_duplicate_lines": None}, document(PROSE + "\n" + PROSE)),
    "gopher.duplicate_lines": ({}, document(PROSE + "\n" + PROSE)),
    "gopher.duplicate_paragraph_characters": (
        {"max_duplicate_lines": None, "max_duplicate_line_characters": None, "max_duplicate_paragraphs": None},
        document(PROSE + "\n\n" + PROSE),
    ),
    "gopher.duplicate_paragraphs": (
        {"max_duplicate_lines": None, "max_duplicate_line_characters": None},
        document(PROSE + "\n\n" + PROSE),
    ),
    "gopher.long_words": ({"min_words": None}, document("internationalization " * 9)),
    "gopher.short_words": ({"min_words": None}, document("a be to of " * 9)),
    "gopher.too_few_letters": ({"min_words": None}, document("2021 2022 2023 and the year 2024")),
    "gopher.too_few_stop_words": ({}, document("house garden river " * 20)),
    "gopher.too_few_words": ({}, document("We have the words that are too few.")),
    "gopher.too_many_bullets": ({"min_words": None, "min_mean_word_length": None}, document("- have\n- with\n")),
    "gopher.too_many_ellipses": ({"max_symbols_per_word": None}, document(PROSE.replace(".\n", "...\n"))),
    "gopher.too_many_symbols": ({"min_mean_word_length": None}, document("# tag " * 50)),
    "gopher.too_many_words": ({"max_words": 60}, document(PROSE)),
    "keywords.too_much": ({"max_share": 0.1, "max_per_thousand": None}, document("Nettlespam grows here.")),
    "keywords.too_frequent": ({}, document("Nettlespam grows here.")),
    "keywords.too_many": ({"max_count": 1, "max_per_thousand": None}, document("Nettlespam and NETTLESPAM.")),
    "language.not_kept": ({}, document("Wir gingen am Fluss entlang, bis die Sonne tief stand.")),
    "line_language.mixed_lines": ({"min_line_share": 0.99}, document(ENGLISH_AND_GERMAN, language="en")),
    "line_language.mixed_text": ({"min_line_share": None}, document(ENGLISH_AND_GERMAN, language="en")),
    "length.too_few_characters": ({}, document("")),
    "length.too_few_words": ({"min_words": 3}, document("two words")),
    "length.too_many_characters": ({"max_characters": 3}, document("four")),
    "length.too_many_words": ({"max_words": 1}, document("two words")),
    "perplexity.too_high": ({"max": 10}, document("no known word")),
    "perplexity.too_low": ({"min": 3}, document("cafe bar")),
    "quality_classifier.low_score": ({}, document("pills")),
    "word_segmenter.words_too_long": ({}, document("internationalization")),
    "url.blocked_domain": ({}, document(PROSE, url="https://www.blocked.com/")),
    "url.blocked_soft_words": ({"soft_words": ("hot", "girls")}, document(PROSE, url="https://example.org/hot-girls")),
    "url.blocked_word": ({}, document(PROSE, url="https://example.org/casino")),
}


def only(filter_class: type[Filter], setting: str) -> dict[str, object]:
    """Settings that leave one rule of a filter in force."""
    thresholds = [name for name in filter_class.model_fields if name.startswith(("min_", "max_"))]
    return {name: None for name in thresholds if name != setting}


for n in range(2, 11):
    kind = f"top_{n}_gram" if n <= 4 else f"duplicate_{n}_grams"
    for filter_class in (GopherRepetition, DatatroveRepetition):
        reason = f"{filter_class.signals[0].name.split('.')[0]}.{kind}"
        REMOVED[reason] = (only(filter_class, f"max_{kind}"), document("to be or not to be " * 4))
for kind, text in {
    "duplicate_lines": "x\nx\ny",
    "duplicate_line_characters": "long\nlong\ny",
    "duplicate_paragraphs": "x\n\nx\n\ny",
    "duplicate_paragraph_characters": "long\n\nlong",
}.items():
    REMOVED[f"datatrove.{kind}"] = (only(DatatroveRepetition, f"max_{kind}"), document(text))
REMOVED |= {
    f"datatrove.{reason}": (only(DatatroveQuality, setting), document(text))
    for reason, setting, text in (
        ("too_few_words", "min_words", "We have the words that are too few."),
        ("too_many_words", "max_words", "word " * 100_001),
        ("short_words", "min_mean_word_length", "a be to of"),
        ("long_words", "max_mean_word_length", "internationalization"),
        ("too_many_hashes", "max_hashes_per_token", "# tag"),
        ("too_many_ellipses", "max_ellipses_per_token", "Well ... no … yes"),
        ("too_many_bullets", "max_bullet_lines", "- have\n• with"),
        ("too_many_ellipsis_lines", "max_ellipsis_lines", "Well...\nYes"),
        ("too_few_letters", "min_alphabetic_tokens", "a, b, c"),
        ("too_few_stop_words", "min_stop_words", "The house of Gods"),
    )
}
for reason in ("curly_bracket", "lorem_ipsum", "too_few_sentences"):
    REMOVED[f"datatrove_c4.{reason}"] = REMOVED[f"c4.{reason}"]
REMOVED |= {
    "refinedweb.too_many_words_removed": ({}, document("ALL OF THIS IS SHOUTED\nand this is not")),
    "madlad.too_few_sentences": ({}, document("One. Two. Three. Four.")),
    "madlad.questionable": ({}, document("Is it an mp3? We ownload it. No. Well. So it is.")),
    "madlad.cursed": (only(Madlad, "max_cursed") | {"max_cursed": 0.1}, document("Is it good? We ownload it.")),
    "madlad.list_case": (only(Madlad, "max_list_case") | {"max_list_case": 0.5}, document("Anna Bert Cleo " * 5)),
    "madlad.abnormal_length": (
        only(Madlad, "max_abnormal_length") | {"max_abnormal_length": 0.5},
        document("Too short."),
    ),
    "madlad.technical": (only(Madlad, "max_technical") | {"max_technical": 0.5}, document("(12) + (34) > 40")),
    "token_repetition.too_many_times": ({}, document("spam, " * 100)),
    "token_repetition.too_much": ({"max_times": None, "max_share": 0.5}, document("spam, " * 3)),
}
REMOVED |= {
    f"nemo.{kind}": (only(Nemo, f"max_{kind}"), document(text))
    for kind, text in {
        "other_characters": "über öde Äcker",
        "digits": "in 2024",
        "urls": "see https://example.org/a",
        "white_space": "a b",
        "parentheses": "f(x)",
        "longest_word": "x" * 1001,
        "boilerplate": "Our terms of use.",
        "no_end_mark": "no end",
    }.items()
}
REMOVED |= {
    f"data_juicer.{reason}": (only(DataJuicer, setting), document(text))
    for reason, setting, text in (
        ("too_few_alphanumeric", "min_alphanumeric", "+ - * / a"),
        ("too_many_special_characters", "max_special_characters", "12 + 30 = 42"),
        ("short_lines", "min_mean_line", "a\nb"),
        ("no_long_line", "min_longest_line", "a\nb"),
        ("too_few_stop_words", "min_stop_words", "house garden river"),
        ("character_repetition", "max_character_repetition", "a" * 40),
        ("word_repetition", "max_word_repetition", "to be or not " * 9),
    )
}

REASONS = [(name, reason) for name, filter_class in sorted(FILTERS.items()) for reason, _ in conditions(filter_class)]


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Makes a filter by name, with the models that it needs."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "model.arpa").write_text(MODELS.ARPA, encoding="utf-8")
    words, labels = {"theory": 1.0, "pills": -1.0}, {"__label__hq": 2.0, "__label__cc": -2.0}
    (folder / "model.bin").write_bytes(MODELS.fasttext_model(words, labels))
    models = {
        "perplexity": {"model": str(folder / "model.arpa"), "max": 100.0},
        "quality_classifier": {"model": str(folder / "model.bin")},
    }

    def made(name: str, **settings: object) -> Filter:
        return FILTERS[name](**MADE_WITH.get(name, {}) | models.get(name, {}) | settings)

    return made


def copy(original: Document) -> Document:
    return document(original.text, original.url, original.metadata["programming_language"], original.language)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_keeps_a_document(name, make):
    judged = copy(KEPT.get(name, document(PROSE)))
    Judge(make(name))(judged)
    assert judged.removed_by == ""
    assert judged.signals


@pytest.mark.parametrize(("name", "reason"), REASONS)
def test_every_rule_removes_a_document(name, reason, make):
    settings, original = REMOVED[reason]
    judged = copy(original)
    Judge(make(name, **settings))(judged)
    assert judged.removed_by == reason


def test_no_example_is_left_over():
    assert sorted(REMOVED) == sorted(reason for _, reason in REASONS)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_is_declared_properly(name, make):
    filter_ = make(name)
    signals = {signal.name: signal for signal in filter_.signals}
    assert len(signals) == len(filter_.signals)
    for rule in filter_.rules():
        assert rule.signal in signals
        assert rule.can_fire(signals[rule.signal])
        assert not all(
            rule.removes({rule.signal: value}) for value in (signals[rule.signal].low, signals[rule.signal].high)
        )
    assert pickle.loads(pickle.dumps(filter_)) == filter_
    assert hash(pickle.loads(pickle.dumps(filter_))) == hash(filter_)
    assert all(isinstance(path, str) for path in filter_.files())


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    | st.lists(
        st.sampled_from([*"aB1 .…!#{}[]-•\n\n中。ไ\u0301\0\x85", "the ", "lorem ipsum ", "e.g. "]), max_size=80
    ).map("".join)
)
def test_signals_are_in_their_ranges_and_the_same_every_time(make, text):
    for name in sorted(FILTERS):
        filter_ = make(name)
        found = []
        for _ in range(2):
            measured = document(text, url=text, programming_language="JSON")
            filter_.clean(measured)
            measured.signals.update(filter_.measure(measured))
            found.append((measured.text, measured.language, measured.signals))
        assert found[0] == found[1]
        ranges = {signal.name: signal for signal in filter_.signals}
        for signal, value in found[0][2].items():
            assert ranges[signal].low <= value <= ranges[signal].high
            assert math.isfinite(value)


def test_documentation_names_everything():
    text = documentation()
    for name, filter_class in FILTERS.items():
        assert f"## {name}\n" in text
        assert all(f"| `{field}` |" in text for field in filter_class.model_fields)
        assert all(f"| `{signal.name}` |" in text for signal in filter_class.signals)
    assert all(f"| `{reason}` |" in text for _, reason in REASONS)
    assert "| `gopher.too_few_words` | `gopher.words` &lt; `min_words` |" in text
    assert documentation() == text


def test_filters_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "my_own_filter.py").write_text(
        "from filters.filter import Filter, Signal, register\n"
        "@register\n"
        "class Shouting(Filter):\n"
        "    name = 'shouting'\n"
        "    signals = (Signal('shouting.marks', 0, 9, 'exclamation marks'),)\n"
        "    def measure(self, document): return {'shouting.marks': document.text.count('!')}\n"
        "    def rules(self): return ()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("filters.filter.FILTERS", registry := dict(FILTERS))
    load_plugins(["my_own_filter"])
    assert registry["shouting"]().measure(document("Hey!")) == {"shouting.marks": 1}
    with pytest.raises(ImportError, match="no_such_module"):
        load_plugins(["no_such_module"])


@needs_shared
@pytest.mark.parametrize("language", ["cmn_hans", "cmn_hant"])
def test_chinese_text_survives(language, make):
    import zstandard

    with zstandard.open(SHARED / "multilingual" / "udhr2.jsonl.zst", "rt", encoding="utf-8") as lines:
        [text] = [row["text"] for row in map(json.loads, lines) if row["id"] == language]
    judged = document(text)
    for filter_ in (
        make("language", keep=("zh",)),
        GopherRepetition(max_duplicate_5_grams=0.25, max_duplicate_6_grams=0.2),
        GopherQuality(max_mean_word_length=None, stop_words=("的", "之", "有", "人")),
        make("c4"),
        make("fineweb"),
        make("keywords"),
    ):
        Judge(filter_)(judged)
        assert judged.removed_by == "", filter_.name
    assert judged.language == "zh"
    assert len(judged.text) > 2_000


@needs_shared
def test_real_pages_go_through(make):
    import zstandard

    texts = []
    for path in sorted((SHARED / "html-gold").glob("gold-*.jsonl.zst")):
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            texts += [(row["text"], row["url"]) for row in map(json.loads, lines) if row.get("text")]
    texts = texts[::4]
    assert len(texts) > 200
    for name in sorted(FILTERS):
        judge = Judge(make(name))
        judge(document(PROSE))  # compiled, loaded
        pages = [document(text, url) for text, url in texts]
        started = time.process_time()
        for page in pages:
            judge(page)
        spent = time.process_time() - started
        removed = sum(bool(page.removed_by) for page in pages)
        print(f"{name:20} {1000 * spent / len(pages):7.3f} ms a document, {removed} of {len(pages)} removed")
        assert all(set(page.signals) <= {signal.name for signal in FILTERS[name].signals} for page in pages)
        if name in ("c4", "fineweb", "gopher_quality", "gopher_repetition", "keywords", "language"):
            assert removed < len(pages) / 2  # gold texts are articles; most of them are good
