"""What lies in deploy/ is what its tools take: parsed, held against their schemas, and against what our own programs understand."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.version import __version__ as beam_version
from custom_resources import FLEX_METADATA, KINDS
from dockerfile_parse import DockerfileParser
from ruamel.yaml import YAML
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(DEPLOY.rglob("*.yaml"))
DOCKERFILES = sorted(DEPLOY.rglob("Dockerfile"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGE = f"REGISTRY/corpusmill:{PROJECT['version']}"


def documents(path: Path) -> list[dict]:
    return list(YAML(typ="safe").load_all(path))


def containers(value: object) -> list[dict]:
    """All containers of a manifest, wherever they stand."""
    if isinstance(value, list):
        return [one for item in value for one in containers(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if {"name", "image"} <= value.keys() else []
    return own + [one for item in value.values() for one in containers(item)]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_manifests_fit_their_schemas(path: Path) -> None:
    for document in documents(path):
        jsonschema.validate(document, KINDS[document["kind"]])


def test_a_wrong_manifest_is_found() -> None:
    (cluster,) = documents(DEPLOY / "flink" / "cluster.yaml")
    cluster["spec"]["taskManager"]["resources"] = {"cpu": 1}  # the field is called resource
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster, KINDS["FlinkDeployment"])


def test_every_worker_is_our_image() -> None:
    workers = [one for path in MANIFESTS for one in containers(documents(path)) if "/corpusmill" in one["image"]]
    assert {one["image"] for one in workers} == {IMAGE}
    pools = [one for one in workers if one.get("args") == ["--worker_pool"]]
    assert len(pools) == 2, "beside Flink's task managers and Spark's executors"
    for pool in pools:
        assert pool["envFrom"] == [{"secretRef": {"name": "corpusmill-s3"}}]


def test_jobs_call_the_command_as_it_is() -> None:
    """The drivers' arguments are parsed by our command line, and what stands after -- by Beam."""
    from pipeline.command import app

    run = get_command(app).commands["run"]  # type: ignore[attr-defined]
    for engine in ("flink", "spark"):
        job = next(one for one in documents(DEPLOY / engine / "job.yaml") if one["kind"] == "Job")
        (driver,) = job["spec"]["template"]["spec"]["containers"]
        words = [*driver["command"], *driver["args"]]
        assert words[:2] == ["corpusmill", "run"]
        given = run.make_context("run", words[2:]).params
        assert given["runner"].value == engine
        options = PipelineOptions(list(given["beam_options"])).view_as(PortableOptions)
        assert options.environment_type == "EXTERNAL" and options.environment_config == "localhost:50000"
        assert options.job_endpoint.endswith(":8099")


def test_versions_are_the_ones_that_are_tested() -> None:
    """Beam's version is the same in images, jars and lock; Flink's and Spark's are those of the job servers."""
    written = "".join(path.read_text() for path in [*MANIFESTS, *DOCKERFILES, DEPLOY / "README.md"])
    assert set(re.findall(r"(?:job-server|beam_python3\.11_sdk):(\d+\.\d[\d.]*\d)", written)) == {beam_version}
    assert f"apache-beam=={beam_version}" in (ROOT / "requirements.lock").read_text()
    (cluster,) = documents(DEPLOY / "flink" / "cluster.yaml")
    assert cluster["spec"]["image"].startswith("flink:1.20") and cluster["spec"]["flinkVersion"] == "v1_20"
    (application,) = documents(DEPLOY / "spark" / "application.yaml")
    assert application["spec"]["image"].startswith(f"apache/spark:{application['spec']['sparkVersion']}")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles(path: Path, tmp_path: Path) -> None:
    """They parse, copy only what is there or was built before, and leave no base image without a tag."""
    parser = DockerfileParser(str(tmp_path / "Dockerfile"))
    parser.content = path.read_text()
    steps = [(one["instruction"], one["value"]) for one in parser.structure if one["instruction"] != "COMMENT"]
    assert {name for name, _ in steps} <= {"FROM", "RUN", "COPY", "ENV", "ARG", "WORKDIR", "ENTRYPOINT"}
    stages = set(re.findall(r"(?m)^FROM \S+ AS (\w+)$", path.read_text()))
    for name, value in steps:
        if name == "FROM":
            assert re.match(r"\$\{IMAGE\}|\S+:\S+", value), value
        if name == "COPY" and value.startswith("--from="):
            assert value.split()[0].removeprefix("--from=") in stages
        elif name == "COPY":
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
    assert not any(before == "RUN apt-get update" for (before, _), _ in pairwise(steps))


def test_the_image_holds_every_room_of_the_wheel() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    included = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    for room in (pattern.removesuffix("*") for pattern in included):
        assert f"COPY {room} {room}" in text, f"{room} is part of the wheel"
    for extra in ("aws", "gcp"):
        assert extra in PROJECT["optional-dependencies"] and extra in text


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launcher", DEPLOY / "dataflow" / "launcher.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_flex_template_fits_its_schema_and_its_launcher(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every parameter of the template is an option of the launcher, and what it runs is a command that there is."""
    metadata = json.loads((DEPLOY / "dataflow" / "metadata.json").read_text())
    jsonschema.validate(metadata, FLEX_METADATA)
    given = {
        "recipe": "gs://b/r.yaml",
        "output": "gs://b/out",
        "worker_image": IMAGE,
        "stage_project": "p",
        "stage_region": "r",
    }
    given["stage_workers"] = "9"
    assert {one["name"] for one in metadata["parameters"]} == given.keys()
    for one in metadata["parameters"]:
        assert all(re.fullmatch(pattern, given[one["name"]]) for pattern in one.get("regexes", ()))
    ran: list[list[str]] = []
    monkeypatch.setattr(launcher.subprocess, "run", lambda command, **_: ran.append(command) or Done())
    launcher.main([*(f"--{name}={value}" for name, value in given.items()), "--runner=FnApiRunner"])
    from pipeline.command import app

    (command,) = ran
    params = get_command(app).commands["run"].make_context("run", command[2:]).params  # type: ignore[attr-defined]
    assert (params["recipe"], params["output"], params["project"], params["region"]) == (
        "gs://b/r.yaml",
        "gs://b/out",
        "p",
        "r",
    )
    assert (params["runner"].value, params["worker_image"], params["workers"]) == ("dataflow", IMAGE, 9)


class Done:
    """A command that went well."""

    returncode = 0
    stdout = "done"
