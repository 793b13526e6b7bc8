"""From documents to training batches: words counted, tokenizer trained, shards traced and listed, tokens streamed by weight."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece
from harness import corpusmill

from tokenizer import bpe, words
from tokenizer.encode import encoder_of
from tokenizer.sentencepiece_model import SentencePieceEncoder
from tokenizer.shard import Shard
from training.data.corpus import Corpus
from training.data.stream import TokenStream

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def word(number: int) -> str:
    """A made-up word; different numbers below 4900 make different words."""
    first, second = divmod(number % 4900, 70)
    return "".join(CONSONANTS[part // 5] + VOWELS[part % 5] for part in (first, second))


def text(start: int, count: int) -> str:
    return " ".join(word((start + at) * (start + 7)) for at in range(count)).capitalize() + " — 中文，ünï."


TEXTS = {"web": [text(n, 40 + n) for n in range(60)], "books": [text(n, 90) for n in range(900, 920)]}
RECIPE = """
name: tokens
sources:
  - {{name: web, kind: jsonl, paths: ["{folder}/web.jsonl"], filters: none}}
  - {{name: books, kind: jsonl, paths: ["{folder}/books.jsonl"], filters: none}}
filters: {{none: []}}
dedup: false
pii: false
mixture: {{web: 3, books: 1}}
shards: {{validation: 0}}
tokenizer: {tokenizer}
"""


def run(folder: Path, tokenizer: str) -> Path:
    for source, texts in TEXTS.items():
        lines = [json.dumps({"text": one, "url": f"https://{source}.example/{n}"}) for n, one in enumerate(texts)]
        (folder / f"{source}.jsonl").write_text("\n".join(lines))
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder, tokenizer=tokenizer))
    corpusmill("run", folder / "recipe.yaml", "--output", folder / "out", "--runner", "direct")
    return folder / "out"


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("tokens"), "{vocab_size: 700, pretokenizer: gpt2, digits: single}")


def test_the_tokenizer_is_that_of_the_words(out):
    settings = bpe.TokenizerSettings(vocab_size=700, pretokenizer="gpt2", digits="single")
    table = words.table(
        words.count_words([one for texts in TEXTS.values() for one in texts], settings.pattern), 1 << 20
    )
    assert (out / "tokenizer/tokenizer.json").read_text() == bpe.to_text(bpe.train(table, settings))


def test_a_look_at_the_tokenizer_is_kept(out):
    about = json.loads((out / "tokenizer/about.json").read_text())
    assert [one["name"] for one in about["compared"]] == ["this recipe", "as GPT-2", "as Llama 3"]
    assert len({one["bytes"] for one in about["compared"]}) == 1
    longest = about["longest"]
    assert sorted(longest, key=len, reverse=True) == longest
    facts = json.loads((out / "manifest.json").read_text())["sources"]["web"]["facts"]
    assert facts["encoded_bytes.?"] == facts["text_bytes"] == sum(len(one.encode()) for one in TEXTS["web"])
    assert facts["encoded_tokens.?"] == facts["tokens"]


def test_the_report_shows_how_the_tokenizer_fits(out):
    shown = (out / "report/index.html").read_text()
    about = json.loads((out / "tokenizer/about.json").read_text())
    for one in about["compared"]:
        assert f'<td>{one["name"]}</td><td class="n">{one["tokens"]:,}</td>' in shown
    assert f'<code class="token">{html.escape(about["longest"][0])}</code>' in shown


def test_a_token_leads_back_to_its_document(out):
    shard = Shard(next((out / "shards/train/web").glob("*.arrow")))
    encoder = encoder_of((out / "tokenizer/tokenizer.json").read_bytes())
    by_url = {f"https://web.example/{n}": one for n, one in enumerate(TEXTS["web"])}
    for row in (0, len(shard) - 1):
        shown = corpusmill("trace", shard.path, f"{row}:7").stdout
        assert shard.url(row) in shown
        assert f"id {shard.tokens(row)[7]} " in shown
        assert encoder.decode(shard.tokens(row)[:7]) in shown
        assert encoder.decode(shard.tokens(row)[:-1]) == by_url[shard.url(row)]
    assert "web.jsonl" in corpusmill("trace", shard.path, "0").stdout


def test_what_can_not_be_traced_is_said(out, tmp_path):
    shard = next((out / "shards/train/web").glob("*.arrow"))
    assert "has the rows 0 to 59, not 60" in corpusmill("trace", shard, "60", expect=1).stderr
    assert "tokens 0 to" in corpusmill("trace", shard, "0:99999", expect=1).stderr
    assert "is no place in a shard" in corpusmill("trace", shard, "first", expect=1).stderr
    (tmp_path / "lost.arrow").write_bytes(shard.read_bytes())
    assert "lies in no finished run" in corpusmill("trace", tmp_path / "lost.arrow", "0", expect=1).stderr


def test_shards_are_listed_with_the_epochs_of_a_training(out):
    tokens = Corpus(out).tokens
    listed = corpusmill("shards", out, "--tokens", "100k").stdout
    assert f"{tokens['web']:,}" in listed
    assert f"{75_000 / tokens['web']:.2f}" in listed
    assert f"{25_000 / tokens['books']:.2f}" in listed
    assert "more than 4 times" in listed
    assert "the corpus has" in corpusmill("shards", out, "--mixture", "llama", expect=1).stderr
    assert "is no number of tokens" in corpusmill("shards", out, "--tokens", "many", expect=1).stderr


def test_the_loader_mixes_as_the_recipe_says(out):
    stream = TokenStream(Corpus(out))
    assert {name: float(weight) for name, weight in stream.weights.items()} == {"books": 0.25, "web": 0.75}
    encoder = encoder_of((out / "tokenizer/tokenizer.json").read_bytes())
    part = stream.read(0, 4000)
    documents = np.split(part.tokens, part.starts[1:])
    known = {one for texts in TEXTS.values() for one in texts}
    assert all(encoder.decode(one[:-1]) in known for one in documents[:-1])


def test_a_sentencepiece_model_takes_the_tokenizers_place(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TEXTS["web"]), model_writer=model, vocab_size=300, byte_fallback=True, minloglevel=2
    )
    (tmp_path / "my.model").write_bytes(model.getvalue())
    out = run(tmp_path, f"{{path: {tmp_path}/my.model}}")
    assert (out / "tokenizer/tokenizer.model").read_bytes() == model.getvalue()
    encoder = SentencePieceEncoder(model.getvalue())
    shard = Shard(next((out / "shards/train/books").glob("*.arrow")))
    assert shard.about.end_of_text == encoder.end_of_text
    texts = dict(zip(*(_column(out, "books", name) for name in ("id", "text")), strict=True))
    for row in range(len(shard)):
        *ids, end = shard.tokens(row).tolist()
        assert end == encoder.end_of_text
        assert ids == sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).EncodeAsIds(
            texts[shard.document_id(row)]
        )
    assert "id " in corpusmill("trace", shard.path, "0:3").stdout


def test_what_is_no_tokenizer_is_refused_before_the_run(tmp_path):
    (tmp_path / "my.model").write_bytes(b"\x00\x01")
    for source in TEXTS:
        (tmp_path / f"{source}.jsonl").write_text('{"text": "a"}\n')
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=tmp_path, tokenizer=f"{{path: {tmp_path}/my.model}}"))
    assert "not a SentencePiece model" in corpusmill("check", recipe, expect=1).stderr
    recipe.write_text(RECIPE.format(folder=tmp_path, tokenizer="false").replace("books: 1", "boks: 1"))
    assert "no source 'boks'; did you mean 'books'?" in corpusmill("check", recipe, expect=1).stderr


def _column(out: Path, source: str, name: str) -> list[str]:
    return [
        one for path in (out / "documents" / source).glob("*.parquet") for one in pq.read_table(path)[name].to_pylist()
    ]
