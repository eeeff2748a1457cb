"""The main loop of a service: run until a signal, then drain and leave. A second signal stops at once."""

import os
import signal
import time
from types import FrameType
from typing import Protocol

import structlog

from services.runtime.probes import Health
from services.runtime.retry import Stopped

STEP_S = 0.2
SIGNAL_EXIT = 128  # plus the signal's number: the exit code of a process that a signal ended

log = structlog.get_logger(__name__)


class Worker(Protocol):
    def run_once(self, timeout_s: float) -> bool:
        """Make one step; if there is nothing to do, return after about `timeout_s`. False if nothing was done."""

    def keep_alive(self) -> None:
        """Stay a member of the group without fetching records; called while a step waits for a backend."""

    def drain(self, timeout_s: float) -> bool:
        """Fetch nothing more, and advance unfinished work by one step; False if none is left."""

    def close(self) -> None:
        """Leave the group; uncommitted records will be delivered elsewhere."""


class Stop:
    """A request to stop, by SIGTERM or SIGINT, and the time that is left for the drain."""

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._until_s: float | None = None

    def install(self) -> None:
        """Handle SIGTERM and SIGINT; the second signal ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @property
    def is_requested(self) -> bool:
        return self._until_s is not None

    def is_over(self) -> bool:
        """Whether the time for the drain is used up."""
        return self._until_s is not None and time.monotonic() >= self._until_s

    def request(self) -> None:
        self._until_s = time.monotonic() + self._drain_s

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - passed by Python
        if self.is_requested:
            os._exit(SIGNAL_EXIT + number)  # offsets stay uncommitted: everything unfinished is delivered again
        self.request()


def run(worker: Worker, stop: Stop, health: Health) -> None:
    """Run the worker until a stop is requested, then drain and close it."""
    health.clear("start")
    try:
        while not stop.is_requested:
            worker.run_once(STEP_S)
            health.tick()
        health.mark_unready("stop", "the service is stopping")
        log.info("draining")
        while worker.drain(STEP_S):
            health.tick()
            if stop.is_over():
                log.warning(
                    "drain ended with unfinished work", reason="COPYDETECT_DRAIN_S is over; it will be delivered again"
                )
                break
    except Stopped as stopped:
        log.warning("stopped", reason=str(stopped))
    finally:
        worker.close()  # so that the group continues at once, even if this process crashed
    log.info("stopped")
