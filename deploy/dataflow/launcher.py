"""The Flex Template's pipeline: one small worker that carries a recipe out, a Dataflow job for every stage.

A template launches one job, a run has a dozen of them, one after the other. So the template's job is the driver: its only
step runs `corpusmill run --runner dataflow`. Where its worker is lost the service tries the step again, and the run goes on
where it was.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def main(arguments: Sequence[str] | None = None) -> None:
    """Submit the driver's job; options that are not the recipe's are Beam's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True, help="gs:// path of a recipe")
    parser.add_argument("--output", required=True, help="gs:// folder for everything the run writes")
    parser.add_argument("--worker_image", required=True, help="the image made by deploy/Dockerfile")
    parser.add_argument("--stage_project", required=True, help="project of the stages' jobs")
    parser.add_argument("--stage_region", required=True, help="region of the stages' jobs")
    parser.add_argument("--stage_workers", default="", help="the most machines that a stage's job may have")
    known, rest = parser.parse_known_args(arguments)
    command = [
        "corpusmill", "run", known.recipe, "--output", known.output, "--runner", "dataflow", "--project", known.stage_project,
        "--region", known.stage_region, "--worker-image", known.worker_image,
    ]  # fmt: skip
    if known.stage_workers:
        command += ["--workers", known.stage_workers]
    options = PipelineOptions([*rest, f"--sdk_container_image={known.worker_image}", "--sdk_location=container"])
    pipeline = beam.Pipeline(options=options)
    pipeline | "command" >> beam.Create([command], reshuffle=False) | "drive" >> beam.FlatMap(drive)
    pipeline.run()


def drive(command: Sequence[str]) -> Iterator[str]:
    """Run the command to its end. Raises RuntimeError with the last lines that it said."""
    done = subprocess.run(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    yield done.stdout[-4000:]


if __name__ == "__main__":
    main()
