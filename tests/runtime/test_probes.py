"""The probes distinguish a service that waits from one that hangs, and metrics are served beside them."""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from services.contracts.errors import UsageError
from services.runtime.probes import Health, ProbeServer
from tests.metric_values import metric_value


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


def test_a_degraded_service_is_ready_and_says_why() -> None:
    health = Health(loop_timeout_s=10)
    health.clear("start")
    health.mark_degraded("redis", "does not answer")
    with ProbeServer(health, host="127.0.0.1", port=0) as probes:
        status, body = get(probes.port, "/readyz")
        assert (status, json.loads(body)) == (200, {"ok": True, "degraded": {"redis": "does not answer"}})
        assert json.loads(get(probes.port, "/livez")[1]) == {"ok": True}
        health.clear("redis")
        assert json.loads(get(probes.port, "/readyz")[1]) == {"ok": True}


def test_before_its_first_step_a_loop_has_been_silent_since_its_start() -> None:
    before_s = time.time()
    Health(loop_timeout_s=10)
    assert metric_value("copydetect_loop_last_tick_timestamp_seconds") >= before_s - 1


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


@pytest.mark.usefixtures("frequent_switches")
def test_no_reason_is_lost_between_threads() -> None:
    health = Health(loop_timeout_s=10)
    health.clear("start")

    def mark(name: str) -> None:
        for _ in range(2000):
            health.mark_unready(name, "down")
            health.clear(name)
        health.mark_unready(name, "down")

    names = [f"backend-{number}" for number in range(4)]
    threads = [threading.Thread(target=mark, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(health.why_not_ready()) == set(names)
