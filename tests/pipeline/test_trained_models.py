"""Models that a run trains for its filters: on what, with which cut-offs, always the same bytes, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import Quiet, prose

from filters.language_models import load
from filters.quality_classifier import QualityClassifier
from pipeline import recipe_file, verify
from pipeline.models import kenlm_tools
from pipeline.models.draw import draws
from pipeline.recipe_file import RecipeError
from pipeline.run import run
from pipeline.runners.direct import DirectRunner

RECIPE = """
sources:
  - {{name: wiki, kind: jsonl, id: id, paths: ['{folder}/wiki.jsonl'], filters: reference}}
  - {{name: web, kind: jsonl, id: id, paths: ['{folder}/web.jsonl'], filters: web}}
filters:
  reference: [{{length: {{min_words: 30}}}}]
  web:
    - length: {{min_words: 5}}
    - perplexity: {{model: good, max: middle}}
    - quality_classifier: {{model: like, keep: 0.6}}
measure_removed: true
models:
  good: {{kind: perplexity, sources: [wiki], filters: reference, vocabulary: 90, order: 3, prune: [0, 0, 1], percentiles: [25, 75]}}
  like: {{kind: quality, like: [wiki], unlike: [web], buckets: 512, held_out: 0.3, epochs: 20, max_characters: 400}}
dedup: false
pii: false
tokenizer: false
limits: {{memory: 200MB}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty documents of made prose and three short ones; eighty of other prose, each with some words of its own."""
    place = tmp_path_factory.mktemp("trained")
    wiki = [prose(seed) for seed in range(60)] + ["Too short."] * 3
    web = [f"Click {seed} " * (seed % 9) + prose(1000 + seed, 6) + " ! zz qq" * (seed % 7) for seed in range(80)]
    for name, texts in (("wiki", wiki), ("web", web)):
        rows = (json.dumps({"id": f"{name}-{at}", "text": text}) + "\n" for at, text in enumerate(texts))
        (place / f"{name}.jsonl").write_text("".join(rows))
    return place


@pytest.fixture(scope="module")
def out(folder: Path) -> Path:
    assert kenlm_tools.missing() is None, kenlm_tools.missing()
    run(recipe_file.loads(RECIPE.format(folder=folder)), str(folder / "out"), DirectRunner(), Quiet())
    return folder / "out"


def rows(out: Path, source: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    paths = sorted(path for kind in ("filtered", "removed") for path in (out / kind / source).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_the_filters_use_what_was_trained(out: Path) -> None:
    about = json.loads((out / "models/good.json").read_text())
    assert about["corpus"]["documents"] == 60  # the chain it names removed the short ones
    assert about["corpus"]["sources"] == {"wiki": 60}
    found = rows(out, "web")
    assert len(found) == 80
    model = load(str(out / "models/good.arpa.bin"))
    for row in found:
        assert row["signals"]["perplexity.perplexity"] == model.perplexity(row["text"])
        above = row["signals"]["perplexity.perplexity"] >= about["cutoffs"]["middle"]
        assert (row["removed_by"] == "perplexity.too_high") == above if "removed_by" in row else not above
    assert {row["removed_by"] for row in found if "removed_by" in row} == {
        "perplexity.too_high",
        "quality_classifier.low_score",
    }


def test_the_cutoffs_are_percentiles_of_the_documents_that_reach_the_filter(out: Path) -> None:
    about = json.loads((out / "models/good.json").read_text())
    values = [row["signals"]["perplexity.perplexity"] for row in rows(out, "web")]
    expected = np.percentile(values, [25, 75])
    assert [about["cutoffs"][name] for name in ("head", "middle")] == pytest.approx(expected, abs=1e-4)
    buckets = [row["signals"]["perplexity.bucket"] for row in rows(out, "web")]
    assert [buckets.count(one) for one in (0, 1, 2)] == [20, 40, 20]


def test_the_classifier_is_judged_by_what_it_did_not_learn_from(out: Path) -> None:
    about = json.loads((out / "models/like.json").read_text())
    assert 5 < about["held_out"]["like"] < 35
    assert 5 < about["held_out"]["unlike"] < 45
    assert len(about["quantiles"]) == 1001
    assert about["quantiles"] == sorted(about["quantiles"])
    chosen = next(one for one in about["curve"] if one["keep"] == about["keep"])
    assert chosen["threshold"] == about["threshold"]
    assert 0 <= chosen["kept"] <= about["keep"] + 1 / about["held_out"]["unlike"]
    assert about["max_characters"] == 400
    for one in about["curve"]:
        assert one["precision"] == pytest.approx(one["recall"] / (one["recall"] + one["kept"]), abs=1e-5)
    filter_ = QualityClassifier(model=str(out / "models/like.bin"), keep=0.6)
    filter_.prepare()
    for row in rows(out, "web")[:20]:
        score = row["signals"]["quality_classifier.score"]
        reached = max(1000 - sum(one < score for one in about["quantiles"]), 0) / 1000
        assert row["signals"]["quality_classifier.top"] == reached


def test_models_are_in_the_manifest_and_the_same_every_time(out: Path, folder: Path) -> None:
    again = folder / "again"
    manifest = run(recipe_file.loads(RECIPE.format(folder=folder)), str(again), DirectRunner(), Quiet())
    listed = {one["path"] for one in manifest["files"] if one["kind"] == "model"}
    assert listed == {
        f"models/{name}" for name in ("good.arpa.bin", "good.sp.model", "good.json", "like.bin", "like.json")
    }
    for path in sorted(listed):
        assert (
            hashlib.sha256((out / path).read_bytes()).digest() == hashlib.sha256((again / path).read_bytes()).digest()
        )
    assert list(verify.differences(str(again))) == []
    (again / "models/good.arpa.bin").write_bytes(b"x")
    assert any("models/good.arpa.bin" in one for one in verify.differences(str(again)))


def test_a_model_for_each_language_is_judged_by_documents_in_it() -> None:
    recipe = recipe_file.loads("""
sources: [{name: web, kind: warc, paths: [x], filters: web}, {name: wiki, kind: wikipedia, paths: [x]}]
filters: {web: [{language: {keep: [en, zh]}}, {perplexity: {model: "m-{language}", max: head}}, fineweb]}
models: {m-zh: {kind: perplexity, sources: [wiki], tokens: word}, other: {kind: perplexity, sources: [wiki]}}
""")
    found = [(one.model, one.role, one.source, one.language, [f.name for f in one.chain]) for one in draws(recipe)]
    assert found == [
        ("m-zh", "good", "wiki", "", []),
        ("m-zh", "judged", "web", "zh", ["language"]),
        ("other", "good", "wiki", "", []),
    ]
    (at_work,) = recipe.chains["web"][1:2]
    assert at_work.with_models({"m-zh": "out/models/m-zh.arpa.bin"}).reads_model() == "out/models/m-{language}.arpa.bin"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            "{m: {kind: perplexty, sources: [web]}}",
            "a model needs a kind (found 'perplexty'); did you mean 'perplexity'?",
        ),
        ("{m: {kind: perplexity, sources: [wbe]}}", "no source 'wbe'; did you mean 'web'?"),
        ("{m: {kind: perplexity, sources: [web], oder: 3}}", "unknown key; did you mean 'order'?"),
        ("{m: {kind: perplexity, sources: [web], filters: wbe}}", "no filter chain 'wbe'; did you mean 'web'?"),
        ("{m: {kind: perplexity, sources: [web], filters: web}}", "needs the model 'm', which is not there yet"),
        ("{m: {kind: quality, like: [web], unlike: [web]}}", "'m' is a quality model; perplexity is needed"),
        ("{m: {kind: perplexity, sources: [web], prune: [1, 0]}}", "numbers that never fall"),
        ("{../m: {kind: perplexity, sources: [web]}}", "made of letters, digits, - and _"),
        ("[m]", "is a mapping from names of models"),
    ],
)
def test_what_can_not_be_trained_is_said(models: str, message: str) -> None:
    text = "sources: [{name: web, kind: warc, paths: [x]}]\nfilters: {web: [{perplexity: {model: m, max: 3}}]}\n"
    with pytest.raises(RecipeError) as raised:
        recipe_file.loads(f"{text}models: {models}\n")
    assert message in str(raised.value)


def test_the_digest_follows_the_models_settings() -> None:
    def digest(order: int) -> str:
        return recipe_file.loads(RECIPE.format(folder="x").replace("order: 3", f"order: {order}")).digest

    assert digest(3) == digest(3) != digest(4)
