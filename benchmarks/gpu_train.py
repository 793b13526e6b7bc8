"""How fast the trainer is on one GPU, and how much of it that is; beside the loop of nanoGPT, written anew, on the same GPU.

    python -m benchmarks.gpu_train            # under eight minutes on an H200; prints a Markdown table
    python -m benchmarks.gpu_train --smoke    # tiny sizes on a CPU: shows that it runs, its numbers mean nothing

bf16 autocast, compiled blocks, AdamW, real shards of made tokens read by the trainer's own loader. Every measurement has a
process of its own. Compilation and the first steps are left out, then steps are timed for some seconds: the median counts.
MFU is of the maker's dense bf16 FLOP/s, as PaLM counts it, and with causal attention counted half; the share of what a plain
matrix product reaches on this very GPU stands beside it. ``masked`` keeps attention within documents.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.loader import make_run
from training.config import TrainConfig
from training.data.corpus import Corpus
from training.hooks import StepReport, Watcher
from training.loop import build, train
from training.parallel import ranks
from training.state import TrainState
from training.watch import flops

VOCABULARY = 50_304
SECONDS = 20.0
SKIPPED = 10
"""Steps that are not timed: compilation, kernels' first choices."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a preset, its shapes, whether attention stays within documents."""

    name: str
    preset: str
    length: int
    micro_batch: int
    passes: int
    masked: bool = False
    baseline: bool = False


CASES = (
    Case("124M, T=1024", "124m", 1024, 64, 2),
    Case("nanoGPT's loop, 124M, T=1024", "124m", 1024, 64, 2, baseline=True),
    Case("350M, T=2048", "350m", 2048, 24, 2),
    Case("1.3B, T=2048", "1.3b", 2048, 12, 2),
    Case("124M, T=1024, masked", "124m", 1024, 64, 2, masked=True),
)
SMOKE = (
    Case("tiny, T=32", "tiny", 32, 1, 2),
    Case("nanoGPT's loop, tiny, T=32", "tiny", 32, 1, 2, baseline=True),
    Case("tiny, T=32, masked", "tiny", 32, 1, 2, masked=True),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Of one case. ``median`` and ``slow`` (99th percentile) are seconds a step."""

    name: str
    tokens_per_second: float
    mfu: float
    mfu_causal: float
    of_product: float
    waited: float
    memory: float
    median: float
    slow: float
    steps: int


class Timer(Watcher):
    """Keeps the reports of steps, and ends the training when it has enough."""

    def __init__(self, seconds: float, skipped: int) -> None:
        self._seconds, self._skipped = seconds, skipped
        self.reports: list[StepReport] = []
        self._began = 0.0

    def step(self, state: TrainState, report: StepReport) -> None:
        """Note a step; the wait for the device at the end of each makes its seconds true."""
        if report.step <= self._skipped:
            self._began = time.perf_counter()
            return
        self.reports.append(report)
        if time.perf_counter() - self._began > self._seconds and len(self.reports) >= 3:
            raise Enough


class Enough(Exception):  # noqa: N818 - no error
    """Ends a measurement."""


def measure(case: Case, corpus: str, smoke: bool) -> Result:
    """Train as a case says, and time it."""
    config = TrainConfig.model_validate(
        {
            "output": "unused",
            "data": {"corpus": corpus, "sequence_length": case.length, "micro_batch": case.micro_batch},
            "model": {"preset": case.preset, "document_mask": case.masked, "vocabulary": VOCABULARY},
            "optimization": {
                "tokens": 10**12,
                "batch_tokens": case.length * case.micro_batch * case.passes,
                "warmup": 10**9,
            },
            "precision": "bf16",
            "parallel": {"compile": not smoke},
        }
    )
    with ranks() as here:
        if case.baseline:
            seconds, waits, of_model = baseline(case, corpus, here.device, smoke)
        else:
            state = build(config, here)
            timer = Timer(0.5 if smoke else SECONDS, 1 if smoke else SKIPPED)
            with contextlib.suppress(Enough):
                train(state, watchers=[timer])
            seconds = [one.seconds for one in timer.reports]
            waits = [one.waited for one in timer.reports]
            of_model = [flops.flops_per_token(state.model.config, case.length, causal) for causal in (False, True)]
        return _result(case, here.device, seconds, waits, of_model)


def _result(
    case: Case, device: torch.device, seconds: list[float], waits: list[float], of_model: list[float]
) -> Result:
    median = statistics.median(seconds)
    tokens = case.length * case.micro_batch * case.passes
    peak = flops.peak(device).flops
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    torch.cuda.empty_cache()
    return Result(
        case.name,
        tokens / median,
        flops.mfu(tokens * of_model[0], median, peak),
        flops.mfu(tokens * of_model[1], median, peak),
        flops.mfu(tokens * of_model[0], median, flops.ceiling(device)),
        sum(waits) / sum(seconds),
        memory,
        median,
        float(np.quantile(seconds, 0.99)),
        len(seconds),
    )


class PlainBlock(nn.Module):
    """GPT-2's block: LayerNorm, fused projections, causal attention, a GELU layer of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.project, self.mix = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(sequences, length, width) in and out."""
        parts = self.project(self.first(hidden)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        hidden = hidden + self.mix(seen.transpose(1, 2).flatten(2))
        return hidden + self.down(functional.gelu(self.up(self.second(hidden))))


class PlainGpt(nn.Module):
    """GPT-2 with learned positions, a tied head, and the logits of the whole batch at once."""

    def __init__(self, length: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(PlainBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.multiplied = sum(one.numel() for one in self.parameters()) - self.places.weight.numel()
        self.attention = 12 * layers * width * length
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean loss."""
        hidden = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            hidden = block(hidden)
        logits = functional.linear(self.norm(hidden), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def baseline(
    case: Case, corpus: str, device: torch.device, smoke: bool
) -> tuple[list[float], list[float], list[float]]:
    """nanoGPT's loop by its description: random windows of a memory map, the whole model compiled, fused AdamW, clipping.

    Seconds of each step, seconds of these spent making batches, and FLOPs of a token by both conventions.
    """
    model = PlainGpt(case.length, *((2, 64, 2) if smoke else (12, 768, 12))).to(device)
    counts = [6.0 * model.multiplied + model.attention, 6.0 * model.multiplied + model.attention / 2]
    run: Any = model if smoke else torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, (0.9, 0.95), fused=device.type == "cuda")
    windows = np.memmap(_flat(Path(corpus)), np.uint16, "r")
    generator = np.random.default_rng(1337)
    seconds, waits, began, step = [], [], time.perf_counter(), 0
    while True:
        start, waited = time.perf_counter(), 0.0
        for _ in range(case.passes):
            before = time.perf_counter()
            places = generator.integers(0, len(windows) - case.length - 1, case.micro_batch)
            both = np.stack([windows[place : place + case.length + 1].astype(np.int64) for place in places])
            given = torch.from_numpy(both)
            given = (given.pin_memory() if device.type == "cuda" else given).to(device, non_blocking=True)
            waited += time.perf_counter() - before
            with torch.autocast(device.type, torch.bfloat16):
                loss = run(given[:, :-1].contiguous(), given[:, 1:].contiguous()) / case.passes
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # waits for the device
        step += 1
        if step <= (1 if smoke else SKIPPED):
            began = time.perf_counter()
            continue
        seconds.append(time.perf_counter() - start)
        waits.append(waited)
        if time.perf_counter() - began > (0.5 if smoke else SECONDS) and len(seconds) >= 3:
            return seconds, waits, counts


def _flat(corpus: Path) -> Path:
    """The corpus as nanoGPT has it: one file of token ids."""
    path = corpus / "train.bin"
    if not path.exists():
        opened = Corpus(corpus)
        with path.open("wb") as stream:
            for file in (one for shards in opened.sources.values() for one in shards):
                for batch in opened.open(file).batches():
                    stream.write(batch.values.tobytes())
    return path


def table(results: list[Result]) -> str:
    """The results as Markdown, with the ratio to nanoGPT's loop where that was measured."""
    plain = next((one.tokens_per_second for one in results if one.name.startswith("nanoGPT")), None)
    lines = [
        "| | tokens/s | MFU | causal | of a product | waiting for data | memory, GiB | step, ms (p99) | steps | × nanoGPT |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        same = plain and ("124M" in one.name or "tiny" in one.name)
        ratio = f"{one.tokens_per_second / plain:.2f}" if same and plain else ""
        lines.append(
            f"| {one.name} | {one.tokens_per_second:,.0f} | {one.mfu:.1%} | {one.mfu_causal:.1%} | {one.of_product:.1%} | {one.waited:.2%} "
            f"| {one.memory:.1f} | {1000 * one.median:.1f} ({1000 * one.slow:.1f}) | {one.steps} | {ratio} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure every case in a process of its own, until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on a CPU")
    parser.add_argument("--minutes", type=float, default=7.5, help="begin no measurement that would end later")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--corpus", help="folder of a finished run, instead of made tokens; its vocabulary may have 50,304 ids"
    )
    given = parser.parse_args()
    cases = SMOKE if given.smoke else CASES
    if given.only is not None:
        print(json.dumps(asdict(measure(cases[given.only], given.corpus, given.smoke))))
        return
    if not given.smoke and not torch.cuda.is_available():
        sys.exit("no GPU: --smoke shows on a CPU that the benchmark runs")
    began, results, longest = time.monotonic(), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        corpus = given.corpus or folder
        if given.corpus is None:
            make_run(Path(folder), 4, 20_000 if given.smoke else 12_500_000)
        for number, case in enumerate(cases):
            if not given.smoke and time.monotonic() - began + longest > 60 * given.minutes:
                print(f"{case.name}: left out, the time is up", file=sys.stderr)
                continue
            start = time.monotonic()
            command = [sys.executable, "-m", "benchmarks.gpu_train", "--only", str(number), "--corpus", corpus]
            done = subprocess.run(command + ["--smoke"] * given.smoke, capture_output=True, text=True)
            longest = max(longest, time.monotonic() - start)
            if done.returncode:
                print(f"{case.name} failed:\n{done.stderr[-3000:]}", file=sys.stderr)
                continue
            results.append(Result(**json.loads(done.stdout.splitlines()[-1])))
            print(f"{case.name}: {results[-1].tokens_per_second:,.0f} tokens/s in {longest:.0f} s", file=sys.stderr)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU (smoke: the numbers mean nothing)"
    print(f"{device}, torch {torch.__version__}\n\n{table(results)}")


if __name__ == "__main__":
    main()
