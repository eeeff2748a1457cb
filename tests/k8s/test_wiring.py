"""Every reference in the manifests leads to something that exists: probes, selectors, topics, ports."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.runtime.group_lag import list_groups
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle
from tests.k8s.manifests import Build, Manifest, container
from tests.k8s.test_manifests import settings_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

# The topic that each service consumes, from the services' code.
CONSUMED = dict(
    zip(
        ("copydetect-ingest", "copydetect-matcher", "copydetect-alerter"),
        list_groups(load_bundle(Settings().bundle).model_version),
        strict=True,
    )
)


def pods_labels(build: Build) -> dict[str, dict[str, str]]:
    return {
        found["metadata"]["name"]: found["spec"]["template"]["metadata"]["labels"]
        for found in build.manifests
        if found["kind"] in {"Deployment", "StatefulSet", "Job"}
    }


def partitions(build: Build) -> int:
    arguments = container(build.of("Job")["copydetect-topics"]["spec"]["template"]["spec"])["args"]
    return int(arguments[arguments.index("--partitions") + 1])


def egress(build: Build, pod: str) -> list[Manifest]:
    """The egress rules of a pod."""
    labels = pods_labels(build)[pod]
    return [
        rule
        for policy in build.of("NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get("egress", [])
    ]


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(asked["key"]) in asked["values"] for asked in selector.get("matchExpressions", [])
    )


def reaches(rules: list[Manifest], namespace: str, port: int) -> bool:
    wanted = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return any(
        port in {asked["port"] for asked in rule["ports"]}
        and any(peer.get("namespaceSelector") == wanted for peer in rule["to"])
        for rule in rules
    )


def test_probes_use_the_port_on_which_the_service_listens(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = settings_in(build, monkeypatch, tmp_path).http_port
    for name, pod in build.services().items():
        own = container(pod)
        assert own["ports"] == [{"name": "metrics", "containerPort": port}]
        paths = {kind: own[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: asked["path"] for kind, asked in paths.items()} == {
            "startup": "/livez",
            "liveness": "/livez",  # never /readyz: a restart does not repair a backend
            "readiness": "/readyz",
        }
        assert {asked["port"] for asked in paths.values()} == {"metrics"}, name
        [served] = build.of("Service")[name]["spec"]["ports"]
        assert (served["port"], served["targetPort"]) == (port, "metrics")


def test_a_slow_start_does_not_count_as_a_dead_loop(build: Build) -> None:
    for pod in build.services().values():
        startup = container(pod)["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] > Settings().loop_timeout_s


def test_selectors_match_pods(build: Build) -> None:
    labels = pods_labels(build)
    for kind in ("Deployment", "StatefulSet"):
        for name, found in build.of(kind).items():
            assert selects(found["spec"]["selector"], labels[name])
    for name, service in build.of("Service").items():
        chosen = [pod for pod, own in labels.items() if service["spec"]["selector"].items() <= own.items()]
        assert chosen == [name]
    budgets = build.of("PodDisruptionBudget")
    assert budgets.keys() == build.services().keys()
    for name, budget in budgets.items():
        assert [pod for pod, own in labels.items() if selects(budget["spec"]["selector"], own)] == [name]
        assert budget["spec"]["maxUnavailable"] == 1


def test_everything_is_in_the_namespace(build: Build) -> None:
    for found in build.manifests:
        assert found["kind"] == "Namespace" or found["metadata"]["namespace"] == "copydetect"


def test_the_scaler_reads_the_lag_of_the_topic_that_the_service_consumes(build: Build) -> None:
    scalers = build.of("ScaledObject")
    assert scalers.keys() == CONSUMED.keys()
    for name, scaler in scalers.items():
        spec = scaler["spec"]
        assert name in build.of(spec["scaleTargetRef"]["kind"])
        assert spec["scaleTargetRef"]["name"] == name
        [trigger] = spec["triggers"]
        asked: dict[str, Any] = trigger["metadata"]
        assert (asked["topic"], asked["consumerGroup"]) == CONSUMED[name]
        assert asked["bootstrapServers"] == build.settings["COPYDETECT_KAFKA_BROKERS"]
        assert asked["offsetResetPolicy"] == "earliest"


def test_there_are_no_more_replicas_than_partitions(build: Build) -> None:
    for scaler in build.of("ScaledObject").values():
        assert 1 <= scaler["spec"]["minReplicaCount"] <= scaler["spec"]["maxReplicaCount"] <= partitions(build)
    for kind in ("Deployment", "StatefulSet"):
        assert all("replicas" not in found["spec"] for found in build.of(kind).values())


def test_the_scaler_logs_in_to_kafka_like_the_services(build: Build) -> None:
    uses_login = "COPYDETECT_KAFKA_SASL_MECHANISM" in build.settings
    for scaler in build.of("ScaledObject").values():
        [trigger] = scaler["spec"]["triggers"]
        assert ("authenticationRef" in trigger) is uses_login
        if uses_login:
            assert trigger["authenticationRef"]["name"] in build.of("TriggerAuthentication")
            assert trigger["metadata"]["sasl"] == "scram_sha512"
            assert trigger["metadata"]["tls"] == "enable"


def test_all_traffic_is_denied_by_default(build: Build) -> None:
    deny = build.of("NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_services_reach_their_backends(build: Build) -> None:
    brokers = [urlsplit(f"//{broker}") for broker in build.settings["COPYDETECT_KAFKA_BROKERS"].split(",")]
    stores = [urlsplit(build.settings[f"COPYDETECT_{name}"]) for name in ("REDIS_URL", "MILVUS_URI")]
    for pod in pods_labels(build):
        for backend in brokers if pod in ("copydetect-topics", "copydetect-alerter") else [*brokers, *stores]:
            assert backend.hostname
            assert backend.port
            assert reaches(egress(build, pod), backend.hostname.split(".")[1], backend.port), (pod, backend)


def test_ingest_cannot_reach_private_addresses_through_media_urls(build: Build) -> None:
    [block] = [
        peer["ipBlock"]
        for rule in egress(build, "copydetect-ingest")
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]
    assert {"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(block["except"])
    for pod in ("copydetect-matcher", "copydetect-alerter", "copydetect-topics"):
        assert all("ipBlock" not in peer for rule in egress(build, pod) for peer in rule["to"])


def test_only_prometheus_may_connect_to_the_services(build: Build) -> None:
    opened = {
        name: policy["spec"]["ingress"]
        for name, policy in build.of("NetworkPolicy").items()
        if "ingress" in policy["spec"]
    }
    assert opened.keys() == {"metrics"}
    [rule] = opened["metrics"]
    assert rule["ports"] == [{"protocol": "TCP", "port": Settings().http_port}]
    policy = build.of("NetworkPolicy")["metrics"]["spec"]["podSelector"]
    chosen = {name for name, labels in pods_labels(build).items() if selects(policy, labels)}
    assert chosen == build.services().keys()
