"""The network policies, read as edges and compared with a list somebody wrote by hand."""

from pathlib import Path

import pytest

from saras.fleet import SERVICES

EDGES = Path(__file__).parents[1] / "edges.txt"
SERVERS = {
    ("cnpg.io/cluster", "saras-postgresql"): "postgresql",
    ("app.kubernetes.io/name", "saras-rabbitmq"): "rabbitmq",
    ("app", "saras-redis"): "redis",
}


def policies_of(documents):
    return [document for document in documents if document["kind"] == "NetworkPolicy"]


def name_of(selector):
    """The service or server a selector means; ``None`` for all of ours."""
    labels = selector["matchLabels"]
    for key, value in labels.items():
        if (key, value) in SERVERS:
            return SERVERS[key, value]
    return labels.get("app.kubernetes.io/name")


def peers(rules, direction):
    """(peer, port) of every rule that names pods of ours; other namespaces and addresses are looked at apart."""
    return {
        (name_of(peer["podSelector"]), port["port"])
        for rule in rules
        for peer in rule[direction]
        if "podSelector" in peer
        for port in rule.get("ports", [])
    }


def edges_of(documents):
    """Edges both ends allow: source, destination and port."""
    policies = {name_of(each["spec"]["podSelector"]): each["spec"] for each in policies_of(documents)}
    out = {(name, *to) for name, spec in policies.items() if name for to in peers(spec.get("egress", []), "to")}
    into = {
        (source, name, port)
        for name, spec in policies.items()
        if name
        for source, port in peers(spec.get("ingress", []), "from")
    }
    assert out == into, f"one end allows what the other does not: {out ^ into}"
    return out


def test_edges_are_the_listed_ones(documents_of):
    listed = {line for line in EDGES.read_text().splitlines() if line and not line.startswith("#")}
    assert {f"{source} -> {to}:{port}" for source, to, port in edges_of(documents_of("default"))} == listed


@pytest.mark.parametrize("name", ["default", "minimal", "full", "kind"])
def test_everything_is_denied_first_and_every_pod_has_a_policy(documents_of, name):
    documents = documents_of(name)
    policies = {each["metadata"]["name"]: each["spec"] for each in policies_of(documents)}
    deny = policies["saras-default-deny"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    for document in documents:
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert deny["podSelector"]["matchLabels"].items() <= labels.items()
            assert f"saras-{labels['app.kubernetes.io/name']}" in policies


def test_only_two_services_reach_the_internet_and_never_a_private_network(documents_of):
    outside = {}
    for policy in policies_of(documents_of("full")):
        for rule in policy["spec"].get("egress", []):
            for peer in rule["to"]:
                if "ipBlock" in peer:
                    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(
                        peer["ipBlock"]["except"]
                    )
                    outside[policy["metadata"]["name"]] = [port["port"] for port in rule["ports"]]
    assert outside == {"saras-trade-executor": [443], "saras-notification-service": [443, 587]}


def test_in_the_sandbox_nobody_reaches_the_internet(documents_of):
    for policy in policies_of(documents_of("default")):
        for rule in policy["spec"].get("egress", []):
            assert not any("ipBlock" in peer for peer in rule["to"])


def test_strangers_come_in_at_the_gateway_and_for_metrics_alone(documents_of):
    strangers = {
        (policy["metadata"]["name"], peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        for policy in policies_of(documents_of("full"))
        for rule in policy["spec"].get("ingress", [])
        for peer in rule["from"]
        if "namespaceSelector" in peer
    }
    assert strangers == {
        ("saras-api-gateway", "ingress-nginx"),
        *((f"saras-{service.name}", "monitoring") for service in SERVICES),
        ("saras-postgresql", "cnpg-system"),
        ("saras-rabbitmq", "rabbitmq-system"),
        ("saras-rabbitmq", "keda"),
        ("saras-redis", "redis-operator"),
    }
