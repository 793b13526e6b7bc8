"""Runs a stage as one Beam pipeline in this process: for tests and debuggers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.layout import Layout
from pipeline.runners.runner import Watcher
from pipeline.stage import Item, Stage


class DirectRunner:
    """Beam's in-memory FnApiRunner over all items at once. A crash in a native library ends the process."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = list(options)

    def run(self, stage: Stage, items: Sequence[Item], layout: Layout, watcher: Watcher) -> None:
        """Run the items as one pipeline. Exceptions come through as they are."""
        del layout
        run_pipeline(stage, items, self._options)
        for item in items:
            watcher.done(item)

    def close(self) -> None:
        """Nothing was started."""


def run_pipeline(stage: Stage, items: Sequence[Item], options: Sequence[str] = ()) -> None:
    """One in-memory pipeline over these items. (Beam's own "DirectRunner" picks its engine by chance and may go online.)"""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(options)))
    stage.narrowed(items).transform(pipeline | "items" >> beam.Create(list(items), reshuffle=False))
    pipeline.run().wait_until_finish()
