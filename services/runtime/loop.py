"""The life of a service: turn until a signal, drain, leave. A second signal stops at once."""

import os
import signal
import time
from types import FrameType
from typing import Protocol

import structlog

from services.runtime.probes import Health
from services.runtime.retry import Stopped

STEP_S = 0.2
SIGNALLED = 128  # what a shell adds to the number of the signal that ended a command

log = structlog.get_logger(__name__)


class Worker(Protocol):
    def run_once(self, timeout_s: float) -> bool:
        """Move on by one step, within about that time where there is nothing to do."""

    def keep_alive(self) -> None:
        """Take nothing, and stay a member of the group: called while a step waits for a backend."""

    def drain(self, timeout_s: float) -> bool:
        """Take nothing more, move work at hand on by one step; False when there is none left."""

    def close(self) -> None:
        """Leave the group; what is not committed comes again elsewhere."""


class Stop:
    """Whether the operator asked to stop, by SIGTERM or SIGINT, and how long the drain may still take."""

    def __init__(self, drain_s: float) -> None:
        self._drain_s = drain_s
        self._until_s: float | None = None

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    @property
    def is_asked(self) -> bool:
        return self._until_s is not None

    def is_over(self) -> bool:
        """Whether the time for the drain is used up."""
        return self._until_s is not None and time.monotonic() >= self._until_s

    def ask(self) -> None:
        self._until_s = time.monotonic() + self._drain_s

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - given by Python
        if self.is_asked:
            os._exit(SIGNALLED + number)  # offsets uncommitted: everything unfinished comes again
        self.ask()


def run(worker: Worker, stop: Stop, health: Health) -> None:
    """Turn the worker's loop until the stop is asked, then drain and close it."""
    health.clear("start")
    try:
        while not stop.is_asked:
            worker.run_once(STEP_S)
            health.tick()
        health.mark_unready("stop", "the service is stopping")
        log.info("draining")
        while worker.drain(STEP_S):
            health.tick()
            if stop.is_over():
                log.warning("drain ended with work at hand", reason="COPYDETECT_DRAIN_S is over; it comes again")
                break
    except Stopped as stopped:
        log.warning("stopped", reason=str(stopped))
    finally:
        worker.close()  # the group goes on at once, also where this process broke down
    log.info("stopped")
