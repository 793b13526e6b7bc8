"""The parts of the operators' custom resource definitions that our manifests use, as JSON Schema, strict: nothing else may stand there.

After the definitions of the Flink operator (``flinkdeployments.flink.apache.org``, v1beta1) and of the Spark operator
(``sparkapplications.sparkoperator.k8s.io``, v1beta2). Kubernetes' own kinds likewise, as far as they are used.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
STRINGS = _list(STRING)
TEXTS: Schema = {"type": "object", "additionalProperties": STRING}
QUANTITY: Schema = {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?$"}
AMOUNTS = _object(cpu=QUANTITY, memory=QUANTITY)
METADATA = _object(("name",), name=STRING, labels=TEXTS)

CONTAINER = _object(
    ("name",),
    name=STRING,
    image=STRING,
    command=STRINGS,
    args=STRINGS,
    restartPolicy={"enum": ["Always"]},
    ports=_list(_object(("containerPort",), containerPort=INTEGER, name=STRING)),
    envFrom=_list(_object(secretRef=_object(("name",), name=STRING))),
    resources=_object(requests=AMOUNTS, limits=AMOUNTS),
    volumeMounts=_list(_object(("name", "mountPath"), name=STRING, mountPath=STRING)),
)
POD = _object(
    ("containers",),
    containers=_list(CONTAINER),
    initContainers=_list(CONTAINER),
    restartPolicy={"enum": ["OnFailure", "Never"]},
    volumes=_list(_object(("name",), name=STRING, emptyDir={"type": "object"})),
)
FLINK_MANAGER = _object(
    replicas=INTEGER,
    resource=_object(cpu={"type": "number"}, memory=STRING),
    podTemplate=_object(spec=POD),
)
SPARK_POD: Schema = {"cores": INTEGER, "memory": {"type": "string", "pattern": "^[0-9]+[kmgt]$"}, "labels": TEXTS}


def _kind(version: str, kind: str, spec: Schema) -> Schema:
    names = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    return _object(("apiVersion", "kind", "metadata", "spec"), **names, metadata=METADATA, spec=spec)


KINDS: dict[str, Schema] = {
    "FlinkDeployment": _kind(
        "flink.apache.org/v1beta1",
        "FlinkDeployment",
        _object(
            ("image", "flinkVersion", "serviceAccount", "jobManager", "taskManager"),
            image=STRING,
            flinkVersion={"enum": ["v1_17", "v1_18", "v1_19", "v1_20"]},
            serviceAccount=STRING,
            mode={"enum": ["native", "standalone"]},
            flinkConfiguration=TEXTS,
            jobManager=FLINK_MANAGER,
            taskManager=FLINK_MANAGER,
        ),
    ),
    "SparkApplication": _kind(
        "sparkoperator.k8s.io/v1beta2",
        "SparkApplication",
        _object(
            ("type", "sparkVersion", "driver", "executor"),
            type={"enum": ["Java", "Python", "Scala", "R"]},
            mode={"enum": ["cluster", "client"]},
            sparkVersion=STRING,
            image=STRING,
            mainClass=STRING,
            mainApplicationFile=STRING,
            arguments=STRINGS,
            deps=_object(packages=STRINGS),
            sparkConf=TEXTS,
            restartPolicy=_object(
                type={"enum": ["Never", "Always", "OnFailure"]},
                onFailureRetries=INTEGER,
                onFailureRetryInterval=INTEGER,
            ),
            driver=_object(**SPARK_POD, serviceAccount=STRING),
            executor=_object(**SPARK_POD, instances=INTEGER, sidecars=_list(CONTAINER)),
        ),
    ),
    "Job": _kind(
        "batch/v1", "Job", _object(("template",), backoffLimit=INTEGER, template=_object(("spec",), spec=POD))
    ),
    "Service": _kind(
        "v1",
        "Service",
        _object(
            ("ports",),
            clusterIP={"enum": ["None"]},
            selector=TEXTS,
            ports=_list(_object(("name", "port"), name=STRING, port=INTEGER)),
        ),
    ),
}

FLEX_METADATA = _object(
    ("name", "parameters"),
    name=STRING,
    description=STRING,
    streaming={"type": "boolean"},
    parameters=_list(
        _object(
            ("name", "label", "helpText"),
            name={"type": "string", "pattern": "^[a-zA-Z][a-zA-Z0-9_]*$"},
            label={"type": "string", "maxLength": 100},
            helpText={"type": "string", "maxLength": 4096},
            isOptional={"type": "boolean"},
            regexes=STRINGS,
            paramType=STRING,
        )
    ),
)
"""TemplateMetadata of the Dataflow API (v1b3)."""
