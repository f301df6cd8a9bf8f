"""The chart through Helm's own library: it lints, renders and validates for every set of values."""

import copy
import subprocess
import sys
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml

from saras.fleet import GATEWAY, SERVICES
from saras_common.bus import partition_queue
from saras_common.process import DRAIN_S, GRACEFUL_S

K8S = Path(__file__).parents[2]
SETS = ("default", "minimal", "full", "kind")
OPERATED = {
    "postgresql.cnpg.io/v1/Cluster",
    "rabbitmq.com/v1beta1/RabbitmqCluster",
    "redis.redis.opstreelabs.in/v1beta2/Redis",
    "keda.sh/v1alpha1/ScaledObject",
    "external-secrets.io/v1/ExternalSecret",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
}
"""Kinds of operators: their schemas are not Kubernetes' own."""


RECREATED = {"default": set(), "minimal": set(), "kind": set(), "full": {"saras-portfolio-service-consume"}}
"""Consumers of partitions, by set of values: none of the old number may run beside one of the new."""


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def pods_of(documents):
    return [
        (document["metadata"]["name"], document["spec"]["template"]["spec"])
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}
    ]


def test_helm_lints_it():
    report = helm_python.lint(K8S / "saras")
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("name", SETS)
def test_every_document_is_valid_to_the_letter(documents_of, validate, name):
    documents = documents_of(name)
    kinds = {f"{document['apiVersion']}/{document['kind']}" for document in documents}
    operated = {kind for kind in kinds if "." in kind.split("/")[0] and not kind.split("/")[0].endswith(".k8s.io")}
    assert operated <= OPERATED
    for document in documents:
        if f"{document['apiVersion']}/{document['kind']}" not in OPERATED:
            validate(document)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(names) == len(set(names))


def test_validation_notices_a_field_that_does_not_exist(documents_of, validate):
    broken = copy.deepcopy(of_kind(documents_of("default"), "Deployment")[0])
    broken["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(broken)


def test_the_chart_has_every_process_of_every_service(documents_of):
    wanted = {f"saras-{service.name}-{process}" for service in SERVICES for process in service.processes}
    for name in SETS:
        assert {document["metadata"]["name"] for document in of_kind(documents_of(name), "Deployment")} == wanted


@pytest.mark.parametrize("name", SETS)
def test_pods_are_restricted(documents_of, name):
    for pod, spec in pods_of(documents_of(name)):
        assert spec["securityContext"]["runAsNonRoot"] is True, pod
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert spec["automountServiceAccountToken"] is False, pod
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, pod
            assert security["allowPrivilegeEscalation"] is False, pod
            assert security["capabilities"] == {"drop": ["ALL"]}, pod
            assert {"requests", "limits"} <= set(container["resources"]), pod


@pytest.mark.parametrize("name", SETS)
def test_deployments_roll_without_a_gap_and_are_probed(documents_of, name):
    for document in of_kind(documents_of(name), "Deployment"):
        if document["metadata"]["name"] not in RECREATED[name]:
            assert document["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        (container,) = document["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        assert container["livenessProbe"]["httpGet"]["port"] in ports
        assert container["startupProbe"]["httpGet"]["port"] in ports
        is_api = container["name"] == "api"
        assert ("readinessProbe" in container) == is_api
        assert ("lifecycle" in container) == is_api
        if is_api:  # out of the endpoints first, then SIGTERM: it drains, what is under way ends, nobody is killed
            (_, waits_s) = container["lifecycle"]["preStop"]["exec"]["command"]
            grace_s = document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
            assert grace_s > int(waits_s) + DRAIN_S + GRACEFUL_S
        assert ("PROBE_PORT" in {each["name"] for each in container.get("env", [])}) == (not is_api)


def test_services_reach_pods(documents_of):
    documents = documents_of("default")
    pods = [document["spec"]["template"]["metadata"]["labels"] for document in of_kind(documents, "Deployment")]
    pods += [document["spec"]["template"]["metadata"]["labels"] for document in of_kind(documents, "StatefulSet")]
    for service in of_kind(documents, "Service"):
        selector = service["spec"]["selector"].items()
        assert any(selector <= pod.items() for pod in pods), service["metadata"]["name"]


def test_migrations_run_with_an_install_and_before_an_upgrade(chart, values_of):
    (install,) = of_kind(chart.render(values_of("default")), "Job")
    assert "annotations" not in install["metadata"]
    (upgrade,) = of_kind(chart.render(values_of("default"), is_upgrade=True), "Job")
    assert upgrade["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"


def test_optional_parts_appear_when_asked_for(documents_of):
    kinds = {name: {document["kind"] for document in documents_of(name)} for name in SETS}
    extra = {"Ingress", "ScaledObject", "ServiceMonitor", "PrometheusRule", "ExternalSecret"}
    assert extra <= kinds["full"]
    assert not extra & kinds["default"]
    assert not {"HorizontalPodAutoscaler", "PodDisruptionBudget", "Secret", "Cluster"} & kinds["minimal"]
    assert "StatefulSet" not in kinds["full"]  # live mode has no sandbox


def test_partitions_scale_by_every_queue_and_are_never_rolled(documents_of):
    def consume(values, kind):
        (found,) = [
            each
            for each in of_kind(documents_of(values), kind)
            if each["metadata"]["name"] == "saras-portfolio-service-consume"
        ]
        return found["spec"]

    scaled = consume("full", "ScaledObject")
    queues = [trigger["metadata"]["queueName"] for trigger in scaled["triggers"]]
    partitions = [f"saras.{partition_queue('portfolio-service', 4, number)}" for number in range(4)]
    assert queues == ["saras.portfolio-service", *partitions]
    assert scaled["maxReplicaCount"] == 4
    deployed = consume("full", "Deployment")
    assert deployed["strategy"] == {"type": "Recreate"}
    (container,) = deployed["template"]["spec"]["containers"]
    assert {"name": "PARTITIONS", "value": "4"} in container["env"]
    plain = consume("default", "Deployment")
    assert plain["strategy"]["type"] == "RollingUpdate"
    assert "PARTITIONS" not in str(plain)


def test_live_mode_refuses_example_secrets(chart):
    with pytest.raises(helm_python.HelmRenderError, match="example secrets"):
        chart.render({"mode": "live"})


@pytest.mark.parametrize(
    "values",
    [
        {"servces": {}},
        {"services": {"user-service": {"env": {"ACCESS_TTL": 5}}}},
        {"services": {"user-service": {"env": {"USER_DATA_KEYS": "in a ConfigMap"}}}},
        {"services": {"user-service": {"env": {"ACCESS_TTL_S": "soon"}}}},
        {"services": {"user-service": {"processes": {"consume": {"replicas": 1}}}}},
        {"services": {"trade-executor": {"processes": {"consume": {"partitions": 2}}}}},
        {"services": {"portfolio-service": {"processes": {"consume": {"partitions": 17}}}}},
        {"services": {"order-service": {}}},
        {"mode": "paper"},
    ],
)
def test_values_nobody_reads_are_refused(chart, values):
    with pytest.raises(helm_python.HelmValuesError):
        chart.render(values)


def test_schema_and_manifests_are_what_chart_and_settings_say():
    done = subprocess.run(
        [sys.executable, K8S.parent / "scripts/chart.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_manifests_apply_by_themselves():
    documents = list(yaml.safe_load_all((K8S / "manifests/saras.yaml").read_text()))
    assert documents[0]["kind"] == "Namespace"
    assert all(document["metadata"]["namespace"] == "saras" for document in documents[1:])
    assert GATEWAY in {document["metadata"]["labels"].get("app.kubernetes.io/name") for document in documents[1:]}


def test_ingress_shows_the_api_and_nothing_of_the_operator(documents_of):
    (ingress,) = of_kind(documents_of("full"), "Ingress")
    paths = {path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
    assert paths == {"/api/v1", "/docs", "/.well-known"}
