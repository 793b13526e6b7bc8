"""An ablation: nothing like the held-out text is trained on, and all three models are judged on the same tokens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_watch import TEXTS, write_corpus

from training.ablation.ablate import Settings, ablate
from training.ablation.sets import KINDS, NgramIndex, Sets
from training.data.corpus import Corpus

WORDS = [text.split() for text in TEXTS]


def text_of(number: int) -> str:
    """A text that shares no eight tokens in a row with another."""
    generator = np.random.default_rng(number)
    return " ".join(str(generator.integers(10**6)) + generator.choice(WORDS[0]) for _ in range(30))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Forty kept documents, of which each has a duplicate that dedup removed and a near copy that a filter removed."""
    folder, _ = write_corpus(tmp_path / "run")
    made = json.loads((folder / "manifest.json").read_text())
    rows = {
        "documents": [(i, text_of(i)) for i in range(40)],
        "filtered": [(i, text_of(i)) for i in range(40)]
        + [(100 + i, f"other words {text_of(1000 + i)}") for i in range(40)],
        "removed": [(200 + i, text_of(i) + " and more") for i in range(40)]
        + [(300, ""), *((400 + i, text_of(400 + i)) for i in range(20))],
    }
    for kind, documents in rows.items():
        table = pa.table(
            {
                "number": pa.array([number for number, _ in documents], pa.uint64()),
                "id": [hashlib.sha256(str(number).encode()).hexdigest() for number, _ in documents],
                "source": ["web"] * len(documents),
                "text": [text for _, text in documents],
            }
        )
        (folder / kind).mkdir()
        pq.write_table(table, folder / kind / "0.parquet")
        made["files"].append({"kind": kind, "path": f"{kind}/0.parquet", "rows": len(documents)})
    evidence = {
        "number": pa.array([100 + i for i in range(40)], pa.uint64()),
        "kept_number": pa.array(list(range(40)), pa.uint64()),
        "kept_corpus": [""] * 40,
    }
    (folder / "duplicates").mkdir()
    pq.write_table(pa.table(evidence), folder / "duplicates/0.parquet")
    made["files"].append({"kind": "duplicates", "path": "duplicates/0.parquet", "rows": 40})
    made |= {"recipe": "r" * 64, "input": "i" * 64}
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder


def numbers(corpus: Path, split: str) -> set[int]:
    opened = Corpus(corpus, split)  # type: ignore[arg-type]
    shards = [opened.open(file) for files in opened.sources.values() for file in files]
    return {shard.document(row) for shard in shards for row in range(len(shard))}


def test_nothing_like_the_held_out_text_is_trained_on(run: Path, tmp_path: Path) -> None:
    sets = Sets(run, tokens=100_000, held_out_tokens=100_000)
    trained = {}
    for kind in KINDS:
        made = sets.write(kind, tmp_path / kind)
        held, trained[kind] = numbers(made.folder, "validation"), numbers(made.folder, "train")
        assert len(held) == sets.held_out[0] >= 1
        near = {one + more for one in held for more in (0, 100, 200)}
        assert not trained[kind] & near
        assert made.documents == len(trained[kind]) and made.excluded == len(near & possible(kind))
        assert trained[kind] == possible(kind) - near
    assert trained["deduplicated"] < trained["filtered"] < trained["raw"]
    again = Sets(run, tokens=100_000, held_out_tokens=100_000).write("raw", tmp_path / "again")
    assert numbers(again.folder, "validation") == numbers(tmp_path / "raw", "validation")


def possible(kind: str) -> set[int]:
    """Documents with text that a set may hold."""
    kept, duplicates = set(range(40)), set(range(100, 140))
    removed = {*range(200, 240), *range(400, 420)}
    return {"deduplicated": kept, "filtered": kept | duplicates, "raw": kept | duplicates | removed}[kind]


def test_likeness_is_found_in_both_directions() -> None:
    generator = np.random.default_rng(0)
    short, other = generator.integers(0, 1000, 60), generator.integers(0, 1000, 60)
    index = NgramIndex([short, generator.integers(0, 1000, 500)])
    assert index.like(np.concatenate([generator.integers(0, 1000, 5000), short]))  # all of it inside a long one
    assert index.like(short[:20]) and not index.like(other)
    assert not index.like(np.concatenate([other, short[:12]]))  # a phrase is no copy


def test_the_three_models_see_as_much_and_are_judged_alike(run: Path) -> None:
    settings = Settings(tokens=2048)
    made = ablate(run, settings, "cpu")
    logs = {kind: run / "ablation" / kind / "training/metrics.jsonl" for kind in KINDS}
    before = {kind: path.read_bytes() for kind, path in logs.items()}
    ends = [json.loads(data.splitlines()[-1]) for data in before.values()]
    assert [one["tokens"] for one in ends] == [2048] * 3
    assert len({one["validation_loss"] for one in ends}) == 3
    assert [row[0] for row in made.table.rows] == list(KINDS) and made.page == run / "ablation/index.html"
    assert [one.label for one in made.chart.series] == list(KINDS) and "<script" not in made.page.read_text()
    ablate(run, settings, "cpu")
    assert {kind: path.read_bytes() for kind, path in logs.items()} == before  # what is done is not done again


def test_a_run_without_a_tokenizer_is_told(run: Path) -> None:
    made = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(made | {"tokenizer": None}))
    with pytest.raises(ValueError, match="has no tokenizer: run its recipe with a tokenizer section"):
        ablate(run, Settings(), "cpu")
