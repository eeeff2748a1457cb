"""A service runs until a signal, finishes started work, and leaves; a second signal stops it at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.runtime.loop import Stop, run
from services.runtime.probes import Health
from services.runtime.retry import Stopped


@dataclass
class FakeWorker:
    unfinished: int = 3
    steps: int = 0
    on_step: Callable[[int], object] = id
    history: list[str] = field(default_factory=list)

    def run_once(self, timeout_s: float) -> bool:  # noqa: ARG002
        self.steps += 1
        self.history.append("run")
        self.on_step(self.steps)
        return True

    def keep_alive(self) -> None:
        self.history.append("keep")

    def drain(self, timeout_s: float) -> bool:  # noqa: ARG002
        self.unfinished -= 1
        self.history.append("drain")
        return self.unfinished > 0

    def close(self) -> None:
        self.history.append("close")


def test_it_runs_until_a_stop_is_requested_then_drains_and_closes() -> None:
    stop, health = Stop(drain_s=60), Health(loop_timeout_s=60)
    worker = FakeWorker(on_step=lambda step: stop.request() if step == 2 else None)
    run(worker, stop, health)
    assert worker.history == ["run", "run", "drain", "drain", "drain", "close"]
    assert "stop" in health.why_not_ready()


def test_a_drain_ends_when_its_time_is_over() -> None:
    stop = Stop(drain_s=0)
    worker = FakeWorker(unfinished=10**9, on_step=lambda _: stop.request())
    run(worker, stop, Health(loop_timeout_s=60))
    assert worker.history == ["run", "drain", "close"]


def test_a_stopped_wait_closes_without_a_drain() -> None:
    def wait(_: int) -> None:
        raise Stopped("while waiting")

    worker = FakeWorker(on_step=wait)
    run(worker, Stop(drain_s=60), Health(loop_timeout_s=60))
    assert worker.history == ["run", "close"]


def test_a_bug_crashes_the_process_and_leaves_the_group() -> None:
    def break_down(_: int) -> None:
        raise ZeroDivisionError

    worker = FakeWorker(on_step=break_down)
    with pytest.raises(ZeroDivisionError):
        run(worker, Stop(drain_s=60), Health(loop_timeout_s=60))
    assert worker.history == ["run", "close"]


PROGRAM = """
import sys, time
from services.runtime.loop import Stop, run
from services.runtime.probes import Health

class Busy:
    def run_once(self, timeout_s):
        print("turn", flush=True); time.sleep(0.05)
    def drain(self, timeout_s):
        print("drain", flush=True); time.sleep(0.05); return True
    def close(self):
        print("close", flush=True)

stop = Stop(float(sys.argv[1])); stop.install(); run(Busy(), stop, Health(loop_timeout_s=60))
"""


def start_program(drain_s: float) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(drain_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "turn\n"
    return process


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(number: signal.Signals) -> None:
    with start_program(drain_s=0.3) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    steps = [line for line in output.splitlines() if line in {"turn", "drain", "close"}]
    assert steps[-2:] == ["drain", "close"]


@pytest.mark.integration
def test_a_second_signal_stops_at_once() -> None:
    with start_program(drain_s=600) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        while process.stdout.readline() != "drain\n":
            pass
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert "close" not in output.splitlines()
    assert time.monotonic() - sent < 10
