"""Watches a training: the progress line, the logs, validation, samples, and at the end the page with the curves."""

from __future__ import annotations

import hashlib
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from training.config import TrainConfig
from training.generate import generate
from training.hooks import StepReport, Watcher
from training.state import TrainState
from training.trained import keep_tokenizer
from training.watch import flops
from training.watch.metrics import JsonLines, Sink, TensorBoard, WeightsAndBiases
from training.watch.validation import Score, Validation

SAMPLE_TOKENS = 48
LONGEST_SILENCE = 10.0
"""Seconds after which a progress line is due, however few steps were done."""


class Watch(Watcher):
    """The watcher of every training. Rank 0 writes; validation takes all ranks."""

    def __init__(self) -> None:
        self._sinks: list[Sink] = []
        self._since: list[StepReport] = []
        self._told = 0.0
        self._validation: Validation | None = None
        self._validated = -1
        self._peak = flops.Peak(1.0, measured=True)
        self.score: Score | None = None
        """Of the last validation, over all sources."""

    def start(self, state: TrainState) -> None:
        """Open the logs and say what is trained. Raises ModuleNotFoundError for a logger that is not installed."""
        config = state.config
        if config.watching.validate_every is not None:
            try:
                self._validation = Validation(state)
            except ValueError as error:
                self._say(state, f"no validation: {error}")
        if not state.ranks.first:
            return
        keep_tokenizer(state)
        self._peak = flops.peak(state.ranks.device)
        self._sinks = _sinks(config, state.step)
        counts = flops.parameters(state.model.config)
        facts = {
            "parameters": {"multiplied": counts.multiplied, "all": counts.all, "embedding": counts.embedding},
            "flops_per_token": flops.flops_per_token(state.model.config, config.data.sequence_length),
            "planned_tokens": config.optimization.tokens,
            "tokens": state.tokens,
            "ranks": state.ranks.size,
            "device": _device_name(state.ranks.device),
            "peak_flops": self._peak.flops,
            "peak_measured": self._peak.measured,
            "data": state.loader.stream.digest,
            "time": time.time(),
        }
        self._write("start", state.step, facts)
        self._say(
            state,
            f"{counts.all / 1e6:,.1f}M parameters ({counts.multiplied / 1e6:,.1f}M multiplied) on {state.ranks.size} × {facts['device']}, "
            f"{config.precision}; {config.optimization.tokens:,} tokens to train on, {state.tokens:,} done",
        )
        self._told = time.monotonic()

    def step(self, state: TrainState, report: StepReport) -> None:
        """Log a step; now and then print a line, validate and sample."""
        watching = state.config.watching
        self._since.append(report)
        last = report.tokens >= state.config.optimization.tokens
        if state.ranks.first:
            self._write("step", report.step, self._facts(state, report))
            if report.step % watching.every == 0 or last or time.monotonic() - self._told > LONGEST_SILENCE:
                self._say(state, self._line(state, report))
                self._told = time.monotonic()
        if len(self._since) >= watching.every:
            self._since = []
        if watching.validate_every is not None and (report.step % watching.validate_every == 0 or last):
            self._look(state)

    def event(self, state: TrainState, kind: str, facts: dict[str, Any]) -> None:
        """Log something out of the ordinary, and say it."""
        if state.ranks.first:
            self._write("event", state.step, {"event": kind, **facts})
            self._say(state, f"{kind}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))

    def finish(self, state: TrainState) -> None:
        """Validate a last time, close the logs, write the page."""
        if self._validated != state.step:
            self._look(state)
        if not state.ranks.first:
            return
        facts: dict[str, Any] = {"tokens": state.tokens, "time": time.time()}
        if self.score is not None:
            facts |= {"validation_loss": self.score.loss, "bits_per_byte": self.score.bits_per_byte}
        self._write("finish", state.step, facts)
        for sink in self._sinks:
            sink.close()
        from training.plots import write_run

        if state.step == 0:
            return
        page = write_run([Path(state.config.output)], Path(state.config.output) / "report")
        self._say(
            state, f"{state.tokens:,} of {state.config.optimization.tokens:,} tokens done; the curves are in {page}"
        )

    def _facts(self, state: TrainState, report: StepReport) -> dict[str, Any]:
        """What is logged of a step."""
        done = report.stop - report.start
        return {
            "tokens": report.tokens,
            "position": report.stop,
            "loss": report.loss,
            "gradient_norm": report.gradient_norm,
            "learning_rate": report.learning_rate,
            "batch_tokens": done,
            "seconds": report.seconds,
            "waited": report.waited,
            "tokens_per_second": done / max(report.seconds, 1e-9),
            "scale": report.scale,
            "overflowed": report.overflowed,
            "noise_scale": report.noise_scale,
            **self._use(state, done, report.seconds),
        }

    def _use(self, state: TrainState, tokens: int, seconds: float) -> dict[str, float]:
        """MFU under both conventions, as shares of what all devices could do."""
        possible = self._peak.flops * state.ranks.size
        length, model = state.config.data.sequence_length, state.model.config
        return {
            name: flops.mfu(tokens * flops.flops_per_token(model, length, causal), max(seconds, 1e-9), possible)
            for name, causal in (("mfu", False), ("mfu_causal", True))
        }

    def _line(self, state: TrainState, report: StepReport) -> str:
        """The progress line: means since the last one."""
        since = self._since
        seconds = sum(one.seconds for one in since)
        tokens = sum(one.stop - one.start for one in since)
        use = self._use(state, tokens, seconds)
        planned = state.config.optimization.tokens
        rate = tokens / max(seconds, 1e-9)
        share = "of a measured product" if self._peak.measured else ""
        return "  ".join(
            (
                f"step {report.step:,} {min(1.0, report.tokens / planned):.1%}",
                f"loss {statistics.fmean(one.loss for one in since):.4f}",
                f"lr {report.learning_rate:.2e}",
                f"norm {report.gradient_norm:.2f}",
                f"{rate:,.0f} tok/s",
                f"MFU {use['mfu']:.1%} ({use['mfu_causal']:.1%} causal) {share}".rstrip(),
                f"{_memory(state.ranks.device) / 2**30:.2f} GiB",
                f"data at {report.stop:,}, waited {sum(one.waited for one in since) / max(seconds, 1e-9):.1%}",
                f"ETA {_clock(max(0, planned - report.tokens) / max(rate, 1e-9))}",
            )
        )

    def _look(self, state: TrainState) -> None:
        """Validate and sample."""
        self._validated = state.step
        if self._validation is not None:
            scores = self._validation.scores(state)
            self.score = sum(scores.values(), Score(0.0, 0, 0))
            state.validation_loss = self.score.loss
            told = {"all": self.score, **scores}
            facts = {name: {"loss": one.loss, "bits_per_byte": one.bits_per_byte} for name, one in told.items()}
            if state.ranks.first:
                self._write("validation", state.step, {"tokens": state.tokens, "sources": facts})
                each = ", ".join(f"{name} {one.loss:.4f}" for name, one in scores.items())
                bits = self.score.bits_per_byte
                self._say(
                    state,
                    f"validation {self.score.loss:.4f}" + (f", {bits:.4f} bits a byte" if bits else "") + f"  ({each})",
                )
        # Sharded parameters are gathered layer by layer, so then every rank must take part.
        if state.config.watching.prompts and (state.ranks.first or state.parallel.sharded):
            self._sample(state)

    def _sample(self, state: TrainState) -> None:
        """Continue the prompts, each step with another seed."""
        from training.trained import encoder_of_run

        encoder = encoder_of_run(Path(state.config.output))
        for prompt in state.config.watching.prompts:
            ids = encoder.encode([prompt])[0].tolist()
            made = generate(
                state.model, ids, SAMPLE_TOKENS, temperature=0.8, top_k=50, seed=state.step, stop=encoder.end_of_text
            )  # fmt: skip
            if state.ranks.first:
                text = encoder.decode(made)
                self._write("sample", state.step, {"prompt": prompt, "text": text})
                self._say(state, f"sample {prompt!r} … {text!r}")

    def _write(self, kind: str, step: int, facts: dict[str, Any]) -> None:
        for sink in self._sinks:
            sink.write(kind, step, facts)

    def _say(self, state: TrainState, text: str) -> None:
        if state.ranks.first:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def _sinks(config: TrainConfig, step: int) -> list[Sink]:
    run = Path(config.output)
    run.mkdir(parents=True, exist_ok=True)
    sinks: list[Sink] = [JsonLines(run)]
    if config.watching.tensorboard:
        sinks.append(TensorBoard(run, step))
    if config.watching.wandb:
        identity = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
        sinks.append(WeightsAndBiases(run, config.watching.wandb, config.model_dump(mode="json"), identity))
    return sinks


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _memory(device: torch.device) -> int:
    """The most bytes of the device's memory, or of this process's, that were in use so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
