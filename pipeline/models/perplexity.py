"""Trains a perplexity model: SentencePiece for its tokens, KenLM's lmplz for their n-grams, percentiles for its cut-offs."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from filters.language_models import PERCENTILES, LanguageModel, Tokenizer, normalize
from pipeline import files, pulse
from pipeline.layout import Layout
from pipeline.models import kenlm_tools
from pipeline.models.samples import Sample, drawn
from pipeline.models.settings import PerplexityModel
from pipeline.stage import output

MIN_DOCUMENTS: Final = 10
"""Of fewer documents percentiles say nothing."""
_LONGEST_LINE: Final = 1 << 16
"""Bytes of a line that SentencePiece still learns from."""
_THREADS: Final = 4
"""Of SentencePiece's training: which sums are made depends on it, so it is the same on all machines."""
_MOST_MEMORY: Final = 0.8
"""Share of ``limits.memory`` that lmplz sorts in."""


def train(name: str, settings: PerplexityModel, layout: Layout, memory: int) -> list[dict[str, Any]]:
    """Train the model, write it to ``models/`` and return the manifest's rows of its files.

    Raises ValueError where there is nothing to learn from, kenlm_tools.CantBuild without lmplz.
    """
    programs = kenlm_tools.programs()
    good = drawn(layout, name, "good", text=settings.sample)
    if not good.documents:
        raise ValueError(f"models.{name}: no document of {', '.join(settings.sources)} to learn from")
    outputs = []
    pieces = None
    if settings.tokens == "sentencepiece":
        pieces = _pieces(settings, drawn(layout, name, "good", text=min(settings.pieces_sample, settings.sample)))
        with files.replacing(layout.model(name, ".sp.model")) as written:
            written.stream.write(pieces)
        outputs.append(output(layout, "model", written, rows=0, model=name))
    tokenizer = Tokenizer(settings.tokens, settings.normalize, settings.lines, pieces)
    with _folder(layout, name) as folder:
        counted = _write(folder / "tokens.txt", good, tokenizer)
        if not counted["tokens"]:
            raise ValueError(f"models.{name}: the documents of {', '.join(settings.sources)} hold no token")
        _lmplz(programs, settings, folder, int(memory * _MOST_MEMORY))
        judged = drawn(layout, name, "judged", documents=settings.cutoff_documents)
        cutoffs = _cutoffs(settings, str(folder / "model.bin"), tokenizer, judged)
        with files.replacing(layout.model(name, ".arpa.bin")) as written, (folder / "model.bin").open("rb") as made:
            while block := made.read(1 << 20):
                written.stream.write(block)
        outputs.append(output(layout, "model", written, rows=0, model=name))
    about = {
        "kind": "perplexity",
        "tokens": settings.tokens,
        "normalize": settings.normalize,
        "lines": settings.lines,
        "cutoffs": cutoffs,
        "settings": settings.model_dump(mode="json"),
        "corpus": {"documents": good.documents, "text": good.text, "sources": good.sources, **counted},
        "cutoffs_from": {"documents": judged.documents, "sources": judged.sources},
        "files": {one["path"].rpartition("/")[2]: one["sha256"] for one in outputs},
    }
    described = files.write_json(layout.model(name, ".json"), about)
    return [*outputs, output(layout, "model", described, rows=0, model=name)]


def _pieces(settings: PerplexityModel, sample: Sample) -> bytes:
    """A SentencePiece model (unigram, as CCNet's), trained on lines as they will be split."""
    from sentencepiece import SentencePieceTrainer

    def lines() -> Iterator[str]:
        for text in sample.texts():
            made = normalize(text) if settings.normalize else text
            yield from (line for line in made.split("\n") if line.strip())
            pulse.count(1, 0)

    made = io.BytesIO()
    try:
        SentencePieceTrainer.Train(
            sentence_iterator=lines(),
            model_writer=made,
            model_type="unigram",
            vocab_size=settings.vocabulary,
            hard_vocab_limit=False,
            character_coverage=0.9995,
            max_sentence_length=_LONGEST_LINE,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(f"SentencePiece can't be trained on these {sample.text} bytes: {error}") from error
    return made.getvalue()


def _write(path: Path, good: Sample, tokenizer: Callable[[str], Iterator[str]]) -> dict[str, int]:
    """The lines of tokens that lmplz counts; says how many lines and tokens there are."""
    lines = tokens = 0
    with path.open("w", encoding="utf-8", errors="surrogatepass") as stream:
        for text in good.texts():
            for line in tokenizer(text):
                stream.write(line + "\n")
                lines += 1
                tokens += line.count(" ") + 1
            pulse.count(1, 1)
    return {"lines": lines, "tokens": tokens}


def _lmplz(programs: dict[str, str], settings: PerplexityModel, folder: Path, memory: int) -> None:
    """Estimate the n-grams of ``tokens.txt`` and make ``model.bin`` of them. Disk: about thirty times the text."""
    command = [
        programs["lmplz"],
        "--order",
        str(settings.order),
        "--memory",
        f"{memory}b",
        "--temp_prefix",
        f"{folder}/",
    ]
    # The fallback discounts are used only where a corpus is too small for the estimate; symbols such as <s> in a text
    # are read as white space.
    command += ["--discount_fallback", "--skip_symbols"]
    if settings.prune:
        command += ["--prune", *map(str, settings.prune)]
    _call([*command, "--text", str(folder / "tokens.txt"), "--arpa", str(folder / "model.arpa")])
    (folder / "tokens.txt").unlink()
    binary = [programs["build_binary"], "-T", f"{folder}/", "-S", f"{memory}b", settings.structure]
    _call([*binary, str(folder / "model.arpa"), str(folder / "model.bin")])
    (folder / "model.arpa").unlink()


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-1000:]
        raise ValueError(f"{Path(command[0]).name} ended with {done.returncode}: {said}")


def _cutoffs(settings: PerplexityModel, path: str, tokenizer: Tokenizer, judged: Sample) -> dict[str, float]:
    """Perplexities at the percentiles of the documents that come as far as the filter; none where these are too few."""
    model = LanguageModel(path, tokenizer, {})
    found = []
    for text in judged.texts():
        found.append(model.perplexity(text))
        pulse.count(1, 0)
    measured = np.array([one for one in found if one is not None])
    if len(measured) < MIN_DOCUMENTS:
        return {}
    at = np.percentile(measured, settings.percentiles)
    return {name: round(float(value), 4) for name, value in zip(PERCENTILES, at, strict=True)}


@contextmanager
def _folder(layout: Layout, name: str) -> Iterator[Path]:
    """A folder for what is large: below the run's own, where that is local."""
    base = None
    if not files.is_remote(layout.out):
        base = layout.work(f"models/{name}")
        Path(base).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base, prefix="training-") as folder:
        yield Path(folder)
