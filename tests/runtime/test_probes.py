"""The probes distinguish a service that waits from one that hangs, and metrics are served beside them."""

import json
import urllib.error
import urllib.request

import pytest

from services.contracts.errors import UsageError
from services.runtime.probes import Health, ProbeServer


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_loop_that_makes_no_step_is_not_alive() -> None:
    clock = Clock()
    health = Health(loop_timeout_s=10, clock=clock)
    clock.now_s += 9
    assert health.why_not_alive() == {}
    health.tick()
    clock.now_s += 11
    assert health.why_not_alive() == {"loop": "made no step for 11 s"}


def test_a_service_can_be_alive_and_not_ready() -> None:
    health = Health(loop_timeout_s=10)
    assert health.why_not_ready() == {"start": "the service is starting"}
    assert health.why_not_alive() == {}
    health.clear("start")
    assert health.why_not_ready() == {}
    health.mark_unready("milvus", "does not answer")
    health.mark_unready("kafka", "does not answer either")
    assert set(health.why_not_ready()) == {"milvus", "kafka"}
    health.clear("milvus")
    assert set(health.why_not_ready()) == {"kafka"}


def test_the_probes_over_http() -> None:
    clock = Clock()
    health = Health(loop_timeout_s=10, clock=clock)
    with ProbeServer(health, host="127.0.0.1", port=0) as probes:
        status, body = get(probes.port, "/readyz")
        assert (status, json.loads(body)) == (503, {"ok": False, "start": "the service is starting"})
        health.clear("start")
        assert get(probes.port, "/readyz") == (200, '{"ok": true}\n')
        assert get(probes.port, "/livez")[0] == 200
        clock.now_s += 11
        assert get(probes.port, "/livez")[0] == 503
        assert get(probes.port, "/readyz")[0] == 503
        status, body = get(probes.port, "/metrics")
        assert status == 200
        assert "copydetect_stage_seconds" in body
        assert get(probes.port, "/elsewhere")[0] == 404


def test_a_port_in_use_is_a_usage_error() -> None:
    health = Health(loop_timeout_s=10)
    with (
        ProbeServer(health, host="127.0.0.1", port=0) as probes,
        pytest.raises(UsageError, match="COPYDETECT_HTTP_PORT"),
    ):
        ProbeServer(health, host="127.0.0.1", port=probes.port)
