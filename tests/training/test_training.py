"""A whole training as a user starts it: from a config file, on real text, to a model that knows more than how often tokens occur."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import write_corpus, write_texts
from typer.testing import CliRunner

from pipeline.command import app
from training.data.corpus import Corpus

VOCABULARY = 1024
CONFIG = """
output: {output}
data: {{corpus: {corpus}, sequence_length: 128, micro_batch: 8}}
model: {{preset: tiny}}
optimization: {{tokens: 100Ki, batch_tokens: 1Ki, learning_rate: 5.0e-3, optimizer: muon, warmup: 0.05}}
watching: {{every: 20, validate_every: null, tensorboard: false}}
"""


def entropy(corpus: Path) -> float:
    """Of the corpus's tokens one by one, in nats: the loss of whoever knows only how often each occurs."""
    opened = Corpus(corpus)
    counts = np.zeros(VOCABULARY)
    for shard in (one for shards in opened.sources.values() for one in shards):
        for batch in opened.open(shard).batches():
            counts += np.bincount(batch.values, minlength=VOCABULARY)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def test_a_million_parameters_learn_more_than_frequencies(tmp_path):
    """Well below: by more than 0.9 nats. It takes some 30 CPU-seconds."""
    torch.set_num_threads(1)
    folder = Path(json.__file__).parents[1]
    names = [
        "argparse",
        "ast",
        "asyncio/base_events",
        "doctest",
        "inspect",
        "pathlib",
        "pickle",
        "subprocess",
        "tarfile",
        "typing",
    ]
    texts = [(folder / f"{name}.py").read_text() for name in names]
    corpus = write_texts(tmp_path / "corpus", {"code": texts}, VOCABULARY)
    config = tmp_path / "train.yaml"
    config.write_text(CONFIG.format(output=tmp_path / "run", corpus=corpus))
    done = CliRunner().invoke(app, ["train", str(config), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 100
    assert losses[0] == pytest.approx(np.log(VOCABULARY), abs=0.1)
    assert np.mean(losses[-5:]) < entropy(corpus) - 0.9


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("micro_batch", "micro_bach", "data.micro_bach: unknown key; did you mean 'micro_batch'?"),
        ("batch_tokens: 1Ki", "batch_tokens: 1500", "no multiple of the 1024 that all ranks read at a time"),
        ("corpus: {corpus}", "corpus: nowhere", "nowhere/manifest.json is not there: the run has not finished"),
        (
            "preset: tiny",
            "preset: tiny, vocabulary: 500",
            "model.vocabulary is 500, but the shards hold token ids up to 999",
        ),
    ],
)
def test_what_keeps_a_training_from_beginning_is_told(tmp_path, old, new, told):
    corpus = write_corpus(tmp_path / "corpus", {"web": [[50] * 40]})
    config = tmp_path / "train.yaml"
    config.write_text(CONFIG.replace(old, new).format(output=tmp_path / "run", corpus=corpus))
    done = CliRunner().invoke(app, ["train", str(config), "--device", "cpu"])
    assert done.exit_code == 1
    assert told in done.output
    assert "Traceback" not in done.output


def test_without_torch_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = CliRunner().invoke(app, ["train", str(tmp_path / "train.yaml")])
    assert done.exit_code == 1
    assert "pip install 'corpusmill[training]'" in done.output
