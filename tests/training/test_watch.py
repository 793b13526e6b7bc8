"""What a training shows of itself: FLOPs by the published conventions, logs that survive kills, exact validation, curves."""

from __future__ import annotations

import hashlib
import io
import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from torch.nn import functional

from tokenizer import bpe
from tokenizer.encode import Encoder
from tokenizer.shard import About, ShardDocument, write_shard
from training.checkpoint.files import DamagedCheckpoint
from training.config import ModelConfig, TrainConfig
from training.export import export
from training.generate import generate
from training.model import Transformer
from training.parallel import Ranks
from training.plots import write_run
from training.run import run_on
from training.trained import load
from training.watch import flops, metrics
from training.watch.watcher import Watch

TEXTS = [
    f"{name} had {count} ships and the river ran to the sea."
    for name in ("Anna", "Bert", "Carl")
    for count in range(30)
]


def test_flops_of_a_token_are_those_published() -> None:
    """GFLOP a token with a vocabulary of 50,304: 124M 0.855 at T=1024 and 0.968 at T=2048."""
    config = ModelConfig(preset="124m", vocabulary=50_304)  # type: ignore[call-arg]
    assert flops.flops_per_token(config, 1024) / 1e9 == pytest.approx(0.855, abs=5e-4)
    assert flops.flops_per_token(config, 2048) / 1e9 == pytest.approx(0.968, abs=5e-4)
    attention = flops.flops_per_token(config, 1024) - 6 * flops.parameters(config).multiplied
    assert flops.flops_per_token(config, 1024, causal=True) == flops.flops_per_token(config, 1024) - attention / 2


def test_mfu_agrees_with_nanochats() -> None:
    """4.33e19 FLOPs in 10,949 s on eight H100: 50.0 %."""
    assert flops.mfu(4.33e19, 10_949, 8 * flops.PUBLISHED["H100"]) == pytest.approx(0.4999, abs=5e-4)


@pytest.mark.parametrize("settings", [{}, {"tied": False}, {"kv_heads": 1}], ids=str)
def test_parameters_are_counted_as_the_model_has_them(settings) -> None:
    config = ModelConfig.model_validate({"preset": "tiny", "vocabulary": 300, **settings})
    assert flops.parameters(config).all == sum(one.numel() for one in Transformer(config).parameters())


def test_unknown_devices_are_measured() -> None:
    found = flops.peak(torch.device("cpu"))
    assert found.measured and found.flops > 1e8


def test_a_log_tells_the_run_as_it_went_in_the_end(tmp_path: Path) -> None:
    log = metrics.JsonLines(tmp_path)
    log.write("start", 0, {"x": math.nan, "y": {"z": (1, math.inf)}})
    for step in (1, 2, 3):
        log.write("step", step, {"loss": step})
    log.write("validation", 3, {"loss": 30})
    log.write("event", 3, {"event": "rollback"})
    log.write("step", 2, {"loss": 20})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"kind": "step", "st')  # killed here
    log = metrics.JsonLines(tmp_path)
    log.write("start", 2, {})
    log.write("step", 3, {"loss": 33})
    log.close()
    found = [(one["kind"], one["step"], one.get("loss")) for one in metrics.read(tmp_path)]
    assert found == [
        ("start", 0, None), ("step", 1, 1), ("event", 3, None), ("step", 2, 20), ("start", 2, None), ("step", 3, 33),
    ]  # fmt: skip
    assert metrics.read(tmp_path)[0]["y"] == {"z": [1, None]}


def write_corpus(folder: Path) -> tuple[Path, Encoder]:
    """A run's folder with a tokenizer of 300 ids, a training and a validation split of two sources."""
    settings = bpe.TokenizerSettings(vocab_size=300)
    counts: dict[bytes, int] = {}
    for text in TEXTS:
        for word in text.replace(" ", "\n ").split("\n"):
            counts[word.encode()] = counts.get(word.encode(), 0) + 1
    words = pa.table(
        {"word": pa.array(list(counts), pa.binary()), "count": pa.array(list(counts.values()), pa.int64())}
    )
    text = bpe.to_text(bpe.train(words, settings))
    encoder = Encoder(text)
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer/tokenizer.json").write_text(text)
    files = []
    for split, source, chosen in (
        ("train", "books", TEXTS[10:]), ("validation", "books", TEXTS[:6]), ("validation", "web", TEXTS[6:10]),
    ):  # fmt: skip
        stream = io.BytesIO()
        rows = [ShardDocument(ids, str(i), i) for i, ids in enumerate(encoder.encode_documents(chosen))]
        about = About(encoder.digest, "b" * 64, source, split, encoder.vocabulary, encoder.end_of_text)  # type: ignore[arg-type]
        counted = write_shard(stream, rows, about)
        path = folder / f"shards/{split}/{source}/00000-of-00001.arrow"
        path.parent.mkdir(parents=True)
        path.write_bytes(stream.getvalue())
        files.append(
            {"kind": "shard", "path": str(path.relative_to(folder)), "source": source, "split": split, "rows": counted.documents,
             "tokens": counted.tokens, "bytes": path.stat().st_size, "sha256": hashlib.sha256(stream.getvalue()).hexdigest()}
        )  # fmt: skip
    tokenizer = {"path": "tokenizer/tokenizer.json", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": files, "tokenizer": tokenizer}))
    return folder, encoder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Encoder, Watch]:
    """A short training, watched in every way."""
    folder = tmp_path_factory.mktemp("watched")
    corpus, encoder = write_corpus(folder / "corpus")
    config = TrainConfig.model_validate(
        {
            "output": str(folder / "run<b>"),
            "data": {"corpus": str(corpus), "sequence_length": 32, "micro_batch": 4},
            "model": {"preset": "tiny", "layers": 2, "width": 32, "heads": 4, "hidden": 48, "kv_heads": 2},
            "optimization": {"tokens": 1280, "batch_tokens": 128, "learning_rate": 1e-2},
            "watching": {"every": 3, "validate_every": 5, "prompts": ["Anna had"]},
        }
    )
    watch = Watch()
    run_on(config, Ranks(0, 1, torch.device("cpu")), [watch])
    return folder / "run<b>", encoder, watch


@torch.no_grad()
def test_validation_is_the_loss_of_every_held_out_token_once(trained) -> None:
    run, encoder, watch = trained
    model, config = load(run).model, load(run).config
    assert config.model.vocabulary == 300
    nats, targets, spelled = 0.0, 0, 0
    bytes_of = [len(one) for one in encoder.token_bytes()]
    for texts in (TEXTS[:6], TEXTS[6:10]):  # a document alone is what the document mask makes of it, but for rows of 32
        stream = np.concatenate(encoder.encode_documents(texts)).astype(np.int64)
        starts = {0, *np.cumsum([len(one) for one in encoder.encode_documents(texts)]).tolist()}
        for target in range(1, len(stream)):
            if target in starts:
                continue
            begin = max(max(one for one in starts if one < target), (target - 1) // 32 * 32)
            logits = model(torch.tensor(stream[begin:target])[None])[0, -1]
            nats += float(functional.cross_entropy(logits, torch.tensor(stream[target])))
            targets += 1
            spelled += bytes_of[stream[target]] if stream[target] != encoder.end_of_text else 0
    assert (watch.score.targets, watch.score.bytes) == (targets, spelled)
    assert watch.score.nats == pytest.approx(nats, rel=1e-5)
    last = [one for one in metrics.read(run) if one["kind"] == "validation"][-1]
    assert last["sources"].keys() == {"all", "books", "web"}
    assert last["sources"]["all"]["bits_per_byte"] == pytest.approx(nats / math.log(2) / spelled, rel=1e-5)


def test_everything_is_logged(trained) -> None:
    run, _, watch = trained
    log = metrics.read(run)
    steps = [one for one in log if one["kind"] == "step"]
    assert [one["step"] for one in steps] == list(range(1, 11)) and steps[-1]["position"] == 1280
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.3
    for one in steps:
        assert (
            one["mfu"] * one["seconds"] == pytest.approx(steps[0]["mfu"] * steps[0]["seconds"])
            and one["mfu_causal"] < one["mfu"]
        )
    assert [one["step"] for one in log if one["kind"] == "validation"] == [5, 10]
    assert [one["prompt"] for one in log if one["kind"] == "sample"] == ["Anna had"] * 2
    assert log[-1]["kind"] == "finish" and log[-1]["validation_loss"] == pytest.approx(watch.score.loss)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [one.value for one in events.Scalars("step/loss")] == pytest.approx([one["loss"] for one in steps])


def test_a_damaged_checkpoint_is_passed_over(trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    whole = load(run)
    newest = run / "checkpoints" / f"step-{whole.step:08d}"
    later = run / "checkpoints" / f"step-{whole.step + 1:08d}"
    shutil.copytree(newest, later)
    (later / "model.safetensors").write_bytes(b"cut")
    with pytest.warns(UserWarning, match="damaged"):
        assert load(run).step == whole.step
    for path in (run / "checkpoints").glob("step-*"):
        (path / "model.safetensors").write_bytes(b"cut")
    with pytest.warns(UserWarning), pytest.raises(DamagedCheckpoint):
        load(run)


def test_a_checkpoint_is_sampled_and_exported_with_its_tokenizer(trained, tmp_path: Path) -> None:
    run, encoder, _ = trained
    made = load(run)
    prompt = encoder.encode(["Anna had"])[0].tolist()
    assert made.encoder().digest == encoder.digest and made.step == 10
    assert generate(made.model, prompt, 5, seed=3) == generate(load(run).model, prompt, 5, seed=3)
    out = export(run, tmp_path / "hf", "float32")
    with pytest.raises(FileExistsError, match="not empty"):
        export(run, out)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer("Anna had")["input_ids"] == prompt and tokenizer.eos_token_id == encoder.end_of_text
    with torch.no_grad():
        assert torch.allclose(theirs(torch.tensor([prompt])).logits, made.model(torch.tensor([prompt])), atol=1e-5)


BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


def test_the_curves_are_a_page_that_runs_nothing(trained, tmp_path: Path) -> None:
    run, _, _ = trained
    for name in ("loss", "validation", "bits-per-byte", "speed"):
        assert (run / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    both = write_run([run, run], tmp_path)
    text = (run / "report/run.html").read_text()
    assert "<script" not in text + both.read_text() and "run&lt;b&gt;" in text and "<b>" not in text
    assert text.count("<svg") == 7 and "var(--c0)" in text
    assert (run / "report/run.html").read_text() == write_run([run], tmp_path / "again").read_text()
    if BROWSER is not None:
        command = [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        shown = subprocess.run(
            [*command, "--dump-dom", (run / "report/run.html").as_uri()], capture_output=True, text=True, timeout=120
        )
        assert "Loss on held-out text" in shown.stdout and "tokens a second" in shown.stdout
