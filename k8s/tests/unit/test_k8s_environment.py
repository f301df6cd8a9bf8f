"""Every environment name in chart and compose file exists in the service's settings, and the other way round."""

import re
from pathlib import Path

import pytest
import yaml

from kite_sandbox.settings import Settings as SandboxSettings
from saras.fleet import GATEWAY, SERVICES
from saras.settings import PlatformSettings

ROOT = Path(__file__).parents[3]
PROCESSES = [(service, process) for service in SERVICES for process in service.processes]


def config_of(documents, kind, name):
    (found,) = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == f"saras-{name}"]
    return found.get("data") or found.get("stringData")


def env_of(documents, name):
    """What a deployment's container gets beside its ConfigMap and Secret."""
    workloads = [each for each in documents if each["kind"] in {"Deployment", "StatefulSet", "Job"}]
    (found,) = [each for each in workloads if each["metadata"]["name"] == name]
    return {each["name"] for each in found["spec"]["template"]["spec"]["containers"][0].get("env", [])}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_chart_and_settings_have_the_same_names(chart, documents_of, service):
    known = chart.variables(service.settings_class())
    for values in ("default", "minimal", "full"):
        documents = documents_of(values)
        config = set(config_of(documents, "ConfigMap", service.name))
        for process in service.processes:
            config |= env_of(documents, f"saras-{service.name}-{process}")
        assert config <= set(known), f"{service.name} does not read {config - set(known)}"
    offered = set(
        chart.schema()["properties"]["services"]["properties"][service.name]["properties"]["env"]["properties"]
    )
    by_chart = {name for name in known if chart.is_set_by_chart(name)}
    assert offered | by_chart | chart.secrets_of(service) == set(known)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_secrets_are_secret_and_complete(chart, documents_of, service):
    known, documents = chart.variables(service.settings_class()), documents_of("default")
    secret = set(config_of(documents, "Secret", service.name))
    assert secret <= chart.secrets_of(service)
    assert not set(config_of(documents, "ConfigMap", service.name)) & chart.secrets_of(service)
    given = secret | set().union(*(env_of(documents, f"saras-{service.name}-{each}") for each in service.processes))
    needed = {name for name, field in known.items() if field.is_required() and name in chart.secrets_of(service)}
    assert needed <= given, f"{service.name} would not start without {needed - given}"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_starts_on_what_the_chart_gives_it(documents_of, service, monkeypatch):
    documents = documents_of("default")
    given = config_of(documents, "ConfigMap", service.name) | config_of(documents, "Secret", service.name)
    for name, value in {"BROKER_URL": "amqp://user:password@rabbitmq:5672/", **given}.items():
        monkeypatch.setenv(name, value)
    settings = service.settings_class()()
    assert settings.port == 8000
    assert settings.host == "0.0.0.0"


def test_the_sandbox_and_the_migration_read_what_they_are_given(documents_of):
    documents = documents_of("default")
    known = {f"SANDBOX_{name.upper()}" for name in SandboxSettings.model_fields}
    assert env_of(documents, "saras-kite-sandbox") <= known
    platform = {
        field.validation_alias or f"SARAS_{name.upper()}" for name, field in PlatformSettings.model_fields.items()
    }
    assert env_of(documents, "saras-migrate-1") | set(config_of(documents, "Secret", "migrate")) <= platform


def compose():
    return yaml.safe_load((ROOT / "infra/compose.yaml").read_text())["services"]


@pytest.mark.parametrize(("service", "process"), PROCESSES, ids=lambda value: getattr(value, "name", value))
def test_compose_has_every_process_with_names_its_service_reads(chart, service, process):
    entry = compose()[f"{service.name}-{process}"]
    assert entry["command"] == [process]
    assert entry["read_only"] is True
    assert entry["cap_drop"] == ["ALL"]
    known = chart.variables(service.settings_class())
    given = set(entry["environment"])
    assert given <= set(known) | {each.url_variable for each in SERVICES}
    assert {name for name, field in known.items() if field.is_required()} <= given
    assert ("PROBE_PORT" in given) == (process != "api")


def test_compose_has_no_other_process_and_one_door():
    services = compose()
    built = {name for name, entry in services.items() if "build" in entry}
    processes = {f"{service.name}-{process}" for service, process in PROCESSES}
    assert built == processes | {"migrate", "kite-sandbox"}
    doors = {name for name, entry in services.items() if "ports" in entry and "profiles" not in entry}
    assert doors == {f"{GATEWAY}-api"}
    assert all(port.startswith("127.0.0.1:") for entry in services.values() for port in entry.get("ports", []))


def test_compose_asks_for_nothing_the_example_does_not_name():
    asked = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "infra/compose.yaml").read_text()))
    example = (ROOT / "infra/env.example").read_text()
    assert asked <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_prometheus_of_compose_reads_every_process():
    document = yaml.safe_load((ROOT / "infra/prometheus-grafana/prometheus.yaml").read_text())
    targets = {
        target for job in document["scrape_configs"] for static in job["static_configs"] for target in static["targets"]
    }
    assert targets == {
        f"{service.name}-{process}:{8000 if process == 'api' else 9000}" for service, process in PROCESSES
    }
