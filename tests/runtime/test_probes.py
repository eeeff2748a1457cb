"""The probes tell a service that waits from one that hangs, and metrics are served beside them."""

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


def test_a_loop_that_turns_no_more_is_dead() -> None:
    clock = Clock()
    health = Health(loop_timeout_s=10, clock=clock)
    clock.now_s += 9
    assert health.dead() == {}
    health.tick()
    clock.now_s += 11
    assert health.dead() == {"loop": "has not turned for 11 s"}


def test_ready_is_not_alive() -> None:
    health = Health(loop_timeout_s=10)
    assert health.unready() == {"start": "the service is starting"}
    assert health.dead() == {}
    health.clear("start")
    assert health.unready() == {}
    health.mark_unready("milvus", "does not answer")
    health.mark_unready("kafka", "does not answer either")
    assert set(health.unready()) == {"milvus", "kafka"}
    health.clear("milvus")
    assert set(health.unready()) == {"kafka"}


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


def test_a_port_that_is_taken_is_told_in_words() -> None:
    health = Health(loop_timeout_s=10)
    with (
        ProbeServer(health, host="127.0.0.1", port=0) as probes,
        pytest.raises(UsageError, match="COPYDETECT_HTTP_PORT"),
    ):
        ProbeServer(health, host="127.0.0.1", port=probes.port)
