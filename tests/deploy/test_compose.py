"""compose.yaml as Docker Compose reads it: images are pinned, services wait for health and are locked down."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.runtime.settings import Settings
from tests.deploy.settings import settings_of, unknown_names
from tests.deploy.tools import compose_loader
from tests.servers.process import Unavailable

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # the first run builds the loader

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
OURS = ("topics", "ingest", "matcher", "alerter")
RUNNING = ("ingest", "matcher", "alerter")
LEAVE_S = 15  # after the drain, for leaving the consumer group


def load(*files: str) -> dict[str, Any]:
    """The project in these files together, with defaults."""
    try:
        loader = compose_loader()
    except Unavailable as reason:
        pytest.skip(str(reason))
    # In another folder, so without the developer's .env, and without their variables.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            shutil.copy(FOLDER / file, folder)
        done = subprocess.run(
            [loader, "-no-path-resolution", *(Path(file).name for file in files)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    project: dict[str, Any] = yaml.safe_load(done.stdout)
    return project


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = load("compose.yaml")["services"]
    return loaded


def seconds(text: str) -> float:
    parts = re.findall(r"(\d+)([hms])", text)
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


def variables_of(service: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def test_all_services_are_defined(services: dict[str, Any]) -> None:
    backends = {"kafka", "redis", "etcd", "minio", "milvus", "prometheus", "grafana"}
    assert services.keys() == {*OURS, *backends}


def test_the_loader_sees_mistakes(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("services: {a: {image: b, depend_on: [c]}}")
    with pytest.raises(AssertionError, match="depend_on"):
        load(str(tmp_path / "wrong.yaml"))


def test_images_are_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.search(r"\d+\.\d+\.\d+|RELEASE\.\d{4}-\d\d-\d\dT", tag), f"{name}: {service['image']}"


def test_every_long_running_service_has_a_health_check_and_is_restarted(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "topics":
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name  # no shell, which an image might lack
        assert service["restart"] == "unless-stopped", name


def test_services_start_after_the_services_they_need(services: dict[str, Any]) -> None:
    healthy, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    for name in RUNNING:
        needs = services[name]["depends_on"]
        assert needs["topics"].items() >= done.items()
        backends = ("kafka",) if name == "alerter" else ("kafka", "redis", "milvus")
        assert all(needs[backend].items() >= healthy.items() for backend in backends)
    assert services["topics"]["depends_on"]["kafka"].items() >= healthy.items()


def test_our_services_are_locked_down(services: dict[str, Any]) -> None:
    for name in OURS:
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"]
        assert "privileged" not in service
    uploads = [mount for mount in services["ingest"]["volumes"] if mount["type"] == "bind"]
    assert [mount["read_only"] for mount in uploads] == [True]


def test_ports_are_published_on_this_machine_only(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name


def test_settings_are_known_and_valid(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        variables = variables_of(services[name])
        assert unknown_names(variables) == set()
        settings = settings_of(variables, monkeypatch)
        assert settings.kafka_brokers == "kafka:9092"
        assert settings.redis_url.startswith("redis://redis:")
        assert settings.milvus_uri == "http://milvus:19530"
    assert settings_of(variables_of(services["ingest"]), monkeypatch).fetch_roots == (Path("/uploads"),)
    assert settings_of(variables_of(services["alerter"]), monkeypatch).instance == "alerter-0"
    # One alerter only: compose refuses to start a second container with a fixed name.
    assert services["alerter"]["container_name"]


def test_the_drain_fits_into_the_grace_period(services: dict[str, Any]) -> None:
    for name in RUNNING:
        assert seconds(services[name]["stop_grace_period"]) > Settings().drain_s + LEAVE_S


def test_probes_and_prometheus_use_the_ports_on_which_the_services_listen(services: dict[str, Any]) -> None:
    port = Settings().http_port
    scraped = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    ours = {name: (job, sd["port"]) for job, sd, name in _targets(scraped)}
    assert ours == {name: (f"copydetect-{name}", port) for name in RUNNING}
    for name in RUNNING:
        assert variables_of(services[name])["COPYDETECT_HTTP_PORT"] == str(port)
        assert f":{port}/readyz" in services[name]["healthcheck"]["test"][-1]


def _targets(scraped: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], str]]:
    return [
        (job["job_name"], sd, name) for job in scraped for sd in job.get("dns_sd_configs", []) for name in sd["names"]
    ]


def test_an_operator_can_use_other_backends() -> None:
    # Read from the file: the loader ignores the environment when it substitutes variables.
    backends = yaml.safe_load((FOLDER / "compose.yaml").read_text())["x-backends"]
    for name in ("COPYDETECT_KAFKA_BROKERS", "COPYDETECT_REDIS_URL", "COPYDETECT_MILVUS_URI"):
        assert backends[name].startswith(f"${{{name}:-")


def test_a_gpu_is_requested_only_in_its_own_file(services: dict[str, Any]) -> None:
    assert "deploy" not in services["ingest"]
    loaded = load("compose.yaml", "compose.gpu.yaml")["services"]
    [device] = loaded["ingest"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in loaded["matcher"]


def test_the_files_of_grafana_and_prometheus_are_mounted_where_they_are_read(services: dict[str, Any]) -> None:
    mounts = {
        mount["target"]: FOLDER / mount["source"]
        for name in ("grafana", "prometheus")
        for mount in services[name]["volumes"]
        if mount["type"] == "bind"
    }
    assert (mounts["/etc/prometheus"] / "prometheus.yml").is_file()
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (mounts[str(Path(home).parent)] / Path(home).name).is_file()
    provisioning = mounts["/etc/grafana/provisioning"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "copydetect.yaml").read_text())["providers"]
    assert provider["options"]["path"] in mounts
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
