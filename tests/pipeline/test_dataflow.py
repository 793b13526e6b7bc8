"""Dataflow without Google: what every stage asks of the service, and that just this gives the bytes of a local run."""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path

import fake_dataflow
import local_stores
import pytest
from small_run import Quiet
from test_object_stores import fill_input, run_into

from pipeline import recipe_file
from pipeline.runners.dataflow import Place, dataflow
from pipeline.runners.runner import EngineMissing

PLACE = Place(
    project="test-project", region="us-central1", image="us-docker.pkg.dev/test-project/mill/corpusmill:1", workers=7
)
ROOT = Path(__file__).resolve().parents[2]


def test_every_stage_is_a_job_that_gives_the_same_bytes(tmp_path: Path) -> None:
    with local_stores.gcs() as proxy, fake_dataflow.serving() as service:
        bucket = f"gs://{local_stores.BUCKET}"
        fill_input(f"{bucket}/input")
        expected = run_into(f"{tmp_path}/out", f"{bucket}/input")
        options = [f"--dataflow_endpoint=http://localhost:{service.port}", "--no_auth"]
        display = Quiet()
        found = run_into(
            f"{bucket}/out", f"{bucket}/input", lambda recipe, out: dataflow(recipe, out, PLACE, options), display
        )
        assert found == expected
        assert len(service.requests) == len([name for name, items in display.items.items() if items])
        for request in service.requests:
            _looks_as_the_service_wants(request)
        for request, pipeline in zip(service.requests, service.pipelines, strict=True):
            _holds_nothing_of_this_machine(json.dumps(request).encode() + pipeline.SerializeToString())
            _fits(request, pipeline)
        assert not [path for _, path, _ in proxy.seen if "main_session" in path]


def _looks_as_the_service_wants(request: dict) -> None:
    """What ``projects.locations.jobs.create`` asks of a batch job on runner v2."""
    assert request["type"] in (1, "JOB_TYPE_BATCH")
    assert request["name"].startswith("corpusmill-") and request["name"] == request["name"].lower()
    environment = request["environment"]
    assert "use_runner_v2" in environment["experiments"]
    (pool,) = environment["workerPools"]
    assert pool["autoscalingSettings"]["maxNumWorkers"] == PLACE.workers
    assert [one["containerImage"] for one in pool["sdkHarnessContainerImages"]] == [PLACE.image]
    options = environment["sdkPipelineOptions"]["options"]
    assert (options["project"], options["region"]) == (PLACE.project, PLACE.region)
    assert options["temp_location"].startswith("gs://") and options["pipelineUrl"].startswith("gs://")
    assert options["number_of_worker_harness_threads"] == 1
    assert not options.get("save_main_session")
    assert not pool.get("packages"), "the image has everything: nothing is installed when a worker starts"


def _holds_nothing_of_this_machine(sent: bytes) -> None:
    for place in (str(ROOT), os.getcwd(), str(Path.home()), "/tmp/", os.path.dirname(os.__file__), sys.prefix):
        if len(place) > 5:
            assert place.encode() not in sent, place
    assert b"/home/" not in sent
    assert b"__main__" not in sent
    assert f"beamapp-{getpass.getuser()}".encode() not in sent


def _fits(request: dict, pipeline: object) -> None:
    """Far below the service's limit of 10 MB for a job's graph, whatever the input is."""
    assert len(json.dumps(request)) < 20_000
    assert len(pipeline.SerializeToString()) < 200_000  # type: ignore[attr-defined]


RECIPE = "sources: [{{name: docs, kind: jsonl, id: id, paths: ['{0}/in.jsonl'], filters: false}}]\ntokenizer: false\n"


def test_paths_of_this_machine_are_refused() -> None:
    at_home = recipe_file.loads(RECIPE.format("/data"))
    with pytest.raises(EngineMissing, match=r"instead of out, /data/in\.jsonl"):
        dataflow(at_home, "out", PLACE)
    away = recipe_file.loads(RECIPE.format("gs://b/x"))
    with pytest.raises(EngineMissing, match="--temp-location temp: the service stages jobs in a bucket"):
        dataflow(away, "gs://b/out", Place(project="p", region="r", image="i", temp="temp"))


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("apache_beam.runners.dataflow.internal")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.cloud.dataflow", None)
    monkeypatch.setitem(sys.modules, "apache_beam.runners.dataflow.internal.apiclient", None)
    runner = dataflow(recipe_file.loads(RECIPE.format("gs://b/x")), "gs://b/out", PLACE)
    with pytest.raises(EngineMissing, match=r"pip install 'corpusmill\[gcp\]'"):
        runner._engine.start()
