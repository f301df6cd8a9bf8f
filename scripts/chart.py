#!/usr/bin/env python3
"""Write what follows from the chart and the services' settings: its values' schema, and plain manifests.

The schema lets a service's ``env`` hold exactly what that service's settings read and the chart does not set itself,
no secret among it. The manifests are the chart rendered with its defaults, for `kubectl apply`. --check compares only.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import helm_python
import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from saras.fleet import SERVICES, Service
from saras_common.bus import MAX_PARTITIONS
from saras_common.settings import ServiceSettings

K8S = Path(__file__).parents[1] / "k8s"
CHART = K8S / "saras"
RELEASE = NAMESPACE = "saras"
BY_CHART = frozenset({"HOST", "PORT", "PROBE_PORT", "SARAS_MODE", "LOG_LEVEL", "KITE_ROOT", "PARTITIONS"})
"""Variables the chart sets; so are the services' addresses."""

BY_PARENT = frozenset({"LISTEN_FD", "READY_FD"})
"""Only whoever starts a process can give these; a container has no such parent."""

SERVERS = ("postgresql", "rabbitmq", "redis")


def variables(settings: type[ServiceSettings]) -> dict[str, FieldInfo]:
    """The environment's names that a service's settings read."""
    return {
        field.validation_alias if isinstance(field.validation_alias, str) else name.upper(): field
        for name, field in settings.model_fields.items()
    }


def is_secret(field: FieldInfo) -> bool:
    """Whether a field belongs into a Secret."""
    return _mentions(field.annotation, SecretStr)


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_mentions(part, wanted) for part in get_args(annotation))


def is_set_by_chart(name: str) -> bool:
    """Whether the chart gives a variable its value."""
    return name in BY_CHART | BY_PARENT or name in {service.url_variable for service in SERVICES}


def secrets_of(service: Service) -> set[str]:
    """Variables of a service that come from its Secret. Broker accounts hold API secrets."""
    return {
        name
        for name, field in variables(service.settings_class()).items()
        if is_secret(field) or name == "KITE_ACCOUNTS"
    }


def env_of(service: Service) -> dict[str, FieldInfo]:
    """Variables that may stand in a service's ``env``."""
    hidden = secrets_of(service)
    return {
        name: field
        for name, field in variables(service.settings_class()).items()
        if name not in hidden and not is_set_by_chart(name)
    }


def schema() -> dict[str, Any]:
    """The JSON schema of the chart's values; nothing it does not name is accepted."""
    text, flag, number = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    resources = {"type": "object", "properties": {"requests": _map(text), "limits": _map(text)}}
    external = {"host": text, "port": port, "cidr": text}
    service_schemas = {service.name: _service(service, resources) for service in SERVICES}
    monitoring = {"enabled": flag, "namespace": text, "labels": _map(text)}
    store = {"enabled": flag, "store": text, "storeKind": text, "prefix": text, "refresh": text}
    admin = {"adminSecret": text, "adminSecretKey": text}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the saras chart",
        **_strict(
            {
                "global": {"type": "object"},
                "image": _strict(
                    {
                        "registry": text,
                        "tag": text,
                        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
                        "pullSecrets": {"type": "array", "items": _strict({"name": text})},
                    }
                ),
                "mode": {"enum": ["sandbox", "live"]},
                "logLevel": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]},
                "services": _strict(service_schemas),
                "resources": resources,
                "sandbox": _strict({"storage": text, "env": _map(None, "^SANDBOX_[A-Z_]+$")}),
                "secrets": _strict({"example": flag, "existing": _map(text), "external": _strict(store)}),
                "postgresql": _strict(
                    {
                        "operator": _strict({"enabled": flag, "instances": number, "storage": text}),
                        "external": _strict({**external, **admin}),
                    }
                ),
                "rabbitmq": _strict(
                    {
                        "operator": _strict({"enabled": flag, "replicas": number, "storage": text}),
                        "external": _strict(external),
                    }
                ),
                "redis": _strict(
                    {"operator": _strict({"enabled": flag, "storage": text}), "external": _strict(external)}
                ),
                "ingress": _strict(
                    {
                        "enabled": flag,
                        "className": text,
                        "host": text,
                        "tlsSecret": text,
                        "annotations": _map(text),
                        "controllerNamespace": text,
                    }
                ),
                **{name: _strict({"enabled": flag}) for name in _SWITCHES},
                "monitoring": _strict(monitoring),
            }
        ),
    }


_SWITCHES = ("networkPolicy", "podDisruptionBudget", "autoscaling", "keda")


def _service(service: Service, resources: Mapping[str, Any]) -> dict[str, Any]:
    positive = {"type": "integer", "minimum": 1}
    process = {
        "replicas": {"type": "integer", "minimum": 0},
        "resources": resources,
        "autoscaling": _strict({"max": positive, "cpuPercent": positive}),
        "queue": _strict({"name": {"type": "string"}, "messages": positive, "max": positive}),
    }
    processes = {name: _strict(process) for name in service.processes}
    if "PARTITIONS" in variables(service.settings_class()):
        processes["consume"] = _strict({**process, "partitions": {**positive, "maximum": MAX_PARTITIONS}})
    return _strict(
        {
            "processes": _strict(processes),
            "calls": {"type": "array", "items": {"enum": [each.name for each in SERVICES]}},
            "backends": {"type": "array", "items": {"enum": [*SERVERS, "broker"]}},
            "internet": {"type": "array", "items": positive},
            "env": _strict({name: _value(field) for name, field in sorted(env_of(service).items())}),
        }
    )


def _value(field: FieldInfo) -> dict[str, Any]:
    """What YAML may give: a figure or a flag where the setting is one, else text."""
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number"}
    annotation = field.annotation
    options = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) in {Union, UnionType} and len(options) == 1:
        annotation = options[0]
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        result: dict[str, Any] = {"enum": list(get_args(annotation))}
    else:
        result = {"type": kinds.get(annotation, "string") if isinstance(annotation, type) else "string"}
    if field.description:
        result["description"] = field.description
    return result


def _strict(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _map(values: Mapping[str, Any] | None, names: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "object"}
    if values is not None:
        result["additionalProperties"] = dict(values)
    if names is not None:
        result["propertyNames"] = {"pattern": names}
    return result


def render(values: Mapping[str, Any] | None = None, *, is_upgrade: bool = False) -> list[dict[str, Any]]:
    """Every document of the chart rendered by Helm's own library, in the order of its templates."""
    with helm_python.Chart.load(CHART) as chart:
        given = dict(values or {})
        chart.validate_schema(given)
        rendered = chart.render(
            given, name=RELEASE, namespace=NAMESPACE, is_install=not is_upgrade, is_upgrade=is_upgrade
        )
    return [
        document
        for path, text in sorted(rendered.items())
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def manifests() -> str:
    """The defaults as plain manifests, the namespace among them."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "saras"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    documents = [namespace, *({**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}} for each in render())]
    head = "# The chart rendered with its defaults, by scripts/chart.py. kubectl apply -f k8s/manifests/saras.yaml\n"
    return head + yaml.safe_dump_all(documents, sort_keys=False, width=120)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the files say what the chart and the settings say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file would change")
    check = parser.parse_args(arguments).check
    stale = []
    for path, make in (
        (CHART / "values.schema.json", lambda: json.dumps(schema(), indent=1) + "\n"),
        (K8S / "manifests" / "saras.yaml", manifests),
    ):
        text = make()  # type: ignore[no-untyped-call] # its context manager is published so
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    if check and stale:
        print(f"stale: {', '.join(stale)}; run scripts/chart.py", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
