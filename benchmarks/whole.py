"""The whole job on web pages beside the floor: CPU a page, CPU a gigabyte of WARC, peak memory, and their ratio.

The recipe reads, extracts, filters (with a KenLM model), deduplicates at all levels, removes personal data, encodes and
writes shards with one worker. What starting costs (imports, models) is measured by the same run over a handful of pages and
taken off, so that the figure is the marginal cost of a page; both are printed. The tokenizer is trained beforehand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import material

RECIPE = """\
name: whole
sources:
  - {{name: web, kind: warc, paths: [{paths}], filters: web}}
filters:
  web:
    - language: {{keep: [en], min_score: 0.65}}
    - gopher_repetition
    - gopher_quality
    - c4: {{terminal_punctuation: false}}
    - fineweb
    - keywords
    - perplexity: {{model: {model}, max: null}}
tokenizer: {{path: {tokenizer}}}
limits: {{split: {split}}}
"""


def run(work: Path, name: str, warcs: list[Path], split: str = "16MiB", workers: int = 1) -> material.Used:
    """Run the recipe over these files and say what it took."""
    recipe = work / f"{name}.yaml"
    paths = ", ".join(json.dumps(str(path)) for path in warcs)
    model, tokenizer = work / "model.arpa", work / "tokenizer.json"
    recipe.write_text(RECIPE.format(paths=paths, model=model, tokenizer=tokenizer, split=split))
    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "pipeline.command", "run", recipe, "--output", out, "--workers", str(workers)]
    return material.measured(command)


def models(work: Path, warcs: list[Path]) -> None:
    """Train the language model and the tokenizer that both loops use, once."""
    if (work / "model.arpa").exists() and (work / "tokenizer.json").exists():
        return
    recipe = work / "models.yaml"
    paths = ", ".join(json.dumps(str(path)) for path in warcs)
    recipe.write_text(
        f"sources:\n  - {{name: web, kind: warc, paths: [{paths}], filters: web}}\ntokenizer: {{vocab_size: 32000}}\nshards: false\n"
    )
    material.measured([sys.executable, "-m", "pipeline.command", "run", recipe, "--output", work / "models", "--fresh"])
    shutil.copy(work / "models" / "tokenizer" / "tokenizer.json", work / "tokenizer.json")
    from pipeline import tables

    paths_ = sorted((work / "models" / "documents").rglob("*.parquet"))
    texts = (text for path in paths_ for text in tables.read(str(path), ["text"]).column("text").to_pylist())
    material.write_language_model(texts, work / "model.arpa")


def few_pages(work: Path, warc: Path) -> Path:
    """A WARC with the first pages of another: what a run over it takes is what starting takes."""
    from fastwarc.warc import ArchiveIterator

    path = work / "few.warc.gz"
    with warc.open("rb") as stream:
        records = [record.stream_pos for _, record in zip(range(12), ArchiveIterator(stream), strict=False)]
    path.write_bytes(warc.read_bytes()[: records[-1]])
    return path


def main() -> None:
    options = material.arguments(__doc__)
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    warcs = material.warcs(options.warc, work)
    models(work, warcs)
    size = sum(path.stat().st_size for path in warcs) / 1e9
    run(work, "few", [few_pages(work, warcs[0])])  # compiles and caches the kernels, so that neither run below does
    start = run(work, "few", [few_pages(work, warcs[0])])
    whole = run(work, "whole", warcs)
    floor = json.loads(
        subprocess.run(
            [sys.executable, "benchmarks/floor.py", "--work", str(work), "--warc", *map(str, warcs)],
            check=True,
            capture_output=True,
            text=True,
            cwd=material.ROOT,
        ).stdout.splitlines()[-1]
    )
    made = json.loads((work / "whole" / "manifest.json").read_text())
    fates = made["sources"]["web"]
    pages, net = floor["pages"], whole.cpu - start.cpu
    print(f"{pages} pages in {size * 1000:.1f} MB of WARC; kept {fates['kept']}, the floor {floor['kept']}")
    print(
        f"whole job    {1000 * net / pages:8.2f} ms of CPU a page   {net / size:8.0f} CPU s a GB of WARC   peak {whole.peak:.0f} MB"
    )
    print(f"  starting   {start.cpu:8.2f} s, with it {1000 * whole.cpu / pages:.2f} ms a page")
    print(
        f"floor        {1000 * floor['cpu'] / pages:8.2f} ms of CPU a page   {floor['cpu'] / size:8.0f} CPU s a GB of WARC"
    )
    print(f"ratio        {net / floor['cpu']:8.2f}")


if __name__ == "__main__":
    main()
