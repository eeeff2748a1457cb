"""The manifests are valid, and their pods are restricted enough to process media of strangers."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.runtime.settings import SECRETS_DIR, Settings
from tests.deploy.settings import settings_of, unknown_names
from tests.deploy.tools import keda_crds, kubectl_validate
from tests.k8s.manifests import Build, container, quantity, text
from tests.servers.process import Unavailable

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # the first run builds the checkers

LEAVE_S = 15  # after the drain, for leaving the consumer group
KUBERNETES = "1.30"
LOADED_BYTES = 4 * 2**30  # the model and its frames, in addition to the decoders


def validate(manifests: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "manifests.yaml"
    file.write_text(manifests)
    try:
        command = [kubectl_validate(), "--version", KUBERNETES, "--local-crds", str(keda_crds()), str(file)]
    except Unavailable as reason:
        pytest.skip(str(reason))
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def secrets_in(folder: Path) -> Path:
    """Write a folder like the mounted Secret of the overlay prod. Returns its path."""
    for name in ("kafka_username", "kafka_password", "redis_password", "milvus_token"):
        (folder / f"copydetect_{name}").write_text("secret")
    (folder / "kafka_ca.crt").write_text("a certificate")
    return folder


def settings_in(build: Build, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Settings:
    return settings_of(build.settings, monkeypatch, secrets_in(folder) if build.name == "overlays/prod" else None)


def test_manifests_are_valid(build: Build, tmp_path: Path) -> None:
    done = validate(text(build.name), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_validator_finds_mistakes(build: Build, tmp_path: Path) -> None:
    for right, wrong in (("maxReplicaCount: ", "maxReplicaCount: many"), ("runAsNonRoot: true", "runAsNonRoot: 1s")):
        assert right in text(build.name)
        assert validate(text(build.name).replace(right, wrong), tmp_path).returncode != 0


def test_pods_pass_the_restricted_standard(build: Build) -> None:
    [namespace] = build.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in build.workloads():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001  # those of the images
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        own = container(pod)["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_pods_have_requests_and_limits(build: Build) -> None:
    for name, pod in build.workloads():
        resources = container(pod)["resources"]
        for what in ("cpu", "memory", "ephemeral-storage"):
            assert 0 < quantity(resources["requests"][what]) <= quantity(resources["limits"][what]), (name, what)


def test_only_ingest_requests_a_gpu_and_not_on_a_workstation(build: Build) -> None:
    for name, pod in build.workloads():
        wanted = container(pod)["resources"]["limits"].get("nvidia.com/gpu")
        expected = "1" if name == "copydetect-ingest" and build.name != "overlays/dev" else None
        assert wanted == expected, name


def test_images_have_a_version(build: Build) -> None:
    for name, pod in build.workloads():
        image = container(pod)["image"]
        if build.name == "overlays/prod":
            assert image.split(":")[1][0].isdigit(), name
        assert not image.endswith(":latest")


def test_commands_are_those_of_the_program(build: Build) -> None:
    from services.cli.main import app

    known = {command.name for command in app.registered_commands}
    for name, pod in build.workloads():
        assert container(pod)["args"][0] == name.removeprefix("copydetect-")
        assert container(pod)["args"][0] in known


def test_settings_are_known_and_valid(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert unknown_names(build.settings) == set()
    for _, pod in build.workloads():
        [source] = container(pod)["envFrom"]
        assert source["configMapRef"]["name"] in build.of("ConfigMap")
        assert unknown_names({variable["name"]: "" for variable in container(pod).get("env", [])}) == set()
    settings = settings_in(build, monkeypatch, tmp_path)
    if build.name == "overlays/prod":
        assert settings.kafka_security_protocol == "SASL_SSL"
        assert settings.redis_url.startswith("rediss://")
        assert settings.milvus_uri.startswith("https://")
        assert settings.redis_password
        assert settings.milvus_token


def test_no_secret_is_in_the_manifests(build: Build) -> None:
    assert build.of("Secret") == {}
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {f"COPYDETECT_{name.upper()}" for name in secret} & build.settings.keys() == set()


def test_secrets_are_files_where_the_settings_look(build: Build) -> None:
    for _, pod in build.workloads():
        mounts = {mount["name"]: mount for mount in container(pod)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert mounts["secrets"]["mountPath"] == build.settings[SECRETS_DIR]
        assert mounts["secrets"]["readOnly"] is True
        # If passwords are required, a pod without them must not start.
        assert volumes["secrets"]["secret"]["optional"] is (build.name != "overlays/prod")


def test_every_alerter_has_a_stable_name_of_its_own(build: Build) -> None:
    [alerter] = build.of("StatefulSet").values()
    assert alerter["spec"]["serviceName"] in build.of("Service")
    env: list[dict[str, Any]] = container(alerter["spec"]["template"]["spec"])["env"]
    [instance] = [variable for variable in env if variable["name"] == "COPYDETECT_INSTANCE"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert "COPYDETECT_INSTANCE" not in build.settings


def test_the_drain_fits_into_the_grace_period(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drain_s = settings_in(build, monkeypatch, tmp_path).drain_s
    for name, pod in build.services().items():
        assert pod["terminationGracePeriodSeconds"] > drain_s + LEAVE_S, name


def test_fetched_files_fit_into_tmp(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = settings_in(build, monkeypatch, tmp_path)
    pod = build.services()["copydetect-ingest"]
    [tmp] = [volume for volume in pod["volumes"] if volume["name"] == "tmp"]
    size = quantity(tmp["emptyDir"]["sizeLimit"])
    # A tenth more: blocks of the file system, and other temporary files.
    assert 1.1 * max(settings.max_in_flight_bytes, settings.max_file_bytes) <= size
    # A pod above its request is evicted first when the node's disk is full, and always at its limit.
    assert size <= quantity(container(pod)["resources"]["requests"]["ephemeral-storage"])


def test_decoders_fit_into_memory(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = settings_in(build, monkeypatch, tmp_path)
    limit = quantity(container(build.services()["copydetect-ingest"])["resources"]["limits"]["memory"])
    assert settings.decode_workers * settings.max_decoder_bytes + LOADED_BYTES <= limit
